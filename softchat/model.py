"""A model that is loaded, with all that suits it: what a program asks its questions of.

`load` finds a model by what its user calls it, `Model.ask` runs a question through it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import GEN_RUNNING, getgeneratorstate
from pathlib import Path
from typing import Any, Self

from softchat.base.closeable import Closeable
from softchat.base.keys import AnswerNow
from softchat.engine.hold import run_alone
from softchat.engine.placement import ALL, BY_DEFAULT, Placement
from softchat.engine.protocol import ANY_CONTEXT, Engine, Lora, close_engine
from softchat.engine.schema import grammar_of
from softchat.engine.threads import MOST_THREADS
from softchat.errors import UsageError, check_callable, check_type
from softchat.events import Event
from softchat.models import Located, find_model
from softchat.prompt.tags import ThinkTags
from softchat.prompt.template import make_prompt, single_turn
from softchat.settings import Settings, check_settings, resolve
from softchat.talk.load import Load
from softchat.thinking.prompt import Prompt
from softchat.thinking.think import think


class ThinkingRun:
    """The events of a run, as they come. It begins when the first one is asked for."""

    def __init__(self, events: Generator[Event, None, None], wanted: AnswerNow) -> None:
        self._events, self._wanted = events, wanted

    def answer_now(self) -> None:
        """End the thinking behind the step that is under way, and have the answer; any thread."""
        self._wanted.press()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        self._refuse_inside()
        return next(self._events)

    def close(self) -> None:
        """Leave the run where it is. Raises UsageError in its own `cancelled`, as `next` does."""
        self._refuse_inside()
        self._events.close()

    def _refuse_inside(self) -> None:
        if getgeneratorstate(self._events) == GEN_RUNNING:
            raise UsageError(
                "the run is in the middle of a step", hint="wait until it gives its event"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Closeable):
    """An engine, and what models.toml says about its model. A context that frees it."""

    engine: Engine
    tags: ThinkTags | None = None
    """How its thinking is opened and closed; None: as its chat template says."""
    system: str = ""
    """The system prompt where none is given; empty: none at all."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """Settings by name, stronger than the built-in ones."""

    def __post_init__(self) -> None:
        check_type("tags", self.tags, ThinkTags | None, "a ThinkTags, or None")
        check_type("the system prompt", self.system, str, "text")
        check_type("defaults", self.defaults, Mapping, "settings by name, in a dict")

    @classmethod
    def of(cls, found: Located, engine: Engine) -> Model:
        """The model that was found, and is loaded now."""
        return cls(engine=engine, tags=found.tags, system=found.system, defaults=found.defaults)

    def ask(
        self,
        question: str,
        *,
        system: str | None = None,
        schema: Mapping[str, Any] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        **given: object,
    ) -> ThinkingRun:
        """Think about a question, then answer it; nothing of an earlier one is remembered.

        Args:
            question: what to ask.
            system: the system prompt; None is the model's own.
            schema: the JSON schema of what the answer must be; None: any text.
            cancelled: asked before each step; True ends the run as interrupted.
            given: settings by name, as in `settings`.

        Raises:
            UsageError: there is no such setting, it can't have this value, the schema is none, or
                the question no text; at once, and all else as the events are asked for.
            ContextError: the question does not fit.
            ModelRefusedError: the model's chat template fails.
            DecodeError: the model failed.
            SoftchatError: the model was closed, or a later run has begun on it.

        """
        wanted = AnswerNow()
        _check_question(question, system)
        check_callable("cancelled", cancelled)
        check_type("the schema", schema, Mapping | None, "a JSON schema, as a dict")
        settings = self.settings(**given)
        grammar = None if schema is None else grammar_of(schema)

        def events() -> Generator[Event, None, None]:
            self.engine.rollback(0)
            prompt = self.prompt(question, system, settings)
            if grammar is not None:
                prompt = replace(prompt, grammar=self.engine.grammar(grammar))
            yield from think(self.engine, prompt, settings, cancelled=cancelled, answer_now=wanted)

        return ThinkingRun(run_alone(self.engine, events()), wanted)

    def prompt(
        self, question: str, system: str | None = None, settings: Settings | None = None
    ) -> Prompt:
        """The question in the model's chat template, up to the open thinking tag.

        Raises:
            UsageError: the question or the system prompt is no text, or the settings are none.
            ModelRefusedError: the template fails.
            SoftchatError: the model was closed.

        """
        _check_question(question, system)
        if settings is not None:
            check_settings(settings)
        messages = single_turn(question, self.system if system is None else system)
        return make_prompt(self.engine, messages, tags=self.tags, settings=settings)

    def settings(self, **given: object) -> Settings:
        """The model's own settings, but for those that are given; a seed that is not is drawn."""
        return settings_of(self.defaults, given)

    def close(self) -> None:
        """Free the engine."""
        close_engine(self.engine)


def load(
    name: str | Path | None = None,
    *,
    n_ctx: int = 0,
    n_threads: int = 0,
    n_gpu_layers: int | None = None,
    placement: Placement = BY_DEFAULT,
    loras: Sequence[Lora] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Model:
    """Load a model and prove that soft thinking is exact on it. It is fetched if need be.

    Args:
        name: a name from models.toml, or a GGUF file; None is the default model.
        n_ctx: positions of context; 0 is what suits the model.
        n_threads: 0 is one a core.
        n_gpu_layers: layers on accelerators; -1 is all of them, None as `placement` has it.
        placement: where it computes; without a word as many layers as fit are on accelerators.
        loras: LoRA adapters to apply; None: the model's own, if it has one.
        cancelled: True stops loading and decoding.

    Raises:
        ModelNotFoundError: there is no such name or file, or it cannot be fetched.
        ModelRefusedError: it can't be loaded, or not be proven.
        UsageError: an argument is of another type or out of its range, or there is no such device.

    """
    check_type("the model", name, str | Path | None, "a name or a path")
    _check_count("n_ctx", n_ctx, ANY_CONTEXT)
    _check_count("n_threads", n_threads, MOST_THREADS)
    check_type("n_gpu_layers", n_gpu_layers, int | None, "a whole number")
    if n_gpu_layers is not None and n_gpu_layers < ALL:
        raise UsageError(f"n_gpu_layers is {n_gpu_layers}", hint="it must be -1 (all) or more")
    check_type("placement", placement, Placement, "a Placement")
    check_callable("cancelled", cancelled)
    check_type("loras", loras, Sequence | None, "a list of Lora")
    for lora in loras or ():
        check_type("one of loras", lora, Lora, "a Lora, as Lora(path=Path('adapter.gguf'))")
    found = find_model(str(name.absolute()) if isinstance(name, Path) else name)
    if n_gpu_layers is not None:
        placement = replace(placement, gpu_layers=n_gpu_layers)
    how = Load.of(found, n_ctx=n_ctx, n_threads=n_threads, placement=placement, loras=loras)
    return Model.of(found, how.engine(cancelled=cancelled))


def _check_question(question: object, system: object) -> None:
    check_type("the question", question, str, "text")
    check_type("the system prompt", system, str | None, "text")


def _check_count(name: str, value: int, most: int) -> None:
    check_type(name, value, int, "a whole number")
    if not 0 <= value <= most:  # llama.cpp would take it for another one, or end the process
        raise UsageError(f"{name} is {value}", hint=f"it must be from 0 to {most}")


def settings_of(defaults: Mapping[str, object], given: Mapping[str, object]) -> Settings:
    """A model's settings, but for those that are given; a seed that nobody gives is drawn."""
    return resolve({"seed": secrets.randbits(32), **defaults}, given)
