"""Every knob of a run, with its range, in one place. Knows nothing of flags, files or models.

The command line, models.toml and a user's own configuration all give values for these names; who
wins is decided by `resolve`, the last layer named being the strongest. A strategy or a rule that
halts has its name and its knobs here, side by side, and its code in `thinking`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, get_type_hints

from softchat.errors import UsageError, check_type


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
    GAUSSIAN = "gaussian"
    """The concept token with Gaussian noise on its embedding (Soft Tokens, arXiv 2509.19170)."""
    MULTIPLEX = "multiplex"
    """The mean of several sampled tokens (Multiplex Thinking, arXiv 2601.08808)."""
    MIXED_INPUT = "mixed-input"
    """A sampled token mixed with the distribution (Mixture of Inputs, arXiv 2505.14827)."""
    SWITCHING = "switching"
    """Soft while unsure, hard while surer (SwiReasoning, arXiv 2510.05069)."""
    SELAR = "selar"
    """Soft while unsure, pushed away from the likeliest token (SeLaR, arXiv 2604.08299)."""
    ADAPTIVE = "adaptive"
    """Soft where a mixture is close to a token, hard elsewhere and in repetitions: softchat's."""
    THINKROUTER = "thinkrouter"
    """Soft while confident, a sampled token where not (ThinkRouter, arXiv 2602.11683)."""


class MultiplexWeights(StrEnum):
    """What a draw of `multiplex` weighs."""

    EQUAL = "equal"
    """Each as much as any other."""
    PROBABILITY = "probability"
    """As much as its token is likely."""


class HaltRule(StrEnum):
    """What ends the thinking early, by a look ahead at the answer."""

    NONE = "none"
    SURE = "sure"
    """Each token of the answer has a low entropy: the answer is settled."""
    EAT = "eat"
    """The entropy behind the closing tag has come to rest (EAT, arXiv 2509.26522)."""
    DEER = "deer"
    """The tokens of a trial answer are likely on the mean (DEER, arXiv 2504.15895)."""
    AGREE = "agree"
    """The last few trial answers are the same (Dynasor, arXiv 2412.20993)."""


class HaltAt(StrEnum):
    """Where such a rule looks ahead."""

    OWN = "own"
    """As their authors do: `sure` at lines, `eat` at paragraphs, `deer` at words, `agree` at steps.
    """
    LINE = "line"
    PARAGRAPH = "paragraph"
    WORD = "word"
    STEPS = "steps"


class Effort(StrEnum):
    """How much a model is asked to think, where its chat template has a switch for that."""

    OWN = "own"
    """As the template does when nobody says."""
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


_SOFT = (
    "soft",
    "gumbel",
    "dirichlet",
    "gaussian",
    "mixed-input",
    "switching",
    "adaptive",
    "thinkrouter",
)
_MIXING = (*_SOFT, "multiplex", "selar")
_LOOKING = ("sure", "eat", "deer", "agree")
_LENS = "lens"
_NEVER = "0: never"  # how the help of a setting ends whose 0 turns off what it is about
_LOOKS_AT = {
    "halt_word": (HaltAt.WORD, HaltRule.DEER),
    "halt_every": (HaltAt.STEPS, HaltRule.AGREE),
}
"""Where a rule looks ahead for a setting to count, and whose own way that is."""


def _knob(
    default: Any,  # noqa: ANN401  # as dataclasses.field
    help_: str,
    low: float | None = None,
    high: float | None = None,
    *,
    group: str = "",
    of: str | tuple[str, ...] = (),
    beside: str = "",
) -> Any:  # noqa: ANN401
    """A setting.

    Args:
        default: its value if nobody gives one.
        help_: what it does.
        low: its least value; of text, None.
        high: its largest value.
        group: under which heading help has it; empty: among the common ones.
        of: the strategies or rules that use it, or the lens; empty: all do.
        beside: another setting, that leaves it without effect by being 0.

    """
    names = (of,) if isinstance(of, str) else of
    metadata = {"help": help_, "low": low, "high": high, "group": group, "of": names}
    metadata["beside"] = beside
    return field(default=default, metadata=metadata)


