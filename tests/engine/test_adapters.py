"""LoRA adapters on the tiny model, against weights that were merged by hand."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from softchat.engine.gguf import open_header
from softchat.engine.llama import LlamaEngine
from softchat.engine.protocol import Lora
from softchat.errors import ModelRefusedError
from tests import oracle, tiny

PROMPT = [1, 17, 42, 5]
RANK, ALPHA = 2, 6.0
TARGETS = ("blk.0.attn_q.weight", "blk.1.ffn_down.weight")


SHAPES = {name: tiny.weights()[name].shape for name in TARGETS}


def thin(name: str, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The two matrices of a target: (RANK, in) and (out, RANK)."""
    rng = np.random.default_rng(len(name))
    out, inner = shape
    a, b = rng.standard_normal((RANK, inner)) * 0.3, rng.standard_normal((out, RANK)) * 0.3
    return a.astype(np.float32), b.astype(np.float32)


def write(path, *, shapes=SHAPES, kind="lora", architecture="llama"):
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", kind)
    writer.add_float32("adapter.lora.alpha", ALPHA)
    for name, shape in shapes.items():
        a, b = thin(name, shape)
        writer.add_tensor(f"{name}.lora_a", a)
        writer.add_tensor(f"{name}.lora_b", b)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def merged(scale: float) -> dict[str, np.ndarray]:
    """The tiny model's weights W + scale · alpha / rank · B A."""
    weights = tiny.weights()
    for name, shape in SHAPES.items():
        a, b = thin(name, shape)
        weights[name] = weights[name] + scale * ALPHA / RANK * (b @ a)
    return weights


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.0, -1.0])
def test_an_adapter_is_weights_that_were_merged(tiny_model, tmp_path, scale):
    """Logits with the adapter are those of W + scale · alpha / rank · B A, and rows stay exact."""
    lora = Lora(path=write(tmp_path / "a.gguf"), scale=scale)
    weights = merged(scale)
    with LlamaEngine(tiny_model, n_ctx=64, n_threads=1, loras=[lora]) as engine:
        engine.decode_tokens(PROMPT[:-1])
        got = engine.decode_tokens(PROMPT[-1:]).copy()
        engine.rollback(len(PROMPT) - 1)
        by_row = engine.decode_embedding(engine.embedding_rows(PROMPT[-1:])[0])
        np.testing.assert_array_equal(got, by_row)
    expected = oracle.forward(weights, weights["token_embd.weight"][PROMPT])
    np.testing.assert_allclose(got, expected, atol=2e-2)  # the cache holds float16
    plain = oracle.forward(tiny.weights(), weights["token_embd.weight"][PROMPT])
    assert (np.abs(expected - plain).max() > 0.2) == (scale != 0.0)


def test_several_adapters_add_up(tiny_model, tmp_path):
    """The same adapter twice, at half its scale, is the adapter."""
    path = write(tmp_path / "a.gguf")
    other = write(tmp_path / "b.gguf")
    halves = [Lora(path=path, scale=0.5), Lora(path=other, scale=0.5)]
    with LlamaEngine(tiny_model, n_ctx=64, n_threads=1, loras=halves) as engine:
        got = engine.decode_tokens(PROMPT).copy()
        assert engine.info.loras == ("a.gguf=0.5", "b.gguf=0.5")
    with LlamaEngine(tiny_model, n_ctx=64, n_threads=1, loras=[Lora(path=path)]) as engine:
        np.testing.assert_allclose(got, engine.decode_tokens(PROMPT), atol=1e-4)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"kind": "cvec"}, "no LoRA adapter"),
        ({"architecture": "gemma3"}, "for gemma3 models, this is llama"),
        (
            {"shapes": {"token_embd.weight": (tiny.VOCABULARY, tiny.WIDTH)}},
            "changes the token embeddings",
        ),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(tiny_model, tmp_path, more, reason):
    """Another kind of file, another architecture, changed embeddings: refused, with the reason."""
    lora = Lora(path=write(tmp_path / "a.gguf", **more))
    with pytest.raises(ModelRefusedError, match=reason):
        LlamaEngine(tiny_model, n_ctx=64, n_threads=1, loras=[lora])


def test_a_model_is_no_adapter(tiny_model):
    """The model's own file in the adapter's place is refused."""
    with pytest.raises(ModelRefusedError, match="no LoRA adapter"):
        LlamaEngine(tiny_model, n_ctx=64, n_threads=1, loras=[Lora(path=tiny_model)])


def test_on_the_command_line(softchat, real_model, tmp_path):
    """--lora FILE=SCALE reaches the model and the events, as models.toml's own does."""
    path = write(tmp_path / "a=b.gguf", shapes={"blk.0.attn_q.weight": (576, 576)})
    ask = ["ask", "Hi", "-m", str(real_model), "--max-think", "2", "--max-answer", "1", "--json"]
    done = softchat(*ask, "--lora", f"{path}=0.5")
    assert done.status == 0, done
    assert '"loras": ["a=b.gguf=0.5"]' in done.out
    done = softchat(*ask, "--lora", str(path))
    assert '"loras": ["a=b.gguf"]' in done.out
    own = tmp_path / "models.toml"
    own.write_text(f'[models.smollm2-135m]\nlora = "{path.name}"\n')
    done = softchat(*ask, SOFTCHAT_MODELS=str(own))
    assert '"loras": ["a=b.gguf"]' in done.out
    done = softchat(*ask, "--lora", "none", SOFTCHAT_MODELS=str(own))
    assert '"loras": []' in done.out
    done = softchat("ask", "Hi", "-m", str(real_model), "--lora", "gone.gguf")
    assert done.status == 2
    assert done.err.startswith("error: no adapter gone.gguf\nhint: ")


def test_a_file_that_may_not_be_read_is_not_called_damaged(monkeypatch):
    """The system's own reason is told."""

    def closed(self, *_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", closed)
    with (
        pytest.raises(ModelRefusedError, match=r"cannot read a.gguf: Permission denied"),
        open_header(Path("a.gguf")),
    ):
        pass


def test_a_folder_is_no_adapter(softchat, tmp_path):
    """It is told what it is."""
    (tmp_path / "d.gguf").mkdir()
    done = softchat("ask", "Why?", "--lora", "d.gguf")
    assert done.status == 2
    assert "d.gguf is a folder, not an adapter" in done.err
