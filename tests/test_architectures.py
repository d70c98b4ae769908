"""Every architecture of the zoo: proven exact and then really so, or refused in words."""

from __future__ import annotations

import pytest

from tests import probe, zoo

# Those that many people have.
WIDESPREAD = [
    *("llama", "mistral3", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "qwen2vl", "gemma", "gemma2"),
    *("gemma3", "phi3", "granite", "granitemoe", "minicpm", "olmo2", "gpt2", "bloom", "falcon"),
    *("stablelm", "starcoder2", "cohere2", "deepseek2", "exaone", "gpt-oss", "smollm3", "mamba"),
    *("rwkv7", "jamba", "lfm2", "glm4 (M-RoPE)"),
]
REFUSED = {
    "bert": "embedding model",
    "t5": "encoder",
    "llada": "diffusion",
    "gemma3n": "other logits",  # per-layer embeddings are looked up by token
    "cogvlm": "other logits",  # its weights for images are used
    "deepseek4 (hash routing)": "other logits",  # experts are looked up by token
    "deepseek4 (image routing)": "other logits",
    "glm4": "takes no embedding rows",  # the process would end
    "llama-embed": "the same logit",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return probe.probe(tmp_path_factory.mktemp("zoo"), list(zoo.MODELS))


def test_the_table_in_the_docs_is_what_is_found(found):
    """docs/architectures.md shows these results; `python -m tests.probe` writes it anew."""
    assert probe.written() == probe.table(found)


def test_no_model_ends_the_process(found):
    """What llama.cpp would abort on is refused before."""
    assert [name for name, one in found.items() if "status" in one.refused] == []


@pytest.mark.parametrize("model", WIDESPREAD)
def test_a_widespread_architecture_is_exact(found, model):
    """It is proven: an embedding row gives the logits of its token."""
    assert found[model].refused == ""


def test_what_is_proven_is_exact(found):
    """With one token a step, thinking is greedy decoding for 32 steps, on every proven model."""
    proven = {name: one for name, one in found.items() if not one.refused}
    assert len(proven) > 100
    assert [name for name, one in proven.items() if not one.greedy] == []


def test_the_proof_could_fail(found):
    """On every proven model another row gives other logits, and the steps are not all alike."""
    proven = {name: one for name, one in found.items() if not one.refused}
    assert [name for name, one in proven.items() if not one.sharp or one.distinct < 3] == []


def test_a_rollback_leaves_what_an_empty_cache_would_hold(found):
    """On every proven model; states go back to a checkpoint."""
    for name, one in found.items():
        if one.refused:
            continue
        assert one.gap <= probe.TOLERANCE, name
        assert one.kept == {"recurrent": 13, "hybrid": 13}.get(one.memory, 40), name


@pytest.mark.parametrize(("model", "why"), REFUSED.items())
def test_what_cannot_be_exact_is_refused_in_words(found, model, why):
    """The reason says which kind of model it is, or that the proof failed."""
    assert why in found[model].refused


def test_scales_are_found(found):
    """Gemma 3 multiplies tokens by sqrt(D); Granite by its own scale, if images come as rows."""
    assert found["gemma3"].scale == pytest.approx(zoo.WIDTH**0.5)
    assert found["granite (deepstack)"].scale == zoo.MODELS["granite"]["embedding_scale"]
    assert found["granite"].scale == 1.0


def test_a_model_that_ends_the_process_is_named(tmp_path):
    """The rest is still tried."""
    found = probe.probe(tmp_path, ["llama", "no such model", "qwen2"])
    assert found["no such model"].refused == "ends the process with status 1"
    assert found["llama"].greedy
    assert found["qwen2"].greedy
