"""What happens in a run, as typed events: the one seam between the thinking loop and every view.

Knows nothing of engines, files or terminals. Each event is a frozen dataclass and, as
`to_dict(event)`, one JSON object of the contract in `docs/events.md`. A trace is these objects
written down a line each, so whatever can show a run can show its recording.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar, get_args

from softchat.base.typed import read
from softchat.errors import SoftchatError

SCHEMA = 1


class Mode(StrEnum):
    """How a thinking step feeds its result back."""

    SOFT = "soft"
    HARD = "hard"


class HaltReason(StrEnum):
    """Why the thinking ended."""

    COLD_STOP = "cold_stop"
    """The entropy stayed under τ for `patience` steps in a row."""
    CLOSED = "closed"
    """The model wrote the closing tag itself."""
    END_OF_TEXT = "end_of_text"
    """The likeliest token was an end-of-text token."""
    STEP_LIMIT = "step_limit"
    """`max_think` steps were made."""
    CONTEXT_FULL = "context_full"
    """The rest of the context is kept for the answer."""
    LOOP = "loop"
    """The likeliest tokens have come back to the same block, over and over."""
    DRIFT = "drift"
    """`drift_steps` mixtures in a row were made at an entropy above `drift_entropy`."""
    CONVERGED = "converged"
    """`switching` has turned from soft to hard `switch_converge` times."""
    TERMINATED = "terminated"
    """`switching` has turned from soft to hard `switch_terminate` times."""
    SURE = "sure"
    """Each token of the answer to come had an entropy under `sure_entropy`."""
    EAT = "eat"
    """The entropy behind the closing tag had come to rest."""
    DEER = "deer"
    """The tokens of a trial answer had a mean probability of `deer_confidence` or more."""
    AGREE = "agree"
    """The last `agree_count` trial answers were the same."""
    ASKED = "asked"
    """The user wanted the answer."""
    INTERRUPTED = "interrupted"
    """The user pressed Ctrl-C."""


class FinishReason(StrEnum):
    """Why the answer ended."""

    STOP = "stop"
    """An end-of-text token, or a stop string."""
    LENGTH = "length"
    """`max_answer` tokens, or the context is full."""
    LOOP = "loop"
    """The answer has come back to the same block, over and over, for `answer_loop` tokens."""
    INTERRUPTED = "interrupted"
    """The user pressed Ctrl-C, while thinking or while answering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """The model of a run, as the engine describes it."""

    name: str
    path: str
    architecture: str
    n_vocab: int
    n_embd: int
    n_ctx: int
    loras: tuple[str, ...] = ()
    """LoRA adapters, each as `--lora` takes it, by its file's name."""
    devices: tuple[str, ...] = ()
    """Where layers of it are, beside the processor; a server by its address."""
    gpu_layers: int = 0
    """How many of its layers are there."""
    merged: bool = False
    """Whether its adapters are in its weights, which were rounded to 8 bits then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptEntry:
    """One token of a concept token."""

    id: int
    piece: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """Where a run parts from an earlier one; what comes before is told again, and not computed."""

    step: int
    """The first step that is not as it was."""
    taken: str = ""
    """The piece that was fed alone there; empty if settings differ."""
    settings: dict[str, Any]
    """Those that differ from there on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The first event: the model and every setting that decides the run."""

    event: ClassVar[str] = "started"
    schema: int = SCHEMA
    model: ModelInfo
    settings: dict[str, Any]
    prompt_tokens: int
    question: str = ""
    """What was asked; of texts that went with it only their names."""
    prompt: tuple[int, ...] = ()
    """The prompt's tokens; none where earlier thoughts are in it, which are no tokens."""
    fork: Parting | None = None
    """Set if the run is a fork of an earlier one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefill:
    """The prompt has been decoded."""

    event: ClassVar[str] = "prefill"
    tokens: int
    """Decoded now."""
    cached: int
    """Reused from before."""
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What its user has changed of a step."""

    instead_of: tuple[ConceptEntry, ...] = ()
    """The concept token as it was, if another one is fed."""
    temperature: float | None = None
    """Of this step, if not that of the settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What was added to a mixture: numbers that depend on the seed and the step alone."""

    sigma: float
    """As a share of the root mean square of embedding rows' entries."""
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thinking step: the concept token that stands for the next position.

    One whose index was told before takes that one's place, and that of all behind it: its user has
    gone back, or changed it.
    """

    event: ClassVar[str] = "step"
    index: int
    entropy: float
    """Nats, of the whole distribution before any filter."""
    concept: tuple[ConceptEntry, ...]
    """Likeliest first; the weights sum to 1. That of a token which is pushed away from is negative.
    """
    below: int
    """How many steps in a row, this one included, had an entropy under τ."""
    mode: Mode
    elapsed_s: float
    """Since the thinking began."""
    why: str = ""
    """Why this mode, where the strategy has a choice; else empty."""
    token: int | None = None
    """The token of this step in the text of the thoughts, if it is not the first of the concept."""
    noise: Noise | None = None
    """What the mixture was shaken by, if it was."""
    change: Change | None = None
    """What its user has changed, if anything."""

    @property
    def said(self) -> str:
        """Its piece of the text of the thoughts; empty if it has none."""
        first = self.concept[0].piece if self.concept else ""
        return next((entry.piece for entry in self.concept if entry.id == self.token), first)

    @property
    def own(self) -> tuple[ConceptEntry, ...]:
        """What it would have fed, if nobody had changed it."""
        return (self.change and self.change.instead_of) or self.concept


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """What the answer would be, if the thinking ended in place of its last step."""

    event: ClassVar[str] = "lens"
    index: int
    """Of that step: it was told, and is not fed yet."""
    text: str
    """The likeliest answer, or its beginning."""
    entropy: float
    """Nats: the highest of its tokens, its end among them; what `sure_entropy` is compared with."""
    whole: bool
    """Whether it ends there."""
    elapsed_s: float
    """Since the thinking began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """The thinking has ended."""

    event: ClassVar[str] = "halted"
    reason: HaltReason
    steps: int
    injected: str
    """What was put behind the thoughts to open the answer; empty if the model did it itself."""
    probes: int = 0
    """How often the lens, or a rule that halts, has looked ahead at the answer."""
    probe_tokens: int = 0
    """Tokens that were decoded for that, beside the steps."""
    probe_s: float = 0.0
    """Seconds that it took, of those of the thinking."""
    closing: int | None = None
    """How many of the last steps spelled what ended it: a tag or the end, and no thoughts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerToken:
    """A token of the answer, and the distribution that it was drawn from.

    That is the model's own, at T = 1, before the filters and the repeat penalty.
    """

    id: int
    piece: str
    probability: float
    entropy: float
    """Nats."""
    alternatives: tuple[ConceptEntry, ...]
    """The likeliest other tokens, with their probabilities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The next piece of the answer."""

    event: ClassVar[str] = "answer"
    text: str
    """Empty where what a token spells is held back: it may be half a character, or half a tag."""
    token: AnswerToken | None = None
    """The token that came last, if that was to be kept (`answer_entropy`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The last event of a run that did not fail."""

    event: ClassVar[str] = "finished"
    finish_reason: FinishReason
    answer: str
    steps: int
    answer_tokens: int
    think_s: float
    answer_s: float
    total_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """The last event of a run that failed."""

    event: ClassVar[str] = "error"
    kind: str
    message: str
    hint: str

    @classmethod
    def of(cls, error: SoftchatError) -> Error:
        """The event that tells of this error."""
        return cls(kind=error.kind, message=error.message, hint=error.hint)


Event = Started | Prefill | Step | Lens | Halted | Answer | Finished | Error
_KINDS = {kind.event: kind for kind in get_args(Event)}


def was_interrupted(events: Sequence[Event]) -> bool:
    """Whether the user stopped the run whose events these are."""
    last = events[-1] if events else None
    return isinstance(last, Finished) and last.finish_reason is FinishReason.INTERRUPTED


_NAMES: dict[type, list[str]] = {
    kind: [field.name for field in fields(kind)]
    for kind in (*get_args(Event), ModelInfo, ConceptEntry, AnswerToken, Parting, Change, Noise)
}


def to_dict(value: Event) -> dict[str, Any]:
    """The event as a JSON object, its kind under `event`; without the fields that are None."""
    return {"event": value.event, **_plain(value)}


def to_json(value: Event) -> str:
    """The event as one line of JSON (no line break inside, valid UTF-8, finite numbers)."""
    line = json.dumps(to_dict(value), ensure_ascii=False, allow_nan=False)
    # Half a character, as of a name that is not UTF-8, no file can hold.
    return line if line.isascii() else line.encode(errors="replace").decode()


def _plain(value: Any) -> Any:  # noqa: ANN401  # whatever JSON holds
    # Not dataclasses.asdict: it deep-copies, at several times the cost, once a step.
    if type(value) is tuple:
        return [_plain(item) for item in value]
    names = _NAMES.get(type(value))
    if names is None:
        return value
    held = ((name, getattr(value, name)) for name in names)
    return {name: _plain(one) for name, one in held if one is not None}


def from_dict(value: object) -> Event:
    """The event that `to_dict` made this of. Fields that it does not know are passed over.

    Raises:
        ValueError: it is none: a field is missing, or of another type; the message says which.

    """
    name = value.get("event") if isinstance(value, dict) else None
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError("no event of a run")
    made: Event = read(value, kind, name or "")
    return made


def told_last(told: Iterable[Step | Lens]) -> list[Step | Lens]:
    """Those that count: a step that is told again takes the place of all from its index on."""
    kept: list[Step | Lens] = []
    for one in told:
        if isinstance(one, Step) and kept and one.index <= kept[-1].index:
            kept = [other for other in kept if other.index < one.index]
        kept.append(one)
    return kept
