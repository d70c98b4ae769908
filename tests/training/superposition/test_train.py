"""Training from a pack: it learns, goes on where it was killed, and is measured and released."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

torch = pytest.importorskip("torch")  # an extra

from tests.training.superposition import small  # noqa: E402  # these need torch
from training import export  # noqa: E402
from training.superposition import adapters, measure, release, sets, train  # noqa: E402
from training.superposition.model import Model  # noqa: E402
from training.superposition.pack import Pack  # noqa: E402
from training.superposition.rows import Style  # noqa: E402


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The model is small."""

    def make(pack, rank, first, device, dtype=None):
        held = getattr(torch, dtype) if dtype else None
        return Model(pack.weights, rank, first, shape=small.SHAPE, device=device, dtype=held)

    monkeypatch.setattr(train, "make_model", make)
    monkeypatch.setattr(measure, "make_model", make)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def options(**changed):
    """Of a short training."""
    plain = train.parser_of().parse_args([])
    short = {"steps": 6, "batch": 2, "lookups": 3, "lora_rank": 4, "first": 0}
    return argparse.Namespace(**(vars(plain) | short | changed))


def lines(folder):
    """The log."""
    return [json.loads(line) for line in (folder / "log-0.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("style", Style)
def test_every_style_trains(style, tmp_path):
    """Six steps, one of them of what was learned before; a checkpoint and a line each."""
    train.run(small.pack(), tmp_path, options(style=str(style), rehearse=0.2))
    log = lines(tmp_path)
    assert [line["step"] for line in log] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in log if "far" in line] == [5]
    assert all(line["loss"] > 0 for line in log)
    assert ("lookup" in log[0]) == (style not in (Style.PAUSE, Style.NONE))


def test_it_learns(tmp_path):
    """After sixty steps, what closes the thinking is half as surprising as it was."""
    train.run(small.pack(), tmp_path, options(steps=60, lr=1e-2))
    close = [line["close"] for line in lines(tmp_path) if "close" in line]
    assert sum(close[-5:]) < sum(close[:5]) / 2


def test_a_killed_training_goes_on_the_same(tmp_path):
    """Stopped and started again, it ends where it ends in one go."""
    pack, whole, parts = small.pack(), tmp_path / "whole", tmp_path / "parts"
    train.run(pack, whole, options())
    trainer = train.Trainer(pack, options())
    for _ in range(4):
        trainer.train()
    parts.mkdir()
    trainer.save(parts / "checkpoint.pt")
    train.run(pack, parts, options())
    one, other = (
        torch.load(folder / "checkpoint.pt", weights_only=True)["adapter"]
        for folder in (whole, parts)
    )
    assert lines(parts)[0]["step"] == 5
    for key, (a, b) in one.items():
        assert torch.allclose(a, other[key][0], atol=1e-6)
        assert torch.allclose(b, other[key][1], atol=1e-6)


def test_frozen_matrices_in_bfloat16(tmp_path):
    """As on a card, and on processors that multiply it: the losses are those of floats."""
    train.run(small.pack(), tmp_path / "half", options(dtype="bfloat16", steps=3))
    train.run(small.pack(), tmp_path / "floats", options(steps=3))
    pairs = [*zip(lines(tmp_path / "half"), lines(tmp_path / "floats"), strict=True)]
    assert all(one["loss"] == pytest.approx(other["loss"], rel=0.1) for one, other in pairs)
    assert any(one["loss"] != other["loss"] for one, other in pairs)


def test_another_training_can_start_from_an_adapter(tmp_path):
    """What was learned is kept in half the bits, and another training begins with it."""
    pack, first = small.pack(), tmp_path / "first"
    train.run(pack, first, options(steps=3))
    learned = torch.load(first / "checkpoint.pt", weights_only=True)["adapter"]
    trainer = train.Trainer(pack, options())
    trainer.start_from(first / "adapter.pt")
    for key, (_, b) in trainer.model.adapter().items():
        assert torch.allclose(b, learned[key][1], atol=1e-3)
    assert trainer.step == 0


def test_what_was_released_can_be_trained_on(tmp_path, monkeypatch):
    """Of the two in one file the upper one is found again, as it was scaled, beneath no other."""
    for module in (adapters, export):
        monkeypatch.setattr(module, "HEADS", {})  # the small model has others
    model = train.Trainer(small.pack(), options()).model
    beneath, learned = model.adapter(), {}
    for key, (a, b) in beneath.items():
        learned[key] = torch.randn_like(a), torch.randn_like(b)
    torch.save(beneath, tmp_path / "adapter.pt")
    torch.save({"adapter": learned}, tmp_path / "learned.pt")
    files = [str(tmp_path), str(tmp_path / "learned.pt"), str(tmp_path / "both.gguf")]
    release.main([*files, "--scale", "0.5"])
    trainer = train.Trainer(replace(small.pack(), beneath=beneath), options())
    trainer.start_from(tmp_path / "both.gguf")
    for key, (a, b) in trainer.model.adapter().items():
        assert torch.allclose(a, learned[key][0], atol=1e-2)
        assert torch.allclose(b, learned[key][1] / 2, atol=1e-2)
    with pytest.raises(ValueError, match="another adapter"):
        adapters.apart(adapters.read_adapter(tmp_path / "both.gguf"), learned)


def test_a_training_of_some_kinds_that_begins_in_the_course():
    """The curriculum goes from there to its end, with the shares that are given."""
    shares = dict.fromkeys(train.SHARES, 0.0) | {"signed": 1.0}
    trainer = train.Trainer(small.pack(), options(begin=0.5, shares=shares))
    assert trainer.stage == 0.5
    assert {row.family for row in trainer.rows(Random(1))} == {"signed"}
    trainer.step = 6
    assert trainer.stage == 1.0


def test_kinds_that_there_are_not(capsys):
    """A share is of a kind that is trained on."""
    plain = train.parser_of().parse_args(["--shares", "signed=8,reach=0.5"])
    assert plain.shares == {"signed": 8.0, "reach": 0.5}
    with pytest.raises(SystemExit):
        train.parser_of().parse_args(["--shares", "sung=8"])
    assert "no kind that is trained on: sung" in capsys.readouterr().err


def test_torch_is_all_that_a_card_needs():
    """Training, and what it takes, import neither llama.cpp nor what reads and renders for it."""
    hidden = ("llama_cpp", "gguf", "transformers", "peft", "jinja2", "rich", "typer")
    code = f"import sys; sys.modules.update(dict.fromkeys({hidden!r})); "
    code += "import training.superposition.controls, training.superposition.measure"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_a_pack_comes_back_in_parts(tmp_path):
    """No file is larger than a part, and all is there again."""
    pack = small.pack()
    pack.write(tmp_path, part=60_000)
    found = Pack.read(tmp_path)
    assert len(list(tmp_path.glob("base-*.pt"))) > 2
    assert found.vocabulary == pack.vocabulary
    assert list(found.rehearsed) == list(pack.rehearsed)
    assert found.weights.keys() == pack.weights.keys()
    for name, tensor in pack.weights.items():
        assert torch.allclose(found.weights[name].float(), tensor, rtol=1e-2)


@pytest.mark.parametrize("style", Style)
def test_every_way_is_measured(style, tmp_path):
    """Each way of a style on the same questions; a table with a line each."""
    train.run(small.pack(), tmp_path, options(style=str(style), steps=2))
    pack = small.pack()
    model, found_style = measure.load(pack, tmp_path / "checkpoint.pt")
    assert found_style is style
    found = measure.measure(model, pack, style, "search-dev", 6)
    assert set(found) == set(measure.WAYS[style])
    assert {len(judged) for judged in found.values()} == {6}
    assert len(measure.table(found).splitlines()) == 2 + len(found)
    if style is Style.LISTING:
        asked = [q for _, q in sets.questions("search-dev")][:6]
        told = [sum(len(level) for level in q.levels) for q in asked]
        assert [one.steps - 4 for one in found[measure.ARGMAX]] == told


def test_the_mean_of_two_adapters():
    """Of each matrix; all of the one, or all of the other, at the ends."""
    one = {"0.q_proj": (torch.zeros(2, 3), torch.ones(4, 2))}
    other = {"0.q_proj": (torch.ones(2, 3).half(), torch.full((4, 2), 5.0))}
    ((a, b),) = adapters.mean(one, other, 0.75).values()
    assert torch.equal(a, torch.full((2, 3), 0.75))
    assert torch.equal(b, torch.full((4, 2), 4.0))
    for share, wanted in ((0.0, one), (1.0, other)):
        ((a, _),) = adapters.mean(one, other, share).values()
        assert torch.equal(a, wanted["0.q_proj"][0].float())


def test_an_adapter_survives_its_file(tmp_path):
    """Two adapters together, written and read, add what they added, whatever their ranks."""
    torch.manual_seed(3)
    sizes = {"0.q_proj": (576, 576), "0.down_proj": (576, 1536), "1.k_proj": (192, 576)}

    def some(rank, keys):
        return {
            key: (torch.randn(rank, sizes[key][1]), torch.randn(sizes[key][0], rank))
            for key in keys
        }

    one, other = some(4, sizes), some(6, ["0.down_proj", "1.k_proj"])
    adapters.write_adapter(adapters.together(one, other), tmp_path / "a.gguf")
    found = adapters.read_adapter(tmp_path / "a.gguf")
    assert found.keys() == one.keys()
    for key, (a, b) in found.items():
        wanted = one[key][1] @ one[key][0]
        if key in other:
            wanted = wanted + other[key][1] @ other[key][0]
        assert (b @ a - wanted).norm() / wanted.norm() < 1e-2
