"""What a short name means on this disk, and what is asked before much is fetched."""

from __future__ import annotations

import json
import os
import socket

import pytest

from softchat.errors import ModelNotFoundError, ModelRefusedError
from softchat.models import find_model, hub
from softchat.models.locate import check_file
from softchat.models.own import name_for

HOLE = b"GGUF" + bytes(60)


@pytest.fixture
def environ(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return {
        "HF_HOME": str(tmp_path / "hf"),
        "OLLAMA_MODELS": str(tmp_path / "ollama"),
        "SOFTCHAT_HOME": str(tmp_path / "softchat"),
    }


@pytest.fixture
def ollama(tmp_path):
    """A function that puts a model of this name and size into Ollama's folder."""

    def put(name, tag, size=64):
        digest = f"{abs(hash((name, tag))):064x}"[:64]
        blob = tmp_path / "ollama/blobs" / f"sha256-{digest}"
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(HOLE + bytes(size))
        layer = {
            "mediaType": "application/vnd.ollama.image.model",
            "digest": f"sha256:{digest}",
        }
        manifest = tmp_path / "ollama/manifests/registry.ollama.ai/library" / name / tag
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(json.dumps({"layers": [layer]}))
        return blob

    return put


def test_ollamas_own_name_finds_its_model(environ, ollama):
    """`gemma3:270m` is what `ollama run` takes; no tag is `latest`."""
    blob, latest = ollama("gemma3", "270m"), ollama("phi4", "latest")
    found = find_model("gemma3:270m", environ=environ)
    assert (found.path, found.name) == (blob, "ollama/gemma3:270m")
    assert found.note == "gemma3:270m is ollama/gemma3:270m, which is on this disk"
    assert find_model("phi4", environ=environ).path == latest


def test_a_nickname_prefers_what_is_here(environ, ollama):
    """`qwen3` would be a fetch of 5 GB; the largest of the family that is here does, and says so.

    A whole name means that very model.
    """
    ollama("qwen3", "0.6b")
    blob = ollama("qwen3", "4b", size=900)
    found = find_model("qwen3", environ=environ, progress=pytest.fail)
    assert found.path == blob
    assert "-m qwen3-8b would fetch 5.0 GB" in found.note
    with pytest.raises(
        ModelNotFoundError, match=r"'qwen3-8b' is not here; it has 5\.0 GB"
    ) as error:
        find_model("qwen3-8b", environ=environ, progress=pytest.fail, agree=lambda _: False)
    assert error.value.hint == "softchat models pull qwen3-8b fetches it"


def test_a_wrong_name_is_looked_for_here_first(environ, ollama):
    """The hint names a model of this disk before one that must be fetched."""
    ollama("smolmodel", "1b")
    with pytest.raises(ModelNotFoundError) as error:
        find_model("smolm", environ=environ)
    assert error.value.hint == "did you mean ollama/smolmodel:1b?"
    with pytest.raises(ModelNotFoundError) as error:
        find_model("qwen3-4", environ=environ)
    assert "qwen3-4b" in error.value.hint


def test_the_hub_by_repository(environ, monkeypatch):
    """hf:ORG/REPO[:QUANT]: the quantisation that is named, else Q4_K_M; it is asked for."""
    files = {"m-Q8_0.gguf": 8_000_000_000, "m-Q4_K_M.gguf": 4_000_000_000, "m-Q2_K.gguf": 2}
    monkeypatch.setattr(hub, "list_files", lambda repository: files)
    assert hub.pick_file("Org/Repo") == ("m-Q4_K_M.gguf", 4_000_000_000)
    assert hub.pick_file("Org/Repo", "q8_0") == ("m-Q8_0.gguf", 8_000_000_000)
    with pytest.raises(ModelNotFoundError, match="no file with IQ1 in its name"):
        hub.pick_file("Org/Repo", "IQ1")
    asked = []

    def agree(entry):
        asked.append((entry.name, entry.source.file))
        return False

    with pytest.raises(ModelNotFoundError, match=r"'Repo' is not here; it has 8\.0 GB"):
        find_model("hf:Org/Repo:Q8_0", environ=environ, agree=agree)
    assert asked == [("Repo", "m-Q8_0.gguf")]


@pytest.mark.parametrize("spec", ["hf:", "hf:org", "hf:org/", "hf:/repo:Q4_0"])
def test_half_a_repository_is_not_asked_for(spec, environ):
    """The hub is not asked about what can't be there."""
    with pytest.raises(ModelNotFoundError, match="names no repository") as error:
        find_model(spec, environ=environ)
    assert error.value.hint == "hf:ORG/REPO, or hf:ORG/REPO:QUANT"


def test_pieces_of_one_file_are_to_be_joined(tmp_path, monkeypatch):
    """x.gguf.part1of2 is no model by itself, and neither is x.gguf without it."""
    monkeypatch.chdir(tmp_path)
    for part in (1, 2):
        (tmp_path / f"x.gguf.part{part}of2").write_bytes(HOLE)
    join = "cat x.gguf.part1of2 x.gguf.part2of2 > x.gguf"
    with pytest.raises(ModelRefusedError, match="piece 2 of 2 of one file") as error:
        check_file(tmp_path / "x.gguf.part2of2")
    assert error.value.hint == f"join them: {join}"
    with pytest.raises(ModelNotFoundError, match="no file") as missing:
        check_file(tmp_path / "x.gguf")
    assert missing.value.hint.endswith(join)


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
def test_what_is_no_file_is_called_what_it_is(tmp_path, monkeypatch):
    """A device, a pipe and a socket are named, and not waited for."""
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    os.mkfifo("pipe.gguf")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket.gguf")
        for path, kind in (("pipe.gguf", "a pipe"), ("socket.gguf", "a socket")):
            with pytest.raises(ModelNotFoundError, match=f"is {kind}, not a file"):
                find_model(path, environ={"SOFTCHAT_HOME": str(tmp_path)})
    with pytest.raises(ModelNotFoundError, match="/dev/zero is a device, not a file"):
        find_model("/dev/zero", environ={"SOFTCHAT_HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("ollama/gemma3:270m", "gemma3-270m"),
        ("ollama/phi4:latest", "phi4"),
        ("hub/Org/Repo/My Model.gguf", "My-Model"),
        ("???", "mine"),
    ],
)
def test_a_model_without_a_name_gets_one(model, name):
    """Made of what models.toml allows."""
    assert name_for(model) == name
