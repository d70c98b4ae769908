"""The model that is trained: what it computes."""

from __future__ import annotations

from random import Random

import pytest

torch = pytest.importorskip("torch")  # an extra

from tests.training.superposition import small  # noqa: E402  # these need torch
from training.superposition.families import make  # noqa: E402
from training.superposition.rows import Encoder  # noqa: E402
from training.superposition.stage import Stage, likeliest, mixture  # noqa: E402


def test_a_cache_changes_nothing():
    """Positions read in two goes come out as in one."""
    model, tokens = small.model(), torch.randint(12, 90, (2, 9))
    whole, _ = model(model.mix(tokens), torch.arange(9)[None])
    _, cache = model(model.mix(tokens[:, :4]), torch.arange(4)[None])
    mask = torch.arange(9)[None] <= torch.arange(4, 9)[:, None]
    later, _ = model(model.mix(tokens[:, 4:]), torch.arange(4, 9)[None], mask[None], cache)
    assert torch.allclose(whole[:, 4:], later, atol=1e-5)


def test_the_base_is_that_of_transformers():
    """With nothing learned, the hidden states are those of transformers' Llama."""
    transformers = pytest.importorskip("transformers")
    shape, pack = small.SHAPE, small.pack()
    config = transformers.LlamaConfig(
        vocab_size=len(pack.weights["embed_tokens.weight"]),
        hidden_size=small.WIDTH,
        intermediate_size=small.INNER,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        rms_norm_eps=shape.eps,
        rope_theta=shape.theta,
    )
    theirs = transformers.LlamaModel(config)
    theirs.load_state_dict(pack.weights)
    mine = small.Model(pack.weights, 4, shape=shape)
    tokens = torch.randint(12, 90, (2, 11))
    with torch.no_grad():
        hidden, _ = mine(mine.mix(tokens), torch.arange(11)[None])
        assert torch.allclose(hidden, theirs(tokens).last_hidden_state, atol=1e-4)


def test_an_adapter_beneath_adds_what_it_would_beside():
    """The frozen matrices take an adapter up."""
    beside = small.model()
    beneath = small.Model(small.pack().weights, 4, shape=small.SHAPE, beneath=beside.adapter())
    x = beside.mix(torch.randint(12, 90, (1, 7)))
    one, _ = beside(x, torch.arange(7)[None])
    other, _ = beneath(x, torch.arange(7)[None])
    assert torch.allclose(one, other, atol=1e-4)


def test_layers_before_the_first_learn_nothing():
    """They have no low-rank layers, and the others' learn."""
    model = small.Model(small.pack().weights, 4, first=1, shape=small.SHAPE)
    hidden, _ = model(model.mix(torch.randint(12, 90, (1, 7))), torch.arange(7)[None])
    model.logits(hidden).sum().backward()
    assert {key.split("-")[0] for key in model.lora} == {"1"}
    assert all(value.grad is not None for value in model.lora.values())


def stage_of(model, puzzles, *, alone=None):
    """Puzzles read; of one, only a question alone if that is wanted."""
    encoder, rows = Encoder(small.vocabulary()), []
    for puzzle in puzzles:
        row = encoder.row(puzzle, Random(9), lookups=6)
        rows.append(row)
    if alone is not None:
        row = rows[0]
        rows = [type(row)(family=row.family, told=row.told, branches=(row.branches[alone],))]
    return Stage(model, small.vocabulary().prefix, rows)


def test_a_question_is_thought_about_as_if_it_were_alone():
    """Questions beside it, longer rows and lookups change neither thoughts nor answer."""
    model, rng = small.model(), Random(8)
    puzzles = [make(rng, "reach", 2), make(rng, "reach", 3)]
    close = small.vocabulary().close
    many = stage_of(model, puzzles)
    for way in (mixture, likeliest):
        thought = many.think(way, 3)
        answers = many.answer(thought, close)
        for number in (0, 1):
            one = stage_of(model, puzzles, alone=number)
            alone = one.think(way, 3)
            for mine, theirs in zip(alone.logits, thought.logits, strict=True):
                assert torch.allclose(mine[0], theirs[number], atol=1e-4)
            assert torch.allclose(one.answer(alone, close)[0], answers[number], atol=1e-4)


def test_the_loss_of_own_thoughts_is_of_the_same_places():
    """Fed the very thoughts that are wanted, the loss is that of the wanted thoughts."""
    model = small.model()
    stage = stage_of(model, [make(Random(3), "key", 2)])
    wanted = [branch.fed for branch in stage.branches]

    class Wanted:
        step = -1

        def __call__(self, logits):
            self.step += 1
            from training.superposition.stage import spread

            return spread([fed[self.step] for fed in wanted])

    plain, figures = stage.loss()
    own, _ = stage.loss(stage.think(Wanted(), 3))
    assert float(plain.detach()) == pytest.approx(float(own.detach()), rel=1e-4)
    assert {"thought 0", "thought 2", "close", "answer", "lookup"} <= set(figures)
