"""How views say things: glyphs, numbers, and why a thinking ended. Knows nothing of streams."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from softchat.base.text import encodable, is_unicode, one_line, visible
from softchat.events import (
    Finished,
    FinishReason,
    Halted,
    HaltReason,
    Lens,
    ModelInfo,
    Parting,
    Step,
)

REASONS = {
    HaltReason.COLD_STOP: "cold stop",
    HaltReason.CLOSED: "closed by the model",
    HaltReason.END_OF_TEXT: "end of text",
    HaltReason.STEP_LIMIT: "step limit",
    HaltReason.CONTEXT_FULL: "context full",
    HaltReason.LOOP: "going in circles",
    HaltReason.DRIFT: "drifting",
    HaltReason.SURE: "the answer is settled",
    HaltReason.EAT: "its entropy is at rest",
    HaltReason.DEER: "the answer is likely",
    HaltReason.AGREE: "trial answers agree",
    HaltReason.CONVERGED: "enough switches",
    HaltReason.TERMINATED: "too many switches",
    HaltReason.ASKED: "you asked to",
    HaltReason.INTERRUPTED: "interrupted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """The signs a view draws with; each string of several is a scale, one cell a sign."""

    corner: str
    edge: str
    foot: str
    bar: str
    half: str
    cold: str
    rest: str
    levels: str
    """The sparkline's: the first is under τ, the others are from τ up."""
    dot: str
    ellipsis: str
    tau: str
    soft: str
    """The signs of a step's mode."""
    hard: str
    newline: str
    """Stands for a line break in a line."""
    encoding: str | None = None
    """What the pieces must fit into; None is UTF-8."""

    def piece(self, piece: str) -> str:
        """A token's piece, visible, in signs that the terminal has."""
        shown = visible(piece)
        if self.encoding is None:
            return shown
        return encodable(shown.translate(_ASCII_PIECE), self.encoding)

    def weight_bar(self, weight: float, cells: int) -> str:
        """A weight as a bar in a column of `cells`, to half a cell, and never nothing.

        One below 0 has a minus before it.
        """
        minus = "-" if weight < 0 else ""
        room = cells - len(minus)
        halves = max(1, round(min(abs(weight), 1.0) * room * 2))
        return (minus + self.bar * (halves // 2) + self.half * (halves % 2)).ljust(cells)

    def level(self, entropy: float, *, tau: float, top: float) -> str:
        """A sparkline's sign for an entropy up to `top`; the lowest is for those under τ only."""
        if entropy < tau:
            return self.levels[0]
        share = (entropy - tau) / (top - tau)
        return self.levels[1 + min(len(self.levels) - 2, int(share * (len(self.levels) - 1)))]

    def text(self, text: str) -> str:
        """Text (that `printable` has seen) in signs that the terminal has."""
        return text if self.encoding is None else encodable(text, self.encoding)


UNICODE = Glyphs(
    corner="╭",
    edge="│",
    foot="╰",
    bar="━",
    half="╸",
    cold="●",
    rest="○",
    levels="▁▂▃▄▅▆▇█",
    dot=" · ",
    ellipsis="…",
    tau="τ",
    soft="≈",
    hard="•",
    newline="⏎ ",
)
_ASCII_PIECE = str.maketrans({"·": "_", "␣": "_", "⏎": "\\n", "⇥": "\\t", "∅": "''", "␛": "^["})


def glyphs_for(encoding: str | None) -> Glyphs:
    """The signs for a terminal of this encoding: plain ASCII unless it is a Unicode one."""
    if is_unicode(encoding):
        return UNICODE
    return Glyphs(
        corner="+",
        edge="|",
        foot="+",
        bar="=",
        half="-",
        cold="*",
        rest=".",
        levels="_.:-=+*#",
        dot=" - ",
        ellipsis="~",
        tau="tau",
        soft="~",
        hard="*",
        newline=" / ",
        encoding=encoding or "ascii",
    )


def number(value: object, default: float = 0.0) -> float:
    """A setting as a number; a recording may hold anything."""
    # Past 2**63 a float is of no use here, and an int may not even become one.
    return float(value) if isinstance(value, int | float) and abs(value) < 2**63 else default


def nats(entropy: float) -> str:
    """An entropy in five cells."""
    return f"{entropy:5.3f}"[:5]


def short_nats(entropy: float) -> str:
    """An entropy in two digits: 0.021, 0.43, 3.1."""
    return f"{entropy:.1f}" if entropy >= 1 else f"{entropy:.2g}" if entropy >= 0.001 else "0"


def changed(step: Step, glyphs: Glyphs = UNICODE) -> str:
    """What its user has changed of a step, in words; empty if nothing."""
    if step.change is None:
        return ""
    said = []
    if own := step.change.instead_of:
        kept = {entry.id for entry in step.concept}
        left = [glyphs.piece(entry.piece) for entry in own if entry.id not in kept]
        only = len(step.concept) == 1
        said.append(
            f"{glyphs.piece(step.concept[0].piece)} alone" if only else f"without {' '.join(left)}"
        )
    if step.change.temperature is not None:
        said.append(f"temperature {step.change.temperature:g}")
    return ", ".join(said)


def parted(fork: Parting, glyphs: Glyphs = UNICODE) -> str:
    """Where a fork parts from the run that it is of, and by what."""
    said = [glyphs.piece(fork.taken)] if fork.taken else []
    said += [f"{name} {value}" for name, value in fork.settings.items()]
    words = f"fork at step {fork.step}" + (f": {', '.join(said)}" if said else "")
    return glyphs.text(one_line(words))


def looked(halted: Halted) -> str:
    """How often it looked ahead at the answer, and what that took; empty if it did not."""
    if not halted.probes:
        return ""
    times = plural(halted.probes, "time")
    took = f"{plural(halted.probe_tokens, 'token')}, {duration(halted.probe_s)}"
    return f"looked ahead {times}, {took}"


def would_answer(lens: Lens, glyphs: Glyphs, *, cells: int) -> str:
    """The answer that a look ahead has seen, as a line; one that goes on ends in dots."""
    more = "" if lens.whole else glyphs.ellipsis
    text = in_a_line(lens.text, max(1, cells - len(more)), ellipsis=glyphs.ellipsis)
    return glyphs.text(text.removesuffix(more) + more if more else text or "nothing")


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 0.1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def rate(count: int, seconds: float) -> str:
    """How many a second; empty if that can't be told."""
    if count <= 0 or seconds <= 0:
        return ""
    per_s = count / seconds
    return f"{per_s:.0f}/s" if per_s >= 9.95 else f"{per_s:.1f}/s"


def whereabouts(model: ModelInfo) -> str:
    """Where a model computes."""
    if not model.devices:
        return "all layers on the processor"
    return f"{plural(model.gpu_layers, 'layer')} on {' and '.join(model.devices)}"


def plural(count: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def in_a_line(text: str, cells: int, *, ellipsis: str = "…") -> str:
    """The text as one harmless line of at most so many cells."""
    from rich.cells import cell_len, set_cell_size

    line = one_line(" ".join(text.split()))
    if cell_len(line) <= cells:
        return line
    cut: str = set_cell_size(line, max(0, cells - len(ellipsis)))
    return cut.rstrip() + ellipsis


def cut_note(finished: Finished, max_answer: object) -> str:
    """What has cut an answer, and what to do about it; empty if it is whole."""
    match finished.finish_reason:
        case FinishReason.LENGTH:
            return f"the answer was cut here: {_limit(finished.answer_tokens, max_answer)}"
        case FinishReason.LOOP:
            return "the answer went in circles, and was ended here"
    return ""


def cut_notes(answers: Sequence[tuple[str, int]], max_answer: object) -> list[str]:
    """What has cut some of several answers: a line for each cause.

    Args:
        answers: why each has ended, and its tokens.
        max_answer: the setting.

    """
    limits = Counter(_limit(n, max_answer) for end, n in answers if end == FinishReason.LENGTH)
    notes = [f"{_share(n, len(answers))} cut: {limit}" for limit, n in limits.items()]
    if loops := sum(end == FinishReason.LOOP for end, _ in answers):
        notes.append(f"{_share(loops, len(answers))} ended, going in circles")
    return notes


def _share(count: int, answers: int) -> str:
    return f"{count} of {answers} answers {'was' if count == 1 else 'were'}"


def _limit(answer_tokens: int, max_answer: object) -> str:
    """What an answer of so many tokens came to, that was cut."""
    reached = answer_tokens >= number(max_answer, math.inf)
    return f"max_answer {max_answer}" if reached else "the context is full"


def sparkline_top(entropies: Iterable[float], tau: float) -> float:
    """The entropy at the upper edge of a sparkline: above τ, and above noise."""
    return max(*entropies, 2 * tau, 0.1)
