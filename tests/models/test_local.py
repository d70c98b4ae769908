"""Models that other programs have on this disk."""

from __future__ import annotations

import json

import pytest

from softchat.errors import ModelNotFoundError
from softchat.models import find_model
from softchat.models.local import local_models

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def environ(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # where LM Studio keeps its own
    return {
        "HF_HOME": str(tmp_path / "hf"),
        "OLLAMA_MODELS": str(tmp_path / "ollama"),
        "SOFTCHAT_HOME": str(tmp_path / "softchat"),
    }


def put(path, content=b"GGUF...."):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def manifest(tmp_path, name="registry/library/qwen3/0.6b", **layer):
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": DIGEST} | layer
    text = json.dumps({"layers": [{"mediaType": "x", "digest": "y"}, layer]})
    put(tmp_path / "ollama/manifests" / name, text.encode())


def names(environ):
    return [model.name for model in local_models(environ)]


def test_the_hub_cache(tmp_path, environ):
    """Snapshots are links into blobs; the first part stands for a split model."""
    blob = put(tmp_path / "hf/hub/models--Org--Repo--x/blobs/abc")
    folder = tmp_path / "hf/hub/models--Org--Repo--x/snapshots/0123"
    folder.mkdir(parents=True)
    for name in ("a.gguf", "mmproj-a.gguf", "b-00001-of-00002.gguf", "b-00002-of-00002.gguf"):
        (folder / name).symlink_to(blob)
    (folder / "gone.gguf").symlink_to(tmp_path / "nowhere")
    assert names(environ) == ["hub/Org/Repo--x/a.gguf", "hub/Org/Repo--x/b-00001-of-00002.gguf"]
    assert find_model("hub/Org/Repo--x/a.gguf", environ=environ).path == folder / "a.gguf"


def test_the_hub_cache_where_all_caches_are_elsewhere(tmp_path, environ):
    """The hub's client puts it there, so it is looked for there."""
    environ = environ | {"HF_HOME": "", "XDG_CACHE_HOME": str(tmp_path / "caches")}
    put(tmp_path / "caches/huggingface/hub/models--Org--Repo/snapshots/0123/a.gguf")
    assert names(environ) == ["hub/Org/Repo/a.gguf"]


def test_lm_studio(tmp_path, environ):
    """Publisher, repository, file; the older folder too, each model once."""
    for folder in (".lmstudio/models", ".cache/lm-studio/models"):
        put(tmp_path / folder / "Org/Repo/m.gguf")
    assert names(environ) == ["lmstudio/Org/Repo/m.gguf"]


def test_ollama(tmp_path, environ):
    """A manifest's model layer names the blob."""
    blob = put(tmp_path / "ollama/blobs/sha256-" / ".." / ("sha256-" + "ab" * 32))
    manifest(tmp_path)
    manifest(tmp_path, "registry/someone/m/latest")
    assert names(environ) == ["ollama/qwen3:0.6b", "ollama/someone/m:latest"]
    assert find_model("ollama/qwen3:0.6b", environ=environ).path.samefile(blob)


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "md5:1", 7, None, DIGEST + "0"])
def test_a_digest_leads_nowhere_else(tmp_path, environ, digest):
    """What is no sha256 is no blob."""
    put(tmp_path / "ollama/blobs/x")
    manifest(tmp_path, digest=digest)
    assert names(environ) == []


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"layers": 3}', b"[" * 9999, b"\xff"])
def test_broken_manifests_are_passed_over(tmp_path, environ, text):
    """They are another program's trouble."""
    put(tmp_path / "ollama/manifests/r/library/m/t", text)
    assert names(environ) == []


def test_names_that_a_terminal_would_obey_are_passed_over(tmp_path, environ):
    """A folder can be called anything."""
    put(tmp_path / ".lmstudio/models/Org/\x1b[2J/m.gguf")
    assert names(environ) == []


def test_a_name_that_is_not_here_says_what_was_meant(tmp_path, environ):
    """Close matches are hinted at."""
    put(tmp_path / ".lmstudio/models/Org/Repo/m.gguf")
    with pytest.raises(ModelNotFoundError, match="no model 'lmstudio") as caught:
        find_model("lmstudio/Org/Repo/n.gguf", environ=environ)
    assert caught.value.hint == "did you mean 'lmstudio/Org/Repo/m.gguf'?"


def test_nothing_there_is_nothing_found(environ):
    """None of these programs need be installed."""
    assert names(environ) == []
