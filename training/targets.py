"""What is to be learned at each position, as arrays. Needs numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Likely = tuple[Sequence[int], Sequence[float]]
"""A distribution to learn: token ids and their weights, of sum 1."""


class Taught(Protocol):
    """A text to learn from."""

    @property
    def tokens(self) -> Sequence[int]:
        """(T,)."""

    @property
    def counts(self) -> Sequence[bool]:
        """Whether the model must learn to say each, (T,)."""

    @property
    def taught(self) -> Sequence[Likely]:
        """For the last positions: what to learn there instead of the token alone."""


def side_by_side(
    rows: Sequence[Likely],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Ids and weights of P distributions, (P, n) each; the shorter are filled up with zeros."""
    n = max(len(tokens) for tokens, _ in rows)
    ids, weights = np.zeros((len(rows), n), np.int64), np.zeros((len(rows), n), np.float32)
    for row, (tokens, shares) in enumerate(rows):
        ids[row, : len(tokens)], weights[row, : len(tokens)] = tokens, shares
    return ids, weights


def targets(batch: Sequence[Taught]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Ids and weights to learn at the batch's P positions that count, (P, n) each."""
    rows: list[Likely] = []
    for one in batch:
        plain = len(one.tokens) - len(one.taught)
        told = zip(one.tokens[:plain], one.counts[:plain], strict=True)
        rows += [((token,), (1.0,)) for token, counted in told if counted]
        rows += one.taught
    return side_by_side(rows)
