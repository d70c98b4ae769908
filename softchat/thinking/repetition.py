"""Whether a row of tokens has begun to repeat itself. Knows nothing of models."""

from __future__ import annotations

_LONGEST = 64  # tokens of a block that is looked for


class Repetition:
    """The blocks of tokens, of every length up to 64, that end with the last token and repeat.

    For each length it counts for how many tokens now each one has equalled the one that stood so
    far before it. Most have equalled none, so there is next to nothing to count at a step.
    """

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._places: dict[int, list[int]] = {}  # where each token stands, the last 64 places
        self._equal: dict[int, int] = {}  # by length of block

    def add(self, token: int) -> None:
        """Append a token."""
        here = len(self._tokens)
        near = [place for place in self._places.get(token, ()) if here - place <= _LONGEST]
        self._equal = {here - place: self._equal.get(here - place, 0) + 1 for place in near}
        self._places[token] = [*near, here]
        self._tokens.append(token)

    def tokens(self, copies: int) -> int:
        """How many of the last tokens are one block over and over, `copies` (2 or more) times."""
        return self._longest(copies)[0]

    def next_token(self, copies: int) -> int:
        """The token with which that goes on, if `tokens` is not 0."""
        return self._tokens[-self._longest(copies)[1]]

    def _longest(self, copies: int) -> tuple[int, int]:
        """Tokens of the longest such row, and the length of its block, the shortest of several."""
        made = [
            (equal + length, -length)
            for length, equal in self._equal.items()
            if equal >= (copies - 1) * length
        ]
        tokens, length = max(made, default=(0, 0))
        return tokens, -length
