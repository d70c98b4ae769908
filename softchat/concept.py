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
_GROUP = 64  # logits to a group, see `_reaching`
_NEAR = np.float32(-9.0)  # nearer than this to the likeliest are often enough, and often few
_FEW = 1024


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
        if (least - peak) * float(scale) > float(_FLOOR):
            # Shifted first, scaled second: then the likeliest token is at 0 exactly.
            scaled = np.subtract(logits, np.float32(peak), dtype=np.float32)
            scaled *= scale
        else:
            with np.errstate(over="ignore"):
                scaled = np.subtract(logits, np.float32(peak), dtype=np.float32)
                scaled *= scale
            np.maximum(scaled, _FLOOR, out=scaled)
        exp = np.exp(scaled)
        self._scaled = scaled  # (V,) log p + log Z, at most 0
        self._exp = exp  # (V,) p Z
        self._total = float(exp.sum())  # Z, between 1 and V
        self._argmax_only = temperature == 0.0

    @property
    def size(self) -> int:
        """V, how many tokens the vocabulary has."""
        return int(self._exp.size)

    @property
    def entropy(self) -> float:
        """H(p) = -Σ p log p = log Z - Σ exp(x) x / Z, in nats; never negative."""
        # Not np.dot: BLAS would wake threads of its own, which then hold up the engine's.
        cross = float((self._exp * self._scaled).sum())
        return max(0.0, math.log(self._total) - cross / self._total)

    def keep(self, *, topn: int, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0) -> Concept:
        """The heaviest tokens after top-k, top-p and min-p, n of them at most, renormalised.

        The filters work one after the other, as in the authors' reference implementation: top-p is
        taken of what top-k has left. The first token that reaches the mass top-p is kept, and the
        likeliest token always is. Equal weights are ordered by id.
        """
        if self._argmax_only:
            topn = 1
        size = self._exp.size
        # Each filter cuts a prefix of the sorted tokens, so only the longest prefix is looked for.
        wanted = min(size, top_k or topn)
        ids = _heaviest(self._scaled, wanted)
        weights = self._exp[ids]  # relative to the likeliest, which has 1
        # What lies at the floor has no weight: -inf among it.
        likely = int(np.count_nonzero(weights >= max(min_p, _LEAST)))
        count = min(topn, max(likely, 1))
        if top_p < 1.0:
            cumulative = np.cumsum(weights, dtype=np.float64)
            mass = cumulative[-1] if top_k else self._total
            count = min(count, int(np.searchsorted(cumulative, top_p * mass)) + 1)
        kept = weights[:count]
        return Concept(ids=ids[:count], weights=kept / kept.sum())


def _heaviest(values: Floats, count: int) -> Ids:
    """The indices of the `count` largest of the values, largest first, equal ones by index.

    Args:
        values: (V,), the largest being 0.
        count: at most V.

    """
    candidates = np.flatnonzero(values > _NEAR)
    if not count <= candidates.size <= _FEW:
        candidates = _reaching(values, count)
    order = np.argsort(-values[candidates], kind="stable")
    return candidates[order[:count]]


def _reaching(values: Floats, count: int) -> Ids:
    """Indices, in order, of few values that hold the `count` largest and all their equals.

    Sorting a vocabulary costs several times what all else in a step does. The `count`-th largest of
    the maxima of disjoint groups is a lower bound of the `count`-th largest value, and few values
    reach it.
    """
    groups = values.size // _GROUP
    if count >= groups:
        return np.arange(values.size)
    maxima = values[: groups * _GROUP].reshape(_GROUP, groups).max(axis=0)
    bound = np.partition(maxima, groups - count)[groups - count]
    return np.flatnonzero(values >= bound)


def mixture(weights: Floats, rows: Floats) -> Floats:
    """The soft embedding s = Σ w_j E[v_j].

    Args:
        weights: (n,) float32, summing to 1.
        rows: (n, D) float32, the embedding rows E[v_j].

    Returns:
        (D,) float32. With n = 1 it is the row itself, bit for bit.

    """
    return weights @ rows