def _own(
    of: str,
    default: Any,  # noqa: ANN401  # as dataclasses.field
    help_: str,
    low: float | None = None,
    high: float | None = None,
) -> Any:  # noqa: ANN401
    """A setting of one strategy or halting rule, whose name its help begins with."""
    group = HALTING if of in _LOOKING else STRATEGIES
    return _knob(default, f"{of}: {help_}", low, high, group=group, of=of)


FILTERS = "Which tokens are mixed or drawn"
GUARDS = "Thinking that has come to nothing"
PROMPT = "How the model is asked"
ANSWER = "The answer"
HALTING = "Halting early (--halt)"
LENS = "Looking ahead while it thinks (--lens)"
STRATEGIES = "Knobs of one strategy"


def _filter(
    default: Any,  # noqa: ANN401  # as dataclasses.field
    help_: str,
    high: float | None = None,
    *,
    answer: bool = False,
) -> Any:  # noqa: ANN401
    """A setting that leaves tokens out: with a temperature of 0 all but one are anyway."""
    group, beside = (ANSWER, "answer_temperature") if answer else (FILTERS, "temperature")
    return _knob(default, help_, 0, high, group=group, beside=beside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Why a setting has no effect on a run."""

    beside: str
    """The other setting, with its value, that leaves it without."""
    unlike: str
    """What that would have to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one run.

    Raises:
        UsageError: a value is not of its type, not finite, or out of its range.

    """

    strategy: StrategyName = _knob(StrategyName.SOFT, "How the thinking goes on")
    tau: float = _knob(0.01, "Entropy in nats under which a step counts as cold; 0: never", 0)
    patience: int = _knob(256, "Cold steps in a row that end the thinking", 1, beside="tau")
    topn: int = _knob(10, "Tokens mixed into a concept token", 1, of=_SOFT, beside="temperature")
    temperature: float = _knob(0.6, "Temperature of the thinking; 0: argmax", 0)
    max_think: int = _knob(1024, "Steps of thinking at the most; 0: answer at once", 0)
    halt: HaltRule = _knob(HaltRule.NONE, "What ends the thinking early, by a look at the answer")
    answer_temperature: float = _knob(0.6, "Temperature of the answer; 0: argmax", 0)
    max_answer: int = _knob(1024, "Tokens of answer at the most", 1)
    seed: int = _knob(0, "Seed of all random draws", 0, 2**32 - 1)

    think: bool = _knob(True, "Think before the answer, or answer at once", group=PROMPT)
    effort: Effort = _knob(
        Effort.OWN, "How much to think, if the chat template can be told", group=PROMPT
    )
    closing: str = _knob(
        "", r"Words that end the thoughts when softchat closes them; \n: a line break", group=PROMPT
    )
    raw_special: bool = _knob(
        False, "Read markers such as <|im_end|> in what is typed as the model's own", group=PROMPT
    )

    top_k: int = _filter(30, "Keep the k likeliest tokens; 0: all")
    top_p: float = _filter(0.95, "Keep the likeliest tokens up to this mass", 1)
    min_p: float = _filter(0.001, "Drop tokens less likely than this share of the likeliest", 1)

    loop_steps: int = _knob(
        48, "Steps of pure repetition that end the thinking; 0: never", 0, group=GUARDS
    )
    drift_steps: int = _knob(
        12, "Mixtures in a row, made in drift, that end it; 0: never", 0, group=GUARDS, of=_MIXING
    )
    drift_entropy: float = _knob(
        2.5,
        "Entropy in nats above which a mixture counts as drift",
        0,
        group=GUARDS,
        of=_MIXING,
        beside="drift_steps",
    )

    answer_top_k: int = _filter(30, "As --top-k, for the answer", answer=True)
    answer_top_p: float = _filter(0.95, "As --top-p, for the answer", 1, answer=True)
    answer_min_p: float = _filter(0.0, "As --min-p, for the answer", 1, answer=True)
    answer_repeat: float = _knob(
        1.0,
        "Repeat penalty of long answers, from their 33rd token on; 1: none",
        1,
        10,
        group=ANSWER,
    )
    answer_loop: int = _knob(
        48, "Tokens of pure repetition that end the answer; 0: never", 0, group=ANSWER
    )
    stop: str = _knob(
        "", r"Text that ends the answer; several: a|b; \n: a line break", group=ANSWER
    )
    answer_entropy: bool = _knob(
        False, "Keep of each token of the answer its entropy and what else was likely", group=ANSWER
    )

    lens: bool = _knob(
        False, "Show at each line's end what it would answer now; a look costs steps", group=LENS
    )
    lens_every: int = _knob(
        0, "Look every so many steps instead; 0: at each line's end", 0, group=LENS, of=_LENS
    )
    lens_tokens: int = _knob(
        12, "Tokens of answer that a look decodes at the most", 1, 256, group=LENS, of=_LENS
    )

    halt_at: HaltAt = _knob(
        HaltAt.OWN, "Where it looks ahead; own: where its authors do", group=HALTING, of=_LOOKING
    )
    halt_word: str = _knob("Wait", "The word, with --halt-at word", group=HALTING, of=_LOOKING)
    halt_every: int = _knob(
        64, "Steps between looks, with --halt-at steps", 1, group=HALTING, of=_LOOKING
    )
    halt_cue: str = _knob(
        "", "Text behind the closing tag in a look ahead", group=HALTING, of=(*_LOOKING, _LENS)
    )
    sure_entropy: float = _own("sure", 0.2, "entropy in nats under which a token is; 0: never", 0)
    eat_alpha: float = _own("eat", 0.2, "weight of the newest entropy", 0.001, 1)
    eat_variance: float = _own("eat", 0.001, "moving variance under which it halts", 0)
    eat_probes: int = _own("eat", 0, "looks at the least; 0: 4 / alpha", 0)
    deer_confidence: float = _own("deer", 0.95, "mean probability from which it halts", 0, 1)
    deer_probes: int = _own("deer", 10, "looks at the most; 0: any number", 0)
    agree_count: int = _own("agree", 3, "trial answers in a row that are the same", 1)

    gumbel_temperature: float = _own("gumbel", 0.5, "how even the noisy weights are", 0.01)
    dirichlet_concentration: float = _own("dirichlet", 1.0, "the higher, the less noise", 0.01)
    gaussian_sigma: float = _own("gaussian", 0.33, "noise, as a share of the rows' RMS", 0, 1000)
    multiplex_k: int = _own("multiplex", 3, "tokens drawn a step; 1: hard", 1, 1024)
    multiplex_weights: MultiplexWeights = _own(
        "multiplex", MultiplexWeights.EQUAL, "what a draw weighs"
    )
    mixed_beta: float = _own("mixed-input", 1.0, "the higher, the more of the drawn token", 0)
    switch_window: int = _own("switching", 512, "least steps of a hard block", 1)
    switch_alpha: float = _own(
        "switching", 1.0, "weight beside the opening tag on turning soft", 0, 1
    )
    switch_beta: float = _own(
        "switching", 0.7, "weight beside the closing tag on turning hard", 0, 1
    )
    switch_converge: int = _own(
        "switching", 0, "turns to hard that close the thinking; 0: never", 0
    )
    switch_terminate: int = _own("switching", 0, "turns to hard that force the answer; 0: never", 0)
    selar_k: int = _own("selar", 3, "tokens of a mixture", 2)
    selar_threshold: float = _own(
        "selar", 0.5, "soft from this share of the largest entropy of k tokens", 0, 1
    )
    selar_strength: float = _own("selar", 1.0, "push away from the likeliest token; 0: none", 0, 3)
    adaptive_peak: float = _own(
        "adaptive", 0.6, "soft where the likeliest has this probability", 0, 1
    )
    router_peak: float = _own(
        "thinkrouter", 0.6, "soft where the likeliest has this probability", 0, 1
    )

    def __post_init__(self) -> None:
        for knob in fields(self):
            checked = check(knob.name, getattr(self, knob.name))
            object.__setattr__(self, knob.name, checked)

    def uses(self, name: str) -> bool:
        """Whether a run with these settings looks at setting `name` at all."""
        return self.idle(name) is None

    def idle(self, name: str) -> Idle | None:
        """Why a run with these settings does not look at setting `name`; None: it does."""
        of, beside = KNOBS[name].metadata["of"], KNOBS[name].metadata["beside"]
        if name in _OF_THOUGHT and not self.think:
            return Idle(beside="think off", unlike="think on")
        if name in _OF_STEPS and not self.max_think:
            return Idle(beside="max_think 0", unlike="max_think above 0")
        if of and not (self.strategy in of or self.halt in of or (self.lens and _LENS in of)):
            return self._of_others(of)
        if name in _LOOKS_AT:
            at, rule = _LOOKS_AT[name]
            if not (self.halt is rule if self.halt_at is HaltAt.OWN else self.halt_at is at):
                return Idle(beside=f"halt_at {self.halt_at}", unlike=f"halt_at {at}")
        if beside and not getattr(self, beside):
            return Idle(beside=f"{beside} 0", unlike=f"{beside} above 0")
        if name == "multiplex_weights" and self.multiplex_k == 1:
            return Idle(beside="multiplex_k 1", unlike="multiplex_k above 1")
        return None

    def _of_others(self, of: tuple[str, ...]) -> Idle:
        """Why a setting is idle that is of none of what these have chosen."""
        rules = [one for one in of if one in _LOOKING]
        if rules:
            lens = ", or with lens on" if _LENS in of else ""
            return Idle(beside=f"halt {self.halt}", unlike=f"halt {_either(rules)}{lens}")
        if _LENS in of:
            return Idle(beside="lens off", unlike="lens on")
        return Idle(beside=f"strategy {self.strategy}", unlike=f"strategy {_either(of)}")

    def refuse_idle(self, names: Iterable[str], *, shown: Callable[[str], str] = str) -> None:
        """Raise UsageError if a run with these settings does not look at one of those named.

        A 0 that means never may be said where it never is anyway.

        Args:
            names: of settings that were asked for.
            shown: a name as the user has written it.

        """
        for name in names:
            never = not getattr(self, name) and KNOBS[name].metadata["help"].endswith(_NEVER)
            if not never and (idle := self.idle(name)):
                said = f"{shown(name)} does nothing with {idle.beside}"
                raise UsageError(said, hint=f"it does with {idle.unlike}")

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values by name, as the `started` event carries them."""
        return {
            name: str(value) if isinstance(value, StrEnum) else value
            for name, value in asdict(self).items()
        }


KNOBS = {knob.name: knob for knob in fields(Settings)}
_OF_THOUGHT = {
    name
    for name, knob in KNOBS.items()
    if knob.metadata["group"] not in (PROMPT, ANSWER)
    and name not in ("answer_temperature", "max_answer", "seed")
} | {"closing"}
"""Settings that nothing looks at where there is no thinking…"""
_OF_STEPS = _OF_THOUGHT - {"max_think", "closing"}
"""…and where it has no step: the tag that closes it is written all the same."""
_TYPES: dict[str, Any] = get_type_hints(Settings)  # each a type
_SWITCHED = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}
LONGEST = 200  # characters of a text
FAR_OFF = 0.65  # two names that are less alike are no slip: 'log' and 'closing' are 0.6


