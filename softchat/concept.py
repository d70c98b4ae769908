"""Concept tokens as numpy arrays. Knows nothing of models, files or terminals.

A concept token is a probability distribution over the vocabulary that stands where a single token
would stand. Its soft embedding is the mean of the token-embedding rows under that distribution
(Soft Thinking, arXiv 2505.15778, equations 1 to 4):

    p = softmax(logits / T)             the concept token            (V,)
    H(p) = -Σ p log p                   its entropy, in nats
    w = p over its heaviest n, / Σ      what is kept of it           (n,)
    s = Σ w_j E[v_j]                    the soft embedding           (D,)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.intp]

# exp(-87) is the smallest power of e that float32 holds without denormals, which are slow. What is
# less likely than that adds nothing to a sum in float32.
_FLOOR = np.float32(-87.0)
_LEAST = 2e-38  # a little more than exp(_FLOOR)
_BLOCK = 4096  # values to a block; the vocabulary is padded to whole ones
_GROUP = 64  # values to a group, see `_heaviest`
_ONES = np.ones(_BLOCK, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """What is kept of a distribution: token ids, heaviest first, and weights that sum to 1."""

    ids: Ids  # (n,)
    weights: Floats  # (n,)

    @property
    def argmax(self) -> int:
        """The likeliest token; of several, the one with the lowest id."""
        return int(self.ids[0])

    @classmethod
    def one_hot(cls, token: int) -> Concept:
        """A single token with weight 1."""
        return cls(ids=np.array([token], np.intp), weights=np.ones(1, np.float32))


class Distribution:
    """The next-token distribution p = softmax(logits / T), and what can be asked of it.

    Args:
        logits: (V,) float32; may hold -inf. Only read; not kept.
        temperature: T. 0 stands for the limit: all weight on the argmax. The entropy is then that
            of T = 1, as the limit's own is 0 at every step and would say nothing.

    Raises:
        ValueError: the logits are not (V,) or hold NaN, +inf or nothing but -inf.

    """

    def __init__(self, logits: Floats, temperature: float = 1.0) -> None:
        if logits.ndim != 1 or logits.size == 0:
            raise ValueError(f"logits must be (V,), not {logits.shape}")
        peak, least = float(logits.max()), float(logits.min())
        if not math.isfinite(peak):
            raise ValueError("logits hold NaN or +inf, or nothing but -inf")
        scale = np.float32(1.0 / temperature if temperature else 1.0)
        # Shifted first, scaled second: then the likeliest token is at 0 exactly.
        scaled = np.empty(-(-logits.size // _BLOCK) * _BLOCK, np.float32)
        real = scaled[: logits.size]
        scaled[logits.size :] = _FLOOR
        if (least - peak) * float(scale) > float(_FLOOR):
            np.subtract(logits, np.float32(peak), out=real)
            real *= scale
        else:
            with np.errstate(over="ignore"):
                np.subtract(logits, np.float32(peak), out=real)
                real *= scale
            np.maximum(real, _FLOOR, out=real)
        self.size = logits.size
        """V, how many tokens the vocabulary has."""
        self._scaled = scaled  # (V padded,) log p + log Z, at most 0
        self._exp = np.exp(scaled)  # (V padded,) p Z
        self._total = _dot(self._exp, _ONES)  # Z, between 1 and V
        self._argmax_only = temperature == 0.0

    @property
    def entropy(self) -> float:
        """H(p) = -Σ p log p = log Z - Σ exp(x) x / Z, in nats; never negative."""
        cross = _dot(self._exp, self._scaled)
        return max(0.0, math.log(self._total) - cross / self._total)

    def keep(self, *, topn: int, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0) -> Concept:
        """The heaviest tokens after top-k, top-p and min-p, n of them at most, renormalised.

        The filters work one after the other, as in the authors' reference implementation: top-p is
        taken of what top-k has left. The first token that reaches the mass top-p is kept, and the
        likeliest token always is. Equal weights are ordered by id.
        """
        if self._argmax_only:
            topn = 1
        # Each filter cuts a prefix of the sorted tokens, so only the longest prefix is looked for.
        ids = _heaviest(self._scaled, min(self.size, top_k or topn))
        weights = np.exp(self._scaled[ids])  # relative to the likeliest, which has 1
        listed: list[float] = weights.tolist()
        mass = top_p * (sum(listed) if top_k else self._total)
        count, reached = 0, 0.0
        for weight in listed:
            # What lies at the floor has no weight: -inf among it.
            if count and (count == topn or weight < min_p or weight < _LEAST):
                break
            count += 1
            reached += weight
            if top_p < 1.0 and reached >= mass:
                break
        kept = weights[:count]
        return Concept(ids=ids[:count], weights=kept / kept.sum())


def _heaviest(values: Floats, count: int) -> Ids:
    """The indices of the `count` largest of the values, largest first, equal ones by index.

    Sorting a vocabulary costs several times what all else in a step does. The `count`-th largest of
    the maxima of disjoint groups is a lower bound of the `count`-th largest value, and few values
    reach it.

    Args:
        values: whole blocks of them.
        count: how many at most.

    """
    maxima = values.reshape(_GROUP, -1).max(axis=0)
    if count < maxima.size:
        bound = np.partition(maxima, maxima.size - count)[maxima.size - count]
        ids = np.flatnonzero(values >= bound)
    else:
        ids = np.arange(values.size)
    order = np.argsort(-values[ids], kind="stable")
    return ids[order[:count]]


def _dot(a: Floats, b: Floats) -> float:
    """Σ a_i b_i over whole blocks; a `b` of one block is repeated.

    Block by block, because for longer sums BLAS wakes threads of its own, which then hold up the
    engine's.
    """
    blocks = np.vecdot(a.reshape(-1, _BLOCK), b.reshape(-1, _BLOCK))
    return float(blocks.sum(dtype=np.float64))


def mixture(weights: Floats, rows: Floats) -> Floats:
    """The soft embedding s = Σ w_j E[v_j].

    Args:
        weights: (n,) float32, summing to 1.
        rows: (n, D) float32, the embedding rows E[v_j].

    Returns:
        (D,) float32. With n = 1 it is the row itself, bit for bit.

    """
    return weights @ rows
