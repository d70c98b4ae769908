"""A model and its adapters as one file, against weights that were merged by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import gguf
import numpy as np
import pytest

from softchat.engine.llama import LlamaEngine
from softchat.engine.merge import KEPT, LOADING_S, merged, merged_files
from softchat.engine.protocol import Lora
from softchat.errors import DecodeAbortedError, ModelRefusedError
from softchat.models import find_model
from softchat.models.entry import ModelEntry, PathSource
from softchat.models.locate import Located
from softchat.talk.load import Load
from tests import oracle, tiny
from tests.engine.test_adapters import ALPHA, PROMPT, RANK, thin, write

SHAPES = {
    name: tiny.weights()[name].shape for name in ("blk.0.attn_q.weight", "blk.1.ffn_up.weight")
}


@pytest.fixture
def adapter(tmp_path):
    return write(tmp_path / "a.gguf", shapes=SHAPES)


def by_hand(scale):
    weights = tiny.weights()
    for name, shape in SHAPES.items():
        a, b = thin(name, shape)
        weights[name] = weights[name] + scale * ALPHA / RANK * (b @ a)
    return weights


def make(path, *loras, folder, cancelled=lambda: False):
    return merged(path, loras, folder, cancelled=cancelled)


def tensors(path):
    return {t.name: t for t in gguf.GGUFReader(path).tensors}


def floats(tensor):
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)


@pytest.mark.parametrize("scale", [1.0, -0.5])
def test_weights_are_the_sum_to_half_a_step(tiny_model, adapter, tmp_path, scale):
    """W + scale · alpha / rank · B A, each within half a step of its block; all else untouched."""
    file = make(tiny_model, Lora(path=adapter, scale=scale), folder=tmp_path / "merged")
    wanted, before, after = by_hand(scale), tensors(tiny_model), tensors(file)
    assert list(before) == list(after)
    for name, tensor in after.items():
        if name not in SHAPES:
            assert tensor.tensor_type == before[name].tensor_type
            np.testing.assert_array_equal(tensor.data, before[name].data)
            continue
        assert tensor.tensor_type == gguf.GGMLQuantizationType.Q8_0
        blocks = wanted[name].reshape(-1, 32)
        step = np.abs(blocks).max(axis=1, keepdims=True) / 127
        assert (np.abs(floats(tensor).reshape(-1, 32) - blocks) <= 0.51 * step).all()
    told, given = gguf.GGUFReader(file).fields, gguf.GGUFReader(tiny_model).fields
    for key in given.keys() - {"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count"}:
        assert told[key].contents() == given[key].contents()
    assert file.stat().st_mode & 0o777 == 0o600


def test_logits_are_those_of_the_sum(tiny_model, adapter, tmp_path):
    """As near as 8 bits are; and rows stay exact."""
    file = make(tiny_model, Lora(path=adapter), folder=tmp_path / "merged")
    with LlamaEngine(file, n_ctx=64, n_threads=1) as engine:
        engine.decode_tokens(PROMPT[:-1])
        got = engine.decode_tokens(PROMPT[-1:]).copy()
        engine.rollback(len(PROMPT) - 1)
        by_row = engine.decode_embedding(engine.embedding_rows(PROMPT[-1:])[0])
        np.testing.assert_array_equal(got, by_row)
    weights = by_hand(1.0)
    expected = oracle.forward(weights, weights["token_embd.weight"][PROMPT])
    plain = oracle.forward(tiny.weights(), weights["token_embd.weight"][PROMPT])
    assert np.abs(got - expected).max() < 0.1 * np.abs(plain - expected).max()


def test_several_adapters_add_up(tiny_model, adapter, tmp_path):
    """The same one twice, at half its scale, is the adapter."""
    other = write(tmp_path / "b.gguf", shapes=SHAPES)
    halves = [Lora(path=adapter, scale=0.5), Lora(path=other, scale=0.5)]
    one = make(tiny_model, Lora(path=adapter), folder=tmp_path / "one")
    two = make(tiny_model, *halves, folder=tmp_path / "two")
    for name in SHAPES:
        np.testing.assert_allclose(
            floats(tensors(one)[name]), floats(tensors(two)[name]), atol=0.02
        )


def test_it_is_made_once(tiny_model, adapter, tmp_path):
    """And anew where file, adapter or scale is another; few of them are kept."""
    folder, lora = tmp_path / "merged", Lora(path=adapter)
    file = make(tiny_model, lora, folder=folder)
    made = file.stat().st_mtime_ns
    assert make(tiny_model, lora, folder=folder) == file
    assert file.stat().st_mtime_ns == made
    others = {make(tiny_model, Lora(path=adapter, scale=s), folder=folder) for s in (0.5, 0.25)}
    os.utime(adapter, (1, 1))
    others.add(make(tiny_model, lora, folder=folder))
    assert len(others - {file}) == 3
    for scale in range(2, 2 + KEPT):
        for one in folder.iterdir():
            os.utime(one, (time.time() - LOADING_S - 60 + scale, 1))
        make(tiny_model, Lora(path=adapter, scale=scale), folder=folder)
    assert len(list(folder.iterdir())) == KEPT


_MAKE = """
import sys
from pathlib import Path
from softchat.engine.gguf import open_header
from softchat.engine.merge import merged
from softchat.engine.protocol import Lora
model, adapter, folder, scale = sys.argv[1:]
lora = Lora(path=Path(adapter), scale=float(scale))
file = merged(Path(model), [lora], Path(folder), cancelled=lambda: False)
print(file, flush=True)
sys.stdin.readline()  # until the others have made theirs, too
with open_header(file) as header:
    print(len(header.tensor_names))
