"""Rows through the model: what is told is read once, then its questions are thought about.

All rows of a batch have as many questions. What is shorter than others is filled up with
positions that belong to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.superposition.model import Cache, Model
from training.superposition.rows import NOBODY, Branch, Likely, Owners, Row, visible
from training.targets import side_by_side

Mixtures = tuple[Tensor, Tensor]
"""Weights and token ids of Q mixtures, (Q, n) each."""
Way = Callable[[Tensor], Mixtures]
"""Makes a thought of logits (Q, V)."""
_MIN_P, _TOPN = 0.02, 10
_CLOSING, _ANSWER = 0.3, 2.0  # what a token counts; a thought counts 1


def mixture(logits: Tensor, temperature: float = 1.0, topn: int = _TOPN) -> Mixtures:
    """Concept tokens as softchat makes them, with the filters that leave a frontier whole."""
    weights, ids = torch.softmax(logits / temperature, -1).topk(topn, -1)
    weights = weights * (weights >= _MIN_P * weights[:, :1])
    return weights / weights.sum(-1, keepdim=True), ids


def drawn(logits: Tensor) -> Mixtures:
    """One token each, drawn at temperature 1."""
    ids = torch.multinomial(torch.softmax(logits, -1), 1)
    return torch.ones(ids.shape, device=ids.device), ids


def likeliest(logits: Tensor) -> Mixtures:
    """The likeliest token of each."""
    return mixture(logits, topn=1)


def spread(mixtures: Sequence[Likely]) -> Mixtures:
    """Mixtures side by side; what has fewer tokens is filled up with zeros."""
    ids, weights = side_by_side(mixtures)
    return torch.from_numpy(weights), torch.from_numpy(ids)


def _filled(rows: Iterable[Sequence[int]], with_: int = 0) -> np.ndarray:
    """Rows of numbers or of pairs as one array, the shorter ones filled up at the end."""
    arrays = [np.array(row, np.int64) for row in rows]
    longest = max(map(len, arrays))
    return np.stack(
        [
            np.pad(a, [(0, longest - len(a)), *[(0, 0)] * (a.ndim - 1)], constant_values=with_)
            for a in arrays
        ]
    )


def _mask(own: Owners, keys: Owners) -> Tensor:
    return torch.from_numpy(np.stack([visible(o, k) for o, k in zip(own, keys, strict=True)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """Where Q questions are after some thoughts."""

    logits: list[Tensor]
    """Before each thought, (Q, V)."""
    fed: list[Mixtures]
    last: Tensor  # (Q, D)
    cache: Cache
    keys: Owners  # (B, K, 2)


class Stage:
    """A batch of rows, read up to the end of each question."""

    def __init__(self, model: Model, prefix: Sequence[int], rows: Sequence[Row]) -> None:
        self.model, self.each = model, len(rows[0].branches)
        self.branches = [branch for row in rows for branch in row.branches]
        first = len(prefix)
        _, cache = model(model.mix(torch.tensor([prefix])), torch.arange(first)[None])
        texts, owners, places, ends = [], [], [], []
        self.places: list[int] = []
        """Of each question's first thought."""
        for r, row in enumerate(rows):
            text, owner = list(row.told), [(0, 0)] * len(row.told)
            place = list(range(first, first + len(row.told)))
            for number, branch in enumerate(row.branches, 1):
                begin, length = first + len(row.told), len(branch.tokens)
                text += branch.tokens
                owner += [(number, 0)] * length
                place += range(begin, begin + length)
                ends.append((r, len(text) - 1))
                self.places.append(begin + length)
            texts.append(text)
            owners.append(owner)
            places.append(place)
        own = _filled(owners, NOBODY)  # type: ignore[arg-type]  # pairs
        self.keys = np.concatenate([np.zeros((len(rows), first, 2), np.int64), own], 1)
        hidden, self.cache = model(
            model.mix(torch.from_numpy(_filled(texts))),
            torch.from_numpy(_filled(places)),
            _mask(own, self.keys),
            cache,
        )
        where, column = map(list, zip(*ends, strict=True))
        self.last = hidden[where, column]  # (Q, D)
        """Of each question's last token: it predicts the first thought."""

    @torch.no_grad()
    def think(self, way: Way, count: int) -> Thought:
        """So many thoughts one after the other, each fed before the next is made."""
        b = len(self.keys)
        numbers = np.arange(1, self.each + 1)
        own = np.tile(np.stack([numbers, np.zeros_like(numbers)], 1), (b, 1, 1))
        places = torch.tensor(self.places).view(b, -1)
        cache = [(k.detach(), v.detach()) for k, v in self.cache]
        keys, last, said, fed = self.keys, self.last.detach(), [], []
        for step in range(count):
            said.append(self.model.logits(last))
            fed.append(way(said[-1]))
            weights, ids = fed[-1]
            keys = np.concatenate([keys, own], 1)
            x = self.model.mix(ids, weights).view(b, self.each, -1)
            hidden, cache = self.model(x, places + step, _mask(own, keys), cache)
            last = hidden.reshape(b * self.each, -1)
        return Thought(logits=said, fed=fed, last=last, cache=cache, keys=keys)

    @torch.no_grad()
    def answer(self, after: Thought, close: Sequence[int]) -> Tensor:
        """The logits (Q, V) of the answer's first token, with the closing tag put in."""
        b, n = len(self.keys), len(close)
        numbers = np.repeat(np.arange(1, self.each + 1), n)
        own = np.tile(np.stack([numbers, np.zeros_like(numbers)], 1), (b, 1, 1))
        keys = np.concatenate([after.keys, own], 1)
        begin = torch.tensor(self.places).view(b, -1, 1) + len(after.fed)
        places = (begin + torch.arange(n)).view(b, -1)
        x = self.model.mix(torch.tensor([[*close] * self.each] * b))
        hidden, _ = self.model(x, places, _mask(own, keys), after.cache)
        return self.model.logits(hidden.view(b * self.each, n, -1)[:, -1])

    def loss(self, own: Thought | None = None) -> tuple[Tensor, dict[str, float]]:
        """The loss with the rows' thoughts fed, or with those that it had itself; and its parts."""
        model, x, owners, places = self.model, [], [], []
        at: list[list[int]] = []  # where each question's thoughts, tail and lookups begin
        for q, branch in enumerate(self.branches):
            number = q % self.each + 1
            if number == 1:
                x.append([])
                owners.append([])
                places.append([])
            begin, length = self.places[q], len(branch.fed) + len(branch.tail) - 1
            at.append([len(owners) - 1, sum(len(part) for part in x[-1])])
            x[-1] += [self._fed(q, own), model.mix(torch.tensor(branch.tail[:-1]))]
            x[-1] += [_mixed(model, [look.fed for look in branch.lookups])]
            owners[-1] += [(number, 0)] * length
            owners[-1] += [(number, 1 + i) for i in range(len(branch.lookups))]
            places[-1] += range(begin, begin + length)
            places[-1] += [begin + look.step for look in branch.lookups]
        longest = max(map(len, places))
        embeds = torch.stack(
            [functional.pad(torch.cat(row), (0, 0, 0, longest - sum(map(len, row)))) for row in x]
        )
        whose = _filled(owners, NOBODY)
        keys = np.concatenate([self.keys, whose], 1)
        hidden, _ = model(embeds, torch.from_numpy(_filled(places)), _mask(whose, keys), self.cache)
        parts, aims, kinds = [], [], []
        for q, (branch, (row, start)) in enumerate(zip(self.branches, at, strict=True)):
            count = len(branch.fed) + len(branch.tail) - 1 + len(branch.lookups)
            parts += [self.last[q : q + 1], hidden[row, start : start + count]]
            aims += [*branch.thoughts, *(((token,), (1.0,)) for token in branch.tail)]
            aims += [look.goal for look in branch.lookups]
            kinds += _kinds(branch)
        weights, ids = (y.to(model.device) for y in spread(aims))
        log_p = functional.log_softmax(model.logits(torch.cat(parts)).float(), -1)
        cross = -(weights * log_p.gather(1, ids)).sum(1)
        kl = cross + (weights * weights.clamp_min(1e-9).log()).sum(1)
        return _weighed(kl, kinds)

    def _fed(self, q: int, own: Thought | None) -> Tensor:
        count = len(self.branches[q].fed)
        if own is None or not count:
            return _mixed(self.model, self.branches[q].fed)
        mixed = [self.model.mix(ids[q : q + 1], weights[q : q + 1]) for weights, ids in own.fed]
        return torch.cat(mixed[:count])


def _mixed(model: Model, mixtures: Sequence[Likely]) -> Tensor:
    if not mixtures:
        return torch.zeros(0, model.table.shape[1], device=model.device)
    weights, ids = spread(mixtures)
    return model.mix(ids, weights)


def _kinds(branch: Branch) -> list[str]:
    """What is learned at each of a question's positions."""
    closing = len(branch.tail) - 3
    thoughts = [f"thought {i}" for i in range(len(branch.thoughts))]
    tail = ["close", *["closing"] * closing, "answer", "closing"]
    return thoughts + tail + ["lookup"] * len(branch.lookups)


def _weighed(kl: Tensor, kinds: Sequence[str]) -> tuple[Tensor, dict[str, float]]:
    counts = {"closing": _CLOSING, "answer": _ANSWER, "lookup": 0.0}
    weight = torch.tensor([counts.get(kind, 1.0) for kind in kinds], device=kl.device)
    loss = (kl * weight).sum() / weight.sum()
    figures = {}
    for kind in dict.fromkeys(kinds):
        mean = kl[torch.tensor([k == kind for k in kinds], device=kl.device)].mean()
        figures[kind] = round(float(mean.detach()), 3)
        if kind == "lookup":
            loss = loss + mean
    return loss, figures
