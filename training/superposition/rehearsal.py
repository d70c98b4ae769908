"""What the adapter beneath can do, kept: examples of it are to leave all layers as they were.

Learning the examples' tokens alone brought nothing back of what search had cost (MODEL_CARD.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor
from torch.nn import functional

from training.superposition.model import Model
from training.superposition.pack import Rehearsed
from training.superposition.stage import mixture

_ALIKE = 3  # batches long is the stretch of examples, sorted by length, that a batch is drawn from
_MIXED_SHARE = 0.8  # of the batches; with 0.4 sums bore the temperature of frontiers less well
_TEMPERATURE = 1.0  # of those mixtures, as of the released model's
_LEAST = 1e-6  # of an output's square, not to divide by none
_NONE = -100  # no token


def by_length(examples: Sequence[Rehearsed]) -> list[Rehearsed]:
    """The shortest first."""
    return sorted(examples, key=lambda one: len(one.tokens))


def draw(examples: Sequence[Rehearsed], size: int, rng: Random) -> list[Rehearsed]:
    """Some examples of about one length, of those that `by_length` sorted: little is filled up."""
    stretch = min(_ALIKE * size, len(examples))
    begin = rng.randrange(len(examples) - stretch + 1)
    return rng.sample(examples[begin : begin + stretch], min(size, stretch))


def rehearsal_loss(
    model: Model, batch: Sequence[Rehearsed], rng: Random, hint: float, truth: float = 0.0
) -> tuple[Tensor, dict[str, float]]:
    """How far the model has gone from what is beneath it, and the parts of that.

    `kl` is the divergence of what it says from what that says, in nats, where an example counts
    (Li and Hoiem 2016, Learning without Forgetting, arXiv:1606.09282); `far` how far the outputs of
    its layers are from those beneath, squared and relative, at every position and in the mean
    (Romero et al. 2015, FitNets, arXiv:1412.6550). `truth` is the cross-entropy of what counts in
    examples that are right, in nats a token. In most batches thoughts are fed as mixtures.

    Args:
        model: its layers that learn, and what is beneath.
        batch: the examples.
        rng: decides whether mixtures are fed.
        hint: what `far` counts.
        truth: what `truth` counts.

    """
    tokens, counts = _padded([one.tokens for one in batch]), _padded([one.counts for one in batch])
    real = _padded([[1] * len(one.tokens) for one in batch]).bool().to(model.device)
    chosen = counts[:, 1:].bool().to(model.device)
    x, places = model.mix(tokens), torch.arange(tokens.shape[1])[None]
    if rng.random() < _MIXED_SHARE:
        x = _mixed(model, x, places, batch)

    def read() -> tuple[Tensor, list[Tensor]]:
        outputs: list[Tensor] = []
        hidden, _ = model(x, places, outputs=outputs)
        logits = model.logits(hidden[:, :-1][chosen]).float()
        return functional.log_softmax(logits, -1), [out[real] for out in outputs]

    says, outputs = read()
    with torch.no_grad(), model.beneath():
        said, before = read()
    kl = (said.exp() * (said - says)).sum(1).mean()
    far = torch.stack([_far(a, b) for a, b in zip(outputs, before, strict=True)]).mean()
    right = torch.tensor([one.right for one in batch], device=model.device)[:, None]
    wanted = tokens[:, 1:].to(model.device).where(right, _NONE)[chosen]
    count = (wanted != _NONE).sum().clamp_min(1)
    own = functional.nll_loss(says, wanted, ignore_index=_NONE, reduction="sum") / count
    parts = {"kl": kl, "far": far, "truth": own}
    figures = {name: round(float(value.detach()), 4) for name, value in parts.items()}
    return kl + hint * far + truth * own, figures


def _far(one: Tensor, other: Tensor) -> Tensor:
    return ((one - other).square().sum(-1) / other.square().sum(-1).clamp_min(_LEAST)).mean()


@torch.no_grad()
def _mixed(model: Model, x: Tensor, places: Tensor, batch: Sequence[Rehearsed]) -> Tensor:
    """With the mixtures for thoughts that the model makes when it reads their tokens."""
    at = [(row, column) for row, one in enumerate(batch) for column in range(*one.thinking)]
    if not at:
        return x
    hidden, _ = model(x, places)
    rows, columns = map(list, zip(*at, strict=True))
    before = hidden[rows, [column - 1 for column in columns]]
    weights, ids = mixture(model.logits(before), _TEMPERATURE)
    x = x.clone()
    x[rows, columns] = model.mix(ids, weights)
    return x


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    out = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for row, values in enumerate(rows):
        out[row, : len(values)] = torch.tensor(values)
    return out