"""


def test_those_who_make_some_at_once_do_not_remove_each_others(tiny_model, adapter, tmp_path):
    """More than are kept, some of them the same; each can be loaded by who has made it."""
    folder, scales = tmp_path / "merged", [1, 1, 1, *range(2, 2 + KEPT)]
    command = [sys.executable, "-c", _MAKE, str(tiny_model), str(adapter), str(folder)]
    both = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        makers = [
            stack.enter_context(subprocess.Popen([*command, str(scale)], **both))
            for scale in scales
        ]
        files = [maker.stdout.readline() for maker in makers]
        said = [maker.communicate("\n")[0] for maker in makers]
    assert len(set(files)) == len(list(folder.iterdir())) == KEPT + 1
    assert said == [f"{len(tensors(tiny_model))}\n"] * len(makers)


@pytest.mark.parametrize(
    ("shapes", "scale", "reason"),
    [
        ({"blk.1.ffn_down.weight": (tiny.WIDTH, tiny.HIDDEN)}, 1.0, "no multiple of 32"),
        ({"blk.9.attn_q.weight": (tiny.WIDTH, tiny.WIDTH)}, 1.0, "the model has no blk.9.attn_q"),
        ({"blk.0.attn_q.weight": (tiny.WIDTH, 64)}, 1.0, "matrices of another shape"),
        (SHAPES, 0.001, "would round away"),
        (SHAPES, 0.0, "would round away"),
    ],
)
def test_what_can_not_be_one_is_refused(tiny_model, tmp_path, shapes, scale, reason):
    """With the reason; and nothing is left behind."""
    lora = Lora(path=write(tmp_path / "a.gguf", shapes=shapes), scale=scale)
    with pytest.raises(ModelRefusedError, match=reason):
        make(tiny_model, lora, folder=tmp_path / "merged")
    assert not list((tmp_path / "merged").iterdir())


def test_a_model_is_no_adapter(tiny_model, tmp_path):
    """Nor is half of one."""
    with pytest.raises(ModelRefusedError, match="is no LoRA adapter"):
        make(tiny_model, Lora(path=tiny_model), folder=tmp_path / "merged")


def test_it_is_stopped_at_once(tiny_model, adapter, tmp_path):
    """And leaves nothing."""
    with pytest.raises(DecodeAbortedError):
        make(tiny_model, Lora(path=adapter), folder=tmp_path / "m", cancelled=lambda: True)
    assert not list((tmp_path / "m").iterdir())


def found_with(tiny_model, adapter, *, merge=True):
    source = PathSource(path=tiny_model)
    entry = ModelEntry(name="tiny", source=source, lora=adapter, merge=merge)
    return Located(name="tiny", path=tiny_model, entry=entry)


def test_a_load_tells_what_it_is_made_of(tiny_model, adapter, tmp_path, monkeypatch):
    """Model and adapter as without it; adapters that somebody names are not merged."""
    monkeypatch.setenv("SOFTCHAT_HOME", str(tmp_path))
    load = Load.of(found_with(tiny_model, adapter))
    assert load.merge == tmp_path / "merged"
    with load.engine(cancelled=lambda: False) as engine:
        info = engine.info
        assert (info.path, info.loras, info.merged) == (str(tiny_model), ("a.gguf",), True)
        assert engine.note == ""
    assert Load.of(found_with(tiny_model, adapter), loras=[Lora(path=adapter)]).merge is None
    assert Load.of(found_with(tiny_model, adapter), loras=[]).merge is None
    assert Load.of(found_with(tiny_model, adapter, merge=False)).merge is None
    assert Load.of(found_with(tiny_model, None)).merge is None


@pytest.mark.parametrize(("broken", "told"), [("folder", "it is no folder"), ("adapter", "shape")])
def test_where_it_can_not_be_the_adapter_is_computed(
    tiny_model, adapter, tmp_path, monkeypatch, broken, told
):
    """And its user is told."""
    monkeypatch.setenv("SOFTCHAT_HOME", str(tmp_path))
    if broken == "folder":
        (tmp_path / "merged").touch()
    else:
        monkeypatch.setattr("softchat.engine.merge._sum", refuse)
    with Load.of(found_with(tiny_model, adapter)).engine(cancelled=lambda: False) as engine:
        assert (engine.info.loras, engine.info.merged) == (("a.gguf",), False)
        assert told in engine.note
        assert engine.note.endswith("it is slower so")


def sealed(folder, tiny_model, adapter):
    """The file of that model and adapter."""
    return make(tiny_model, Lora(path=adapter), folder=folder)


@pytest.mark.parametrize("other", ["model", "adapter", "header", "seal", "cut", "empty"])
def test_another_file_in_its_place_is_not_taken_for_it(tiny_model, adapter, tmp_path, other):
    """A model's own file, one with another adapter, another template, a part of it: made anew."""
    folder = tmp_path / "merged"
    file = sealed(folder, tiny_model, adapter)
    right = file.read_bytes()
    if other == "model":
        file.write_bytes(tiny.write(tmp_path / "other.gguf", name="other").read_bytes())
    elif other == "adapter":
        half = make(tiny_model, Lora(path=adapter, scale=0.5), folder=folder)
        file.write_bytes(half.read_bytes())
    elif other == "header":
        assert right.count(b"tokenizer.ggml.model") == 1
        file.write_bytes(right.replace(b"tokenizer.ggml.model", b"tokenizer.ggml.modem"))
    elif other == "seal":
        file.write_bytes(right[:-1] + b"\xff")
    else:
        os.truncate(file, len(right) // 2 if other == "cut" else 0)
    assert sealed(folder, tiny_model, adapter).read_bytes() == right


def test_to_look_at_a_file_costs_its_header(tiny_model, adapter, tmp_path):
    """The weights are not read: a bit of them may be another one, which nobody sees."""
    file = sealed(tmp_path / "merged", tiny_model, adapter)
    place = next(t for t in gguf.GGUFReader(file).tensors if t.name in SHAPES).data_offset
    changed = bytearray(file.read_bytes())
    changed[place + 9] ^= 1
    file.write_bytes(changed)
    assert sealed(tmp_path / "merged", tiny_model, adapter).read_bytes() == changed


def test_a_damaged_file_is_removed(tiny_model, adapter, tmp_path, monkeypatch):
    """One whose weights can't be loaded, behind a header that is right.

    The adapter is computed beside the layers this time, which is told; then it is made again.
    """
    monkeypatch.setenv("SOFTCHAT_HOME", str(tmp_path))
    load = Load.of(found_with(tiny_model, adapter))
    file, _, _ = load.weights()
    place = next(t for t in gguf.GGUFReader(file).tensors if t.name in SHAPES)
    with file.open("r+b") as out:
        out.seek(place.data_offset)
        out.write(b"\xff" * place.n_bytes)  # NaN
    with load.engine(cancelled=lambda: False) as engine:
        assert (engine.info.loras, engine.info.merged) == (("a.gguf",), False)
        assert engine.note.endswith("it was removed, and is made again next time")
    with load.engine(cancelled=lambda: False) as engine:
        assert engine.info.merged
    assert file.exists()


def refuse(*_):
    raise ModelRefusedError("matrices of another shape", hint="")


def test_the_default_model(softchat, own_home):
    """It is one file, made in this user's cache; with --lora none it is not."""
    ask = ["ask", "Hi", "--max-think", "2", "--max-answer", "1", "--json"]
    (own_home / "merged").unlink()  # that of all tests
    for _ in range(2):
        model = json.loads(softchat(*ask).out.splitlines()[0])["model"]
        assert (model["loras"], model["merged"]) == (["smollm2-135m.gguf"], True)
    assert len(list((own_home / "merged").iterdir())) == 1
    foreign = own_home / "merged" / "mine.gguf"
    foreign.touch()
    assert "145 MB  model and adapter" in softchat("cache").out
    assert softchat("cache", "clear").out == "removed 1\n"
    assert list((own_home / "merged").iterdir()) == [foreign]
    done = softchat(*ask, "--lora", "none")
    assert json.loads(done.out.splitlines()[0])["model"]["merged"] is False


def test_the_default_model_thinks_as_with_its_adapter(home, real_model):
    """On a question of its kind the likeliest token is the same nearly everywhere."""
    lora = find_model(None, environ={"SOFTCHAT_HOME": str(home)}).lora
    assert lora is not None
    file = merged(real_model, [Lora(path=lora)], Path(home) / "merged", cancelled=lambda: False)
    text = (
        "<|im_start|>user\nTom has 12 apples. He buys 9 more and gives away 5. How many has he now?"
        "<|im_end|>\n<|im_start|>assistant\n<think>\n12 + 9 = 21\n21 - 5 = 16\n</think>\n\n16"
    )
    tops, spreads = [], []
    with (
        LlamaEngine(real_model, n_ctx=256, loras=[Lora(path=lora)]) as beside,
        LlamaEngine(file, n_ctx=256) as inside,
    ):
        for token in beside.tokenize(text):
            one, other = beside.decode_tokens([token]).copy(), inside.decode_tokens([token])
            tops.append(one.argmax() == other.argmax())
            p, q = (np.exp(x - x.max()) / np.exp(x - x.max()).sum() for x in (one, other))
            spreads.append(float((p * np.log(np.maximum(p, 1e-30) / np.maximum(q, 1e-30))).sum()))
    assert np.mean(tops) >= 0.9
    assert np.mean(spreads) < 0.02  # nats; seen: 0.003, and 0.96 of the tokens


def _adapter(path, a, b, *, name="blk.0.attn_q.weight", alpha=ALPHA, architecture="llama"):
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for end, half in ((".lora_a", a), (".lora_b", b)):
        writer.add_tensor(name + end, half.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Lora(path=path)


ROWS, COLUMNS = SHAPES["blk.0.attn_q.weight"]
A, B = np.ones((4, COLUMNS)), np.ones((ROWS, 4))


@pytest.mark.parametrize(
    ("a", "b", "more", "why"),
    [
        (A * np.nan, B, {}, "numbers that 8 bits can't"),
        (A * np.inf, B, {}, "numbers that 8 bits can't"),
        (A * 1e30, B * 1e30, {}, "numbers that 8 bits can't"),
        (A * 1e8, B, {}, "numbers that 8 bits can't"),
        (A, B, {"alpha": float("nan")}, "numbers that 8 bits can't"),
        (A, B, {"alpha": float("inf")}, "numbers that 8 bits can't"),
        (np.ones((2, *A.shape)), np.ones((2, *B.shape)), {}, "is no matrix"),
        (A[:0], B[:, :0], {}, "has no rank"),
        (np.ones((4, tiny.WIDTH)), np.ones((1, 4)), {"name": "output_norm.weight"}, "is no matrix"),
        (A, B, {"architecture": "gemma3"}, "is for gemma3 models, this is llama"),
    ],
)
def test_what_no_weights_can_be_is_refused(tiny_model, tmp_path, a, b, more, why):
    """NaN, numbers beyond the scale, other dimensions, another model's; and no warning of numpy."""
    folder = tmp_path / "merged"
    with pytest.raises(ModelRefusedError, match=why):
        make(tiny_model, _adapter(tmp_path / "a.gguf", a, b, **more), folder=folder)
    assert not list(folder.iterdir())


def test_what_is_no_file_in_its_folder_is_not_its_own(tiny_model, adapter, tmp_path):
    """A link to nothing, a folder, under names like its own: no error, and left where they are."""
    folder = tmp_path / "merged"
    folder.mkdir()
    (folder / f"{0:016x}.gguf").symlink_to("/no/where")
    (folder / f"{1:016x}.gguf").mkdir()
    file = make(tiny_model, Lora(path=adapter), folder=folder)
    assert merged_files(folder) == [file]
    assert len(list(folder.iterdir())) == 3