def check(name: str, value: object) -> str | float:
    """The value of setting `name`, as its own type and inside its range.

    Raises:
        UsageError: there is no such setting, or it can't have this value.

    """
    knob = KNOBS.get(name)
    if knob is None:
        near = difflib.get_close_matches(name.lower(), KNOBS, n=1, cutoff=FAR_OFF)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(KNOBS)}"
        raise UsageError(f"no setting '{name}'", hint=hint)
    kind = _TYPES[name]
    if issubclass(kind, StrEnum):
        names = [str(member) for member in kind]
        if value not in names:
            raise UsageError(f"{name} is {value!r:.99}", hint=f"it can be: {', '.join(names)}")
        member: str = kind(value)
        return member
    if issubclass(kind, str):
        if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
            hint = f"it must be text without line breaks, of at most {LONGEST} characters"
            raise UsageError(f"{name} is {value!r:.99}", hint=hint)
        if name == "stop" and value and not value.strip("|"):
            hint = "| stands between texts, as in a|b; it can't be one itself"
            raise UsageError(f"{name} is {value!r}: no text", hint=hint)
        return value
    if kind is bool:
        if not isinstance(value, bool):
            raise UsageError(f"{name} is {value!r:.99}", hint="it can be: on, off")
        return value
    wanted = "a whole number" if kind is int else "a number"
    accepted = int if kind is int else int | float
    if isinstance(value, bool) or not isinstance(value, accepted) or not _is_finite(value):
        raise UsageError(f"{name} is {value!r:.99}", hint=f"it must be {wanted}{_range(knob)}")
    low, high = knob.metadata["low"], knob.metadata["high"]
    if (low is not None and value < low) or (high is not None and value > high):
        raise UsageError(f"{name} is {value}", hint=f"it must be {wanted}{_range(knob)}")
    return float(value) if kind is float else int(value)


