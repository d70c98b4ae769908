"""Concept tokens, made of logits: softmax, entropy, what is kept, the mixture of embedding rows.

Numpy arrays; knows nothing of models, files or terminals.

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
import threading
from dataclasses import dataclass

import numpy as np

from softchat.base.arrays import Floats, Ids
from softchat.errors import BROKEN_NUMBERS, NumericsError

# exp(-87) is the smallest power of e that float32 holds without denormals, which are slow. What is
# less likely than that adds nothing to a sum in float32.
_FLOOR = np.float32(-87.0)
_LEAST = 2e-38  # a little more than exp(_FLOOR)
_ROW = 4096  # values to a sum; for longer ones BLAS wakes threads of its own, in the engine's way
_GROUP = 64  # values to a group, see `_heaviest`
_ONES = np.ones(_ROW, np.float32)
_MEMBERS = np.arange(_GROUP)[:, None]
_local = threading.local()


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """What is kept of a distribution: token ids, likeliest first, and weights that sum to 1.

    A weight can be negative: the mixture is then pushed away from that token.
    """

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
        logits: (V,) float32; may hold -inf. Only read, and of use as long as they stay as they are.
        temperature: T. 0 stands for the limit: all weight on the argmax. The entropy is then that
            of T = 1, as the limit's own is 0 at every step and would say nothing.

    Raises:
        ValueError: the logits are not (V,).
        NumericsError: they hold NaN, +inf or nothing but -inf.

    """

    def __init__(self, logits: Floats, temperature: float = 1.0) -> None:
        if logits.ndim != 1 or logits.size == 0:
            raise ValueError(f"logits must be (V,), not {logits.shape}")
        self.size = logits.size
        """V, how many tokens the vocabulary has."""
        self._logits = logits
        self._maxima = _group_maxima(logits)
        self._peak = float(self._maxima.max())
        if not math.isfinite(self._peak):
            raise NumericsError("logits hold NaN or +inf, or nothing but -inf", hint=BROKEN_NUMBERS)
        # Bounded, as 0 times infinity is no number; the bounds are as cold as T = 0 already, and so
        # hot that all weights are alike.
        self._scale = max(1e-30, min(1.0 / temperature, 1e30)) if temperature else 1.0
        self._argmax_only = temperature == 0.0
        x, e = _scratch(-(-self.size // _ROW) * _ROW)
        self._shift(logits, out=x)
        np.exp(x, out=e)
        self._total = _dot(e, _ONES)  # Z = Σ exp(x), between 1 and V
        self._cross = _dot(e, x)  # Σ exp(x) x

    def _shift(self, logits: Floats, *, out: Floats) -> None:
        """x = log p + log Z of these logits, at most 0; what `out` has room for beyond: nothing."""
        real = out[: logits.size]
        out[logits.size :] = _FLOOR
        # Shifted first, scaled second: then the likeliest token is at 0 exactly.
        if (float(logits.min()) - self._peak) * self._scale > float(_FLOOR):
            np.subtract(logits, np.float32(self._peak), out=real)
            real *= np.float32(self._scale)
        else:
            with np.errstate(over="ignore"):
                np.subtract(logits, np.float32(self._peak), out=real)
                real *= np.float32(self._scale)
            np.maximum(real, _FLOOR, out=real)

    @property
    def entropy(self) -> float:
        """H(p) = -Σ p log p = log Z - Σ exp(x) x / Z, in nats; never negative."""
        return max(0.0, math.log(self._total) - self._cross / self._total)

    @property
    def peak(self) -> float:
        """The probability of the likeliest token."""
        return 1.0 / self._total

    def keep(self, *, topn: int, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0) -> Concept:
        """The heaviest tokens after top-k, top-p and min-p, n of them at most, renormalised.

        The filters work one after the other, as in the authors' reference implementation: top-p is
        taken of what top-k has left. The first token that reaches the mass top-p is kept, and the
        likeliest token always is. Equal logits are ordered by id.
        """
        if self._argmax_only:
            topn = 1
        # Each filter cuts a prefix of the sorted tokens, so only the longest prefix is looked for.
        ids = _heaviest(self._logits, self._maxima, min(self.size, top_k or topn))
        # Relative to the likeliest, which has 1.
        weights = np.empty(ids.size, np.float32)
        self._shift(self._logits[ids], out=weights)
        np.exp(weights, out=weights)
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


def _scratch(length: int) -> tuple[Floats, Floats]:
    """Two arrays of this thread's own, of any content, good until the next call.

    New ones at every step would come from the system as new pages, at a multiple of all else here.
    """
    held: tuple[Floats, Floats] | None = getattr(_local, "arrays", None)
    if held is None or held[0].size != length:
        held = _local.arrays = np.empty(length, np.float32), np.empty(length, np.float32)
    return held


def _group_maxima(values: Floats) -> Floats:
    """The maxima of groups that together hold all values: token i is in group i mod W.

    The tokens behind the last whole row of W are groups of their own, at the end.
    """
    width = values.size // _GROUP
    whole = width * _GROUP
    if not width:
        return values
    maxima = values[:whole].reshape(_GROUP, width).max(axis=0)
    return maxima if whole == values.size else np.concatenate([maxima, values[whole:]])


def _heaviest(values: Floats, maxima: Floats, count: int) -> Ids:
    """The indices of the `count` largest of the values, largest first, equal ones by index.

    Sorting a vocabulary costs several times what all else in a step does. The `count`-th largest of
    the maxima of disjoint groups is a lower bound of the `count`-th largest value, so only groups
    that reach it are looked into. Methods of arrays, not numpy's functions of the same names: those
    are Python, and run with cold caches at every step.
    """
    if count >= maxima.size:
        return (-values).argsort(kind="stable")[:count]
    width = values.size // _GROUP
    ordered = maxima.copy()
    ordered.partition(maxima.size - count)
    bound = ordered[maxima.size - count]
    (groups,) = (maxima >= bound).nonzero()
    ids = (_MEMBERS * width + groups[groups < width]).ravel()
    if values.size > width * _GROUP:
        ids = np.concatenate([ids, groups[groups >= width] + width * (_GROUP - 1)])
    found = values.take(ids)
    (reaching,) = (found >= bound).nonzero()
    order = (-found.take(reaching)).argsort(kind="stable")[:count]
    heaviest: Ids = ids.take(reaching.take(order))
    return heaviest


def _dot(a: Floats, b: Floats) -> float:
    """Σ a_i b_i over whole rows; a `b` of one row is repeated."""
    sums = np.vecdot(a.reshape(-1, _ROW), b.reshape(-1, _ROW))
    return float(sums.sum(dtype=np.float64))


def mixture(weights: Floats, rows: Floats) -> Floats:
    """The soft embedding s = Σ w_j E[v_j].

    Args:
        weights: (n,) float32, summing to 1.
        rows: (n, D) float32, the embedding rows E[v_j].

    Returns:
        (D,) float32. With n = 1 it is the row itself, bit for bit.

    """
    return weights @ rows
