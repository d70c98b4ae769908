"""`softchat models` on the real command line."""

from __future__ import annotations

import shutil

import pytest

from tests import tiny


@pytest.fixture
def tiny_file(tmp_path):
    return tiny.write(tmp_path / "tiny.gguf", chat_template="{{ '<think>' }}")


def test_the_list_marks_the_default(softchat):
    """Installed or not, with size and licence."""
    for arguments in (("models",), ("models", "list")):
        result = softchat(*arguments)
        assert result.status == 0
        assert "* smollm2-135m  here  98 MB  Apache-2.0" in result.out


def test_one_that_is_not_here(softchat, tmp_path):
    """It is listed as such; its path is an error with the way to get it."""
    home = {"SOFTCHAT_HOME": str(tmp_path / "empty")}
    assert "smollm2-135m  not here  98 MB" in softchat("models", **home).out
    result = softchat("models", "path", "smollm2", **home)
    assert result.status == 3
    assert result.out == ""
    assert "hint: softchat models pull smollm2-135m" in result.err


def test_info_reads_the_header(softchat, tiny_file):
    """What the file says, and what it does not."""
    out = softchat("models", "info", str(tiny_file), "--ctx", "1000").out
    lines = {line[:18].strip(): line[18:] for line in out.splitlines()}
    assert lines["architecture"] == "llama"
    assert lines["vocabulary"] == str(tiny.VOCABULARY)
    assert lines["layers, width"] == f"{tiny.LAYERS}, {tiny.WIDTH}"
    assert lines["token embeddings"] == "f32"
    assert lines["thinking tags"] == "<think>"
    kv = 1000 * tiny.LAYERS * tiny.KV_HEADS * 2 * tiny.HEAD * 2
    assert lines["memory at 1000"] == f"{(tiny_file.stat().st_size + kv) / 1e6:.0f} MB and buffers"
    assert "--prove" in lines["soft thinking"]


def test_info_can_prove(softchat, tiny_file):
    """The proof is made by loading the model."""
    out = softchat("models", "info", str(tiny_file), "--prove").out
    assert "exact, with embedding rows scaled by 1" in out


def test_rm_deletes_what_was_fetched_only(softchat, tmp_path, real_model, tiny_file):
    """It says what was freed; a path's file is the user's."""
    home = tmp_path / "home"
    kept = home / "models" / real_model.parent.name
    kept.mkdir(parents=True)
    shutil.copy(real_model, kept)
    done = softchat("models", "rm", "smollm2", "--yes", SOFTCHAT_HOME=str(home))
    assert done.out == "freed 98 MB\n"
    assert list(kept.iterdir()) == []
    refused = softchat("models", "rm", str(tiny_file), "--yes", SOFTCHAT_HOME=str(home))
    assert refused.status == 2
    assert tiny_file.exists()


@pytest.mark.parametrize("command", ["info", "path", "pull", "rm"])
def test_an_unknown_name_is_hinted_at(softchat, command):
    """One line, a hint, status 3."""
    result = softchat("models", command, "smolm2")
    assert result.status == 3
    assert result.err.startswith("error: no model 'smolm2' in models.toml\nhint: did you mean")
