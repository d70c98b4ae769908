"""Halting rules that look ahead at the answer (`--halt`): when to look, and what to make of it.

A rule is a trigger and a verdict. The trigger says at which steps to look; the verdict reads the
answer that the model would give there (`probe`), and says whether the thinking should end. Either
can be had with the other. To add a rule: its class, a line in `make_rule`, and its name and knobs
in `settings`. Knows nothing of strategies.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Iterator
from typing import Protocol

from softchat.events import HaltReason
from softchat.settings import LONGEST, HaltAt, HaltRule, Settings
from softchat.thinking.probe import Guess, Probe


class Trigger(Protocol):
    """Says at which steps to look ahead."""

    def update(self, piece: bytes) -> bool:
        """Add what the token of the next step spells; whether to look ahead before it is fed."""
        ...


class Verdict(Protocol):
    """Says of an answer whether the thinking should end before it.

    What it remembers of earlier ones is plain values: a copy of it remembers the same.
    """

    reason: HaltReason
    longest: int
    """Tokens of the answer that it reads at the most."""

    def judge(self, answer: Iterator[Guess]) -> bool:
        """Whether the thinking should end; it reads no more tokens than it must."""
        ...


class Rule:
    """A trigger and a verdict, on one probe."""

    def __init__(self, trigger: Trigger, verdict: Verdict, probe: Probe, *, most: int = 0) -> None:
        self._trigger, self._verdict, self._probe = trigger, verdict, probe
        self._most, self._looks = most, 0  # 0: any number of looks
        self.reason = verdict.reason

    def update(self, piece: bytes) -> bool:
        """Add what the token of the next step spells; whether the thinking should end before it."""
        if not self._trigger.update(piece) or 0 < self._most <= self._looks:
            return False
        self._looks += 1
        with self._probe.answer(self._verdict.longest) as answer:
            return self._verdict.judge(answer)

    def follow(self, piece: bytes) -> None:
        """Add what the token of a step spells that was made before; a look was taken then."""
        self._looks += self._trigger.update(piece)

    @property
    def seen(self) -> Verdict:
        """What the looks until now have come to."""
        return copy.copy(self._verdict)

    def recall(self, seen: Verdict) -> None:
        """Have seen this, and nothing else."""
        self._verdict = copy.copy(seen)


def make_rule(settings: Settings, probe: Probe, text_of: Callable[[list[int]], str]) -> Rule | None:
    """The rule that the settings name; None: none.

    Args:
        settings: of the run.
        probe: looks ahead.
        text_of: the text of tokens.

    """
    verdict: Verdict
    match settings.halt:
        case HaltRule.NONE:
            return None
        case HaltRule.SURE:
            verdict, own = Sure(entropy=settings.sure_entropy), HaltAt.LINE
        case HaltRule.EAT:
            verdict, own = _eat(settings), HaltAt.PARAGRAPH
        case HaltRule.DEER:
            verdict, own = Deer(confidence=settings.deer_confidence), HaltAt.WORD
        case HaltRule.AGREE:
            verdict, own = Agree(count=settings.agree_count, text_of=text_of), HaltAt.STEPS
    at = own if settings.halt_at is HaltAt.OWN else settings.halt_at
    most = settings.deer_probes if settings.halt is HaltRule.DEER else 0
    return Rule(_trigger(at, settings), verdict, probe, most=most)


def _eat(settings: Settings) -> Eat:
    return Eat(
        alpha=settings.eat_alpha,
        variance=settings.eat_variance,
        probes=settings.eat_probes or math.ceil(4 / settings.eat_alpha),
    )


def _trigger(at: HaltAt, settings: Settings) -> Trigger:
    match at:
        case HaltAt.PARAGRAPH:
            return AtText("\n\n")
        case HaltAt.WORD:
            return AtWord(settings.halt_word)
        case HaltAt.STEPS:
            return EverySteps(settings.halt_every)
    return AtText("\n")


class AtText:
    """Where the thoughts spell this text, whatever stands before it."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self._tail = b""

    def update(self, piece: bytes) -> bool:
        """See `Trigger`."""
        found = self._text in self._tail + piece
        # What is found counts once: of its own bytes none may help to find it again.
        kept = len(self._text) - 1
        joined = b"" if found else self._tail + piece
        self._tail = joined[-kept:] if kept else b""
        return found


