"""Whether a row of tokens has begun to repeat itself. Knows nothing of models."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_LONGEST = 64  # tokens of a block that is looked for


class Repetition:
    """The blocks of tokens, of every length up to 64, that end with the last token and repeat.

    For each length it counts for how many tokens now each one has equalled the one that stood so
    far before it: a few sums over 64 numbers a token, however long the row is.
    """

    def __init__(self) -> None:
        self._lengths = np.arange(1, _LONGEST + 1)
        self._before = np.full(_LONGEST, -1)  # the last tokens, newest first
        self._equal = np.zeros(_LONGEST, np.intp)  # by length of block

    def add(self, token: int) -> None:
        """Append a token."""
        self._equal += 1
        self._equal *= self._before == token
        self._before[1:] = self._before[:-1]
        self._before[0] = token

    def tokens(self, copies: int) -> int:
        """How many of the last tokens are one block over and over, `copies` times or more."""
        return int(self._repeated(copies).max())

    def next_token(self, copies: int) -> int:
        """The token with which that would go on; any, if there is no such block."""
        return int(self._before[self._repeated(copies).argmax()])

    def _repeated(self, copies: int) -> npt.NDArray[np.intp]:
        """By length of block, how many of the last tokens it makes up; 0: too few copies."""
        return (self._equal + self._lengths) * (self._equal >= (copies - 1) * self._lengths)
