"""Every knob of a run, with its range, in one place. Knows nothing of flags, files or models.

The command line, models.toml and a user's own configuration all give values for these names; who
wins is decided by `resolve`, the last layer named being the strongest.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, get_type_hints

from softchat.errors import UsageError


class StrategyName(StrEnum):
    """How the thinking goes on from one step to the next."""

    SOFT = "soft"
    """The concept token itself (Soft Thinking, arXiv 2505.15778)."""
    HARD = "hard"
    """A sampled token: ordinary chain of thought, the baseline."""
    GUMBEL = "gumbel"
    """The concept token with Gumbel-softmax noise (arXiv 2508.03440)."""
    DIRICHLET = "dirichlet"
    """The concept token with Dirichlet noise (arXiv 2508.03440)."""
    MIXED_INPUT = "mixed-input"
    """A sampled token mixed with the distribution (Mixture of Inputs, arXiv 2505.14827)."""
    SWITCHING = "switching"
    """Soft while unsure, hard while surer (SwiReasoning, arXiv 2510.05069)."""
    ADAPTIVE = "adaptive"
    """Soft where a mixture is close to a token, hard elsewhere and in repetitions: softchat's."""


def _knob(default: Any, help_: str, low: float | None = None, high: float | None = None) -> Any:  # noqa: ANN401  # as dataclasses.field
    return field(default=default, metadata={"help": help_, "low": low, "high": high})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one run.

    Raises:
        UsageError: a value is not of its type, not finite, or out of its range.

    """

    strategy: StrategyName = _knob(StrategyName.SOFT, "How the thinking goes on")
    tau: float = _knob(0.01, "Entropy in nats under which a step counts as cold; 0: never", 0)
    patience: int = _knob(256, "Cold steps in a row that end the thinking", 1)
    topn: int = _knob(10, "Tokens mixed into a concept token", 1)
    temperature: float = _knob(0.6, "Temperature of the thinking; 0: argmax", 0)
    top_k: int = _knob(30, "Keep the k likeliest tokens; 0: all", 0)
    top_p: float = _knob(0.95, "Keep the likeliest tokens up to this mass", 0, 1)
    min_p: float = _knob(0.001, "Drop tokens less likely than this share of the likeliest", 0, 1)
    max_think: int = _knob(1024, "Steps of thinking at the most; 0: answer at once", 0)
    loop_steps: int = _knob(48, "Steps of pure repetition that end the thinking; 0: never", 0)
    drift_steps: int = _knob(12, "Mixtures in a row, made in drift, that end it; 0: never", 0)
    drift_entropy: float = _knob(2.5, "Entropy in nats above which a mixture counts as drift", 0)
    sure_entropy: float = _knob(
        0.0, "End it at a line's end if the answer's entropy would be under this; 0: never", 0
    )
    answer_temperature: float = _knob(0.6, "Temperature of the answer; 0: argmax", 0)
    answer_top_k: int = _knob(30, "As --top-k, for the answer", 0)
    answer_top_p: float = _knob(0.95, "As --top-p, for the answer", 0, 1)
    answer_min_p: float = _knob(0.0, "As --min-p, for the answer", 0, 1)
    max_answer: int = _knob(1024, "Tokens of answer at the most", 1)
    gumbel_temperature: float = _knob(0.5, "gumbel: how even the noisy weights are", 0.01)
    dirichlet_concentration: float = _knob(1.0, "dirichlet: the higher, the less noise", 0.01)
    mixed_beta: float = _knob(1.0, "mixed-input: the higher, the more of the drawn token", 0)
    switch_window: int = _knob(512, "switching: least steps of a hard block", 1)
    switch_alpha: float = _knob(
        1.0, "switching: weight beside the opening tag on turning soft", 0, 1
    )
    switch_beta: float = _knob(
        0.7, "switching: weight beside the closing tag on turning hard", 0, 1
    )
    switch_converge: int = _knob(0, "switching: turns to hard that close the thinking; 0: never", 0)
    switch_terminate: int = _knob(0, "switching: turns to hard that force the answer; 0: never", 0)
    adaptive_peak: float = _knob(
        0.6, "adaptive: soft where the likeliest has this probability", 0, 1
    )
    seed: int = _knob(0, "Seed of all random draws", 0, 2**32 - 1)

    def __post_init__(self) -> None:
        for knob in fields(self):
            checked = check(knob.name, getattr(self, knob.name))
            object.__setattr__(self, knob.name, checked)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values by name, as the `started` event carries them."""
        return {
            name: str(value) if isinstance(value, StrEnum) else value
            for name, value in asdict(self).items()
        }


KNOBS = {knob.name: knob for knob in fields(Settings)}
_TYPES: dict[str, type[StrEnum | float]] = get_type_hints(Settings)


def check(name: str, value: object) -> StrEnum | float:
    """The value of setting `name`, as its own type and inside its range.

    Raises:
        UsageError: there is no such setting, or it can't have this value.

    """
    knob = KNOBS.get(name)
    if knob is None:
        near = difflib.get_close_matches(name.lower(), KNOBS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(KNOBS)}"
        raise UsageError(f"no setting '{name}'", hint=hint)
    kind = _TYPES[name]
    if issubclass(kind, StrEnum):
        names = [str(member) for member in kind]
        if value not in names:
            raise UsageError(f"{name} is '{value}'", hint=f"it can be: {', '.join(names)}")
        return kind(value)
    wanted = "a whole number" if kind is int else "a number"
    accepted = int if kind is int else int | float
    if isinstance(value, bool) or not isinstance(value, accepted) or not _is_finite(value):
        raise UsageError(f"{name} is {value!r}", hint=f"it must be {wanted}{_range(knob)}")
    low, high = knob.metadata["low"], knob.metadata["high"]
    if (low is not None and value < low) or (high is not None and value > high):
        raise UsageError(f"{name} is {value}", hint=f"it must be {wanted}{_range(knob)}")
    return float(value) if kind is float else int(value)


def parse(name: str, text: str) -> StrEnum | float:
    """The value of setting `name` that somebody typed. Raises as `check` does."""
    kind = _TYPES.get(name, StrEnum)
    if issubclass(kind, StrEnum):
        return check(name, text)
    try:
        return check(name, kind(text))
    except (ValueError, OverflowError):
        return check(name, text)  # says what it must be


def choices(name: str) -> list[str]:
    """The values that setting `name` can have, if they can be listed."""
    kind = _TYPES[name]
    return [str(member) for member in kind] if issubclass(kind, StrEnum) else []


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def _range(knob: Field[Any]) -> str:
    low, high = knob.metadata["low"], knob.metadata["high"]
    if high is not None:
        return f" from {low} to {high}"
    return f" of at least {low}" if low is not None else ""


def resolve(*layers: Mapping[str, object]) -> Settings:
    """Settings from layers of values; of those that name a setting, the last one counts.

    `hard` is the baseline, ordinary chain of thought, so it has no cold stop (tau 0) unless a layer
    that is stronger than the first (the model's own defaults) sets tau.
    """
    values: dict[str, object] = {}
    for layer in layers:
        values |= layer
    chosen = any("tau" in layer for layer in layers[1:])
    if values.get("strategy") == StrategyName.HARD and not chosen:
        values["tau"] = 0.0
    checked: dict[str, Any] = {name: check(name, value) for name, value in values.items()}
    return Settings(**checked)
