"""What is beneath is kept: the loss is 0 where nothing was changed, and training brings it back."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

torch = pytest.importorskip("torch")  # an extra

from tests.training.superposition import small  # noqa: E402  # these need torch
from training.superposition import rehearsal  # noqa: E402
from training.superposition.model import Model  # noqa: E402


@pytest.mark.parametrize("seed", range(6))  # with mixtures and without
def test_a_model_that_is_as_it_was_loses_nothing(seed):
    """Layers that have learned nothing add nothing."""
    model = Model(small.pack().weights, 4, shape=small.SHAPE)
    loss, parts = rehearsal.rehearsal_loss(model, small.pack().rehearsed, Random(seed), 20.0)
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-5)
    assert parts == {"kl": 0.0, "far": 0.0, "truth": parts["truth"]}


def test_one_that_was_changed_comes_back():
    """Both parts shrink, and what it is held to stays."""
    model, examples = small.model(), small.pack().rehearsed
    with torch.no_grad(), model.beneath():
        before, _ = model(model.mix(torch.tensor([[1, 2, 3]])), torch.arange(3)[None])
    learns = torch.optim.Adam(model.lora.values(), lr=1e-2)
    found = []
    for step in range(30):
        loss, parts = rehearsal.rehearsal_loss(model, examples, Random(step), 1.0)
        learns.zero_grad()
        loss.backward()
        learns.step()
        found.append(parts)
    assert found[0]["far"] > 0.1
    assert found[-1]["far"] < found[0]["far"] / 2
    assert found[-1]["kl"] < found[0]["kl"] / 2
    with torch.no_grad(), model.beneath():
        after, _ = model(model.mix(torch.tensor([[1, 2, 3]])), torch.arange(3)[None])
    assert torch.equal(before, after)
    now, _ = model(model.mix(torch.tensor([[1, 2, 3]])), torch.arange(3)[None])
    assert not torch.equal(now, after), "the layers that learn are on again"


def test_what_is_filled_up_does_not_count():
    """An example beside a longer one, of which nothing counts, says what it says alone."""
    model, (one, *_) = small.model(), small.pack().rehearsed
    longer = rehearsal.Rehearsed(
        tokens=(*one.tokens, *range(40, 60)), counts=(False,) * 29, thinking=(4, 6), right=True
    )
    assert Random(2).random() > 0.8, "no mixtures"
    _, alone = rehearsal.rehearsal_loss(model, [one], Random(2), 1.0)
    _, beside = rehearsal.rehearsal_loss(model, [one, longer], Random(2), 1.0)
    _, twice = rehearsal.rehearsal_loss(model, [one, one], Random(2), 1.0)
    assert beside["kl"] == pytest.approx(alone["kl"], abs=2e-4)
    assert twice == pytest.approx(alone, abs=2e-4)


def test_examples_without_thoughts():
    """Those that were cut at once: there is nothing to feed a mixture for."""
    examples = [replace(one, thinking=(4, 4)) for one in small.pack().rehearsed]
    assert Random(1).random() < 0.8, "mixtures"
    loss, _ = rehearsal.rehearsal_loss(small.model(), examples, Random(1), 1.0)
    assert loss.detach().isfinite()


def test_batches_are_of_about_one_length():
    """Whatever the number, each is of so many different examples."""
    examples = [
        rehearsal.Rehearsed(tokens=(0,) * n, counts=(True,) * n, thinking=(0, 1), right=True)
        for n in range(10, 200)
    ]
    Random(1).shuffle(examples)
    ordered = rehearsal.by_length(examples)
    for seed in range(20):
        lengths = [len(one.tokens) for one in rehearsal.draw(ordered, 8, Random(seed))]
        assert len(set(lengths)) == 8
        assert max(lengths) - min(lengths) < 24
    assert len(rehearsal.draw(ordered[:3], 8, Random(1))) == 3


def test_what_is_right_is_learned_too():
    """The tokens of problems, by how likely they are; those of ordinary answers are not."""
    model, (right, told, *_) = small.model(), small.pack().rehearsed
    assert (right.right, told.right) == (True, False)
    assert Random(2).random() > 0.8, "no mixtures"
    hidden, _ = model(model.mix(torch.tensor([right.tokens])), torch.arange(9)[None])
    says = model.logits(hidden[0, 3:8]).log_softmax(-1)
    wanted = -says[range(5), right.tokens[4:]].mean().item()
    without, _ = rehearsal.rehearsal_loss(model, [right, told], Random(2), 1.0)
    loss, parts = rehearsal.rehearsal_loss(model, [right, told], Random(2), 1.0, 0.5)
    assert parts["truth"] == pytest.approx(wanted, abs=1e-3)
    assert float(loss.detach() - without.detach()) == pytest.approx(wanted / 2, abs=1e-3)
    loss, parts = rehearsal.rehearsal_loss(model, [told], Random(2), 1.0, 0.5)
    assert parts["truth"] == 0.0
    assert loss.detach().isfinite()