def parse(name: str, text: str) -> str | float:
    """The value of setting `name` that somebody typed. Raises as `check` does."""
    kind = _TYPES.get(name, str)
    if issubclass(kind, str):
        return check(name, text)
    if kind is bool:
        return check(name, _SWITCHED.get(text.lower(), text))
    try:
        return check(name, kind(text) + kind())  # -0.0 is 0.0
    except (ValueError, OverflowError):
        return check(name, text)  # says what it must be


def is_switch(name: str) -> bool:
    """Whether `name` is a setting that is on or off."""
    return _TYPES.get(name) is bool


def is_text(name: str) -> bool:
    """Whether the value of setting `name` is any text."""
    return _TYPES[name] is str


def choices(name: str) -> list[str]:
    """The values that setting `name` can have, if they can be listed."""
    kind = _TYPES[name]
    if kind is bool:
        return ["on", "off"]
    return [str(member) for member in kind] if issubclass(kind, StrEnum) else []


def _either(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


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


def check_settings(value: object) -> None:
    """Raise UsageError unless this is a `Settings`."""
    check_type("settings", value, Settings, "a Settings, as Settings(tau=0.1)")


def resolve(*layers: Mapping[str, object]) -> Settings:
    """Settings from layers of values; of those that name a setting, the last one counts.

    `hard` is the baseline, ordinary chain of thought, so it has no cold stop (tau 0) unless a layer
    that is stronger than the first (the model's own defaults) sets tau. And whoever sets
    sure_entropy or lens_every alone means the rule, or the lens, that it is of.
    """
    values: dict[str, object] = {}
    for layer in layers:
        values |= layer
    chosen = any("tau" in layer for layer in layers[1:])
    if values.get("strategy") == StrategyName.HARD and not chosen:
        values["tau"] = 0.0
    if "halt" not in values and values.get("sure_entropy"):
        values["halt"] = HaltRule.SURE
    if "lens" not in values and values.get("lens_every"):
        values["lens"] = True
    checked: dict[str, Any] = {name: check(name, value) for name, value in values.items()}
    return Settings(**checked)