class AtWord:
    """Where the thoughts come to a word, such as Wait; not within one."""

    _KEPT = 4 * LONGEST  # bytes: as long as a setting can be

    def __init__(self, word: str) -> None:
        self._pattern = re.compile(rb"(?<![\w])" + re.escape(word.encode()) + rb"(?![\w])")
        self._text = b""

    def update(self, piece: bytes) -> bool:
        """See `Trigger`."""
        seen = len(self._text)
        text = self._text + piece
        found = any(match.end() > seen for match in self._pattern.finditer(text))
        self._text = text[-self._KEPT :]
        return found


class EverySteps:
    """Every so many steps."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._count = 0

    def update(self, piece: bytes) -> bool:
        """See `Trigger`."""
        self._count = (self._count + 1) % self._steps
        return self._count == 0


class Sure:
    """The answer is settled: each of its tokens has H under `entropy` nats, its end among them."""

    reason = HaltReason.SURE
    longest = 12

    def __init__(self, *, entropy: float) -> None:
        self._entropy = entropy

    def judge(self, answer: Iterator[Guess]) -> bool:
        """See `Verdict`."""
        for guess in answer:
            if guess.entropy >= self._entropy:
                return False
            if guess.is_end:
                return True
        return False


class Eat:
    """EAT (arXiv 2509.26522): the entropy x behind the closing tag has come to rest.

        M = α x + (1 - α) M,  V = α (x - M)² + (1 - α) V

    from M = x and V = 0 at the first probe. It halts at V < δ, after so many probes at the least.
    """

    reason = HaltReason.EAT
    longest = 1

    def __init__(self, *, alpha: float, variance: float, probes: int) -> None:
        self._alpha, self._bound, self._least = alpha, variance, probes
        self._count = 0
        self._mean = self._variance = 0.0

    def judge(self, answer: Iterator[Guess]) -> bool:
        """See `Verdict`."""
        guess = next(answer, None)
        if guess is None:
            return False
        self._count += 1
        a, x = self._alpha, guess.entropy
        if self._count == 1:
            self._mean = x
        self._mean = a * x + (1 - a) * self._mean
        self._variance = a * (x - self._mean) ** 2 + (1 - a) * self._variance
        return self._count >= self._least and self._variance < self._bound


class Deer:
    """DEER (arXiv 2504.15895): the tokens of a trial answer are likely on the mean."""

    reason = HaltReason.DEER
    longest = 20

    def __init__(self, *, confidence: float) -> None:
        self._confidence = confidence

    def judge(self, answer: Iterator[Guess]) -> bool:
        """See `Verdict`. The end of the answer is no part of it."""
        peaks = [guess.peak for guess in answer if not guess.is_end]
        return bool(peaks) and sum(peaks) / len(peaks) >= self._confidence


class Agree:
    """Dynasor's rule (arXiv 2412.20993): the last `count` trial answers say the same.

    None of them is empty, and none holds a word of doubt.
    """

    reason = HaltReason.AGREE
    longest = 20
    _DOUBT = re.compile(r"\b(wait|hold|but|okay|no|hmm)\b", re.IGNORECASE)

    def __init__(self, *, count: int, text_of: Callable[[list[int]], str]) -> None:
        self._count, self._text_of = count, text_of
        self._last = ""
        self._same = 0

    def judge(self, answer: Iterator[Guess]) -> bool:
        """See `Verdict`."""
        text = self._text_of([guess.token for guess in answer if not guess.is_end])
        text = " ".join(text.split()).casefold()
        if not text or self._DOUBT.search(text):
            self._last, self._same = "", 0
            return False
        self._same = self._same + 1 if text == self._last else 1
        self._last = text
        return self._same >= self._count
