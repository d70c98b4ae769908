"""`softchat chat`, and `softchat` alone: a session."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softchat.cli.idle import refuse_cache_unlogged, refuse_force_alone, refuse_idle_settings
from softchat.cli.options import (
    Log,
    SettingFlags,
    Steps,
    System,
    TalkLoading,
    flags_of,
    given,
    option,
    with_groups,
)
from softchat.cli.outputs import (
    Force,
    Markdown,
    Outputs,
    Panel,
    Trace,
    open_trace,
    terminal_console,
)
from softchat.cli.prompts import Template, Values
from softchat.cli.resume import (
    Continue,
    Resume,
    earlier,
    model_of,
    open_log,
    refuse_both_earlier,
    sessions_folder,
)
from softchat.config.layers import Layers
from softchat.errors import SoftchatError, UsageError

if TYPE_CHECKING:
    from softchat.cli.model import Backends
    from softchat.config.file import Config
    from softchat.config.layers import Source
    from softchat.models import Located
    from softchat.talk.backend import Backend


_HERE = "\0"  # where in a prompt that has a name the user goes on


@with_groups
def chat(
    *,
    context: typer.Context,
    settings: SettingFlags,  # `given` reads them
    system: System = None,
    loading: TalkLoading,
    trace: Trace = None,
    force: Force = False,
    panel: Panel = None,
    markdown: Markdown = None,
    continue_: Continue = False,
    resume: Resume = None,
    keep_thoughts: Annotated[bool, option("keep_thoughts")] = False,
    template: Template = None,
    param: Values = None,
    log: Log = True,
    step: Steps = False,
) -> int:
    """Chat in a session, in which every setting can be changed."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("a session needs a terminal", hint="in a pipe: softchat ask QUESTION")
    refuse_both_earlier(context)
    refuse_cache_unlogged(context, log=log)
    refuse_force_alone(context, trace)
    outputs = Outputs(panel=panel, markdown=markdown)
    if step:
        outputs.refuse_steps()
    from softchat.cli.model import Backends, find, user_config
    from softchat.config.named_prompts import find_prompt
    from softchat.models.folders import history_file
    from softchat.record.session_file import SessionFile, Unkept
    from softchat.repl.loop import Repl
    from softchat.repl.session import Session

    backends = context.with_resource(closing(Backends(context.obj)))
    config = user_config()
    restored = earlier(resume, last=continue_)
    prompt = find_prompt(config.prompts, template)
    first = prompt.filler(param)(_HERE).replace(_HERE, "")
    chosen = given(context).over(prompt.chosen)
    flags = flags_of(context) | prompt.chosen.values.keys()
    found = (
        find(prompt.model if loading.model is None else loading.model, config=config)
        if restored is None or "model" in flags
        else model_of(restored, find, "chat")
    )

    layers = Layers(suits=config.suits(found), chosen=[chosen])
    if restored is not None:
        layers.take_up(restored.chosen, stronger=flags)
    refuse_idle_settings(context, layers.resolve(), by_hand=step)
    kept = layers.value("log", True)
    saved = (SessionFile if kept else Unkept)(sessions_folder(), restored)

    opener = _Opener(backends, loading, config=config, chosen=chosen)
    session = Session(
        found,
        opener.open,
        config=config,
        chosen=chosen,
        restored=restored,
        flags=flags,
        loaded_with=opener.changed,
    )
    session.by_hand = step
    outputs = outputs.after(config)
    repl = Repl(
        session,
        terminal_console(),
        make_view=lambda: outputs.view(
            more="/think",
            keys=True,
            waits=(lambda: session.keys.waits) if session.by_hand else None,
        ),
        find=find,
        saved=saved,
        busy=opener.busy_note,
        uses=opener.uses,
    )
    with closing(repl):
        if trace is not None:
            repl.refuse_used(trace, by="--trace")
            repl.trace, repl.trace_path = open_trace(trace, force=force), trace
        repl.greet()
        if restored is not None:
            repl.greet_again(restored)
        else:
            repl.offer_killed()
        if first:
            repl.edit(first)
        repl.run(history=history_file(os.environ) if kept else None, models=_names)
    open_log().refresh()  # what was taken back goes out of the index too
    return 0


class _Opener:
    """Loads the models of a session, as flags and config.toml have it, and `/set` since.

    Args:
        backends: opens them.
        loading: what flags say.
        config: the user's config.toml.
        chosen: what flags and variables give.

    """

    def __init__(
        self, backends: Backends, loading: TalkLoading, *, config: Config, chosen: Source
    ) -> None:
        self._backends, self._loading = backends, loading
        self._config, self._chosen = config, chosen
        self.changed: dict[str, Any] = {}
        """What `/set` has changed of how a model is loaded."""
        self._threads = 0  # of the model, as this machine's load had it; 0: the user has said it

    def open(self, found: Located, cancelled: Callable[[], bool]) -> Backend:
        """This model, loaded and proven. Raises as `open_backend` does."""
        from softchat.engine.threads import default_threads

        layers = Layers(suits=self._config.suits(found), chosen=[self._chosen])
        how = replace(self._loading.after(layers), **self.changed)
        self._threads = 0 if how.threads else default_threads()
        return self._backends.open(found, how, cancelled=cancelled)

    def uses(self, found: Located) -> tuple[Path, ...]:
        """The files that a session with this model comes from."""
        from softchat.cli.model import model_files, own_files

        files = (*own_files(self._config), *found.files)
        with suppress(SoftchatError):  # an adapter is not there: told when the model is loaded
            files += model_files(found, self._loading)
        return files

    def busy_note(self) -> str:
        """What is to be said of other programs on this machine; or nothing."""
        from softchat.engine.threads import busy_now_note

        return busy_now_note(self._threads) if self._threads else ""


def _names() -> list[str]:
    from softchat.models.catalogue import user_catalogue
    from softchat.models.local import local_models

    entries = user_catalogue(os.environ).entries.values()
    named = [name for entry in entries for name in (entry.name, *entry.aliases)]
    return named + [model.name for model in local_models(os.environ)]
