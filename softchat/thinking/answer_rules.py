"""Rules of the answer: thinking tags that leak into it, stop strings, loops, the repeat penalty.

Knows text and logits, nothing of engines or events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from softchat.base.arrays import Floats

_WINDOW = 64  # tokens back for which a repetition is penalised, as in llama.cpp
_SHORT = 32  # tokens of an answer that is left alone: a sum or a name says its digits twice


class AnswerText:
    """The text of an answer as it may be shown: without thinking tags, up to a stop string.

    What may be the beginning of either is held back until it is known.

    Args:
        tags: taken out wherever they stand.
        stops: the first of them ends the text; it is not part of it.

    """

    def __init__(self, tags: Sequence[str], stops: Sequence[str] = ()) -> None:
        self._tags = tuple(tag for tag in tags if tag)
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False
        """Whether a stop string has come."""

    def feed(self, text: str) -> str:
        """Add text; what may be shown of it now."""
        if self.stopped:
            return ""
        self._held = _without(self._held + text, self._tags)
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._held = self._held[: min(found)]
            return self.finish()
        keep = max((_overlap(self._held, mark) for mark in self._tags + self._stops), default=0)
        shown, self._held = self._held[: len(self._held) - keep], self._held[-keep:] * bool(keep)
        return shown

    def finish(self) -> str:
        """What was held back, as nothing more comes."""
        rest, self._held = self._held, ""
        return rest


def _without(text: str, tags: Sequence[str]) -> str:
    for tag in tags:
        text = text.replace(tag, "")
    return text


def _overlap(text: str, mark: str) -> int:
    """How many of the last characters may be the beginning of `mark`."""
    longest = min(len(text), len(mark) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(mark[:n])), 0)


def stop_strings(setting: str) -> tuple[str, ...]:
    r"""The stop strings of the setting: `|` stands between several, `\n` is a line break."""
    return tuple(part.replace("\\n", "\n") for part in setting.split("|") if part)


class RepeatPenalty:
    """Makes the tokens of the answer's last 64 positions less likely (arXiv 1909.05858).

    Not in its first 32 tokens: short answers don't go in circles, and repeat digits. A logit above
    0 is divided by the penalty, one below is multiplied by it. 1: nothing changes.
    """

    def __init__(self, penalty: float) -> None:
        self._penalty = penalty
        self._last: deque[int] = deque(maxlen=_WINDOW)
        self._count = 0

    def add(self, token: int) -> None:
        """Count a token of the answer."""
        self._last.append(token)
        self._count += 1

    def apply(self, logits: Floats) -> Floats:
        """The logits, penalised; the same array if there is nothing to do."""
        if self._penalty == 1.0 or self._count < _SHORT:
            return logits
        ids = np.unique(np.fromiter(self._last, np.intp))
        changed = logits.copy()
        some = changed[ids]
        changed[ids] = np.where(some > 0, some / self._penalty, some * self._penalty)
        return changed
