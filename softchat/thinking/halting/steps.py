"""Halting rules that read the steps: cold stop, loop, drift, closing tag. Knows no engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from softchat.thinking.repetition import Repetition


class ColdStop:
    """Soft Thinking's own rule: the model has been sure for `patience` steps in a row.

    A step is cold if H(p) < τ, so with τ = 0 none ever is. (arXiv 2505.15778, section 3.2.)
    """

    def __init__(self, *, tau: float, patience: int) -> None:
        self._tau = tau
        self._patience = patience
        self.below = 0
        """Cold steps in a row up to now."""

    def update(self, entropy: float) -> bool:
        """Count a step of this entropy (nats); whether the thinking should end here."""
        self.below = self.below + 1 if entropy < self._tau else 0
        return self.below >= self._patience


class Loop:
    """The text of the thoughts goes in circles. 0 steps: it is never said to.

    Its last `steps` tokens or more are one block of at most 64, three times over or more. Lists and
    tables repeat themselves too, but for a number or a word in each row, which is enough.
    """

    _COPIES = 3

    def __init__(self, *, steps: int) -> None:
        self._steps = steps
        self._repetition = Repetition()

    def update(self, token: int) -> bool:
        """Add the token of a step; whether the thinking should end here."""
        if not self._steps:
            return False
        self._repetition.add(token)
        return self._repetition.tokens(self._COPIES) >= self._steps


class Drift:
    """The model has lost the thread. 0 steps: it is never said to.

    It was fed `steps` mixtures in a row at H > `entropy`. A text that makes sense has sure steps in
    it, such as the ends of words, also where it could go on in many ways; between mixtures that
    resemble no token there are none. A single token, fed as it is, always resembles one.
    """

    def __init__(self, *, entropy: float, steps: int) -> None:
        self._entropy = entropy
        self._steps = steps
        self._above = 0

    def update(self, entropy: float, *, mixed: bool) -> bool:
        """Count a step of this entropy (nats), mixed or not; whether the thinking should end."""
        self._above = self._above + 1 if mixed and entropy > self._entropy else 0
        return 0 < self._steps <= self._above


class TagBegun:
    """Whether the tokens of the thoughts end in a beginning of the closing tag: what it is in.

    A tag of one token has none.
    """

    def __init__(self, tag: Sequence[int]) -> None:
        self._tag = tag
        self._matched = 0

    def update(self, token: int) -> bool:
        """Add the token of a step; whether a tag has begun, or goes on, with it."""
        going = self._matched < len(self._tag) and token == self._tag[self._matched]
        begins = bool(self._tag) and token == self._tag[0]
        self._matched = self._matched + 1 if going else int(begins)
        return self._matched > 0 and len(self._tag) > 1


class ClosingTag:
    """Whether the path of likeliest tokens has spelled the closing tag, in one token or several."""

    def __init__(self, tag: str) -> None:
        self._tag = tag.encode()
        self._tail = b""
        self._lengths: deque[int] = deque(maxlen=len(self._tag))

    def update(self, piece: bytes) -> bool:
        """Add the piece of the next token; whether the tag is complete now."""
        if not self._tag:
            return False
        self._tail += piece
        self._lengths.append(len(piece))
        return self._tag in self._tail or self._forget()

    def _forget(self) -> bool:
        self._tail = self._tail[-len(self._tag) :]
        return False

    @property
    def rest(self) -> bytes:
        """What the last token spelled behind the tag: it belongs to the answer."""
        return self._tail.partition(self._tag)[2]

    @property
    def tokens(self) -> int:
        """How many of the last tokens spelled the tag; the first may have begun before it."""
        before = len(self._tag) + len(self.rest)
        for count, length in enumerate(reversed(self._lengths), 1):
            before -= length
            if before <= 0:
                return count
        return len(self._lengths)
