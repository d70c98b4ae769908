"""`softchat models` on the real command line."""

from __future__ import annotations

import json
import re
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
        assert re.search(r"^\* smollm2-135m +yes +98 MB  Q4_1 +yes +Apache-2.0$", result.out, re.M)
        assert re.search(
            r"^  qwen3-4b +no +2.5 GB  Q4_K_M +(yes|no ) +Apache-2.0$", result.out, re.M
        )


def test_the_list_stays_in_80_columns(softchat, tmp_path):
    """No line of the named models wraps; what other programs have comes below, its name last."""
    home = tmp_path / ".lmstudio/models/Organisation/A-Repository-With-A-Long-Name-GGUF"
    home.mkdir(parents=True)
    (home / "A-Model-With-A-Long-Name-Q4_K_M.gguf").write_bytes(b"GGUF" * 1_000_000)
    named, _, others = softchat("models", HOME=str(tmp_path)).out.partition(
        "\nof other programs:\n"
    )
    assert max(map(len, named.splitlines())) <= 80
    assert re.search(r"^     4 MB  Q4_K_M     yes   lmstudio/Organisation/.*\.gguf$", others, re.M)


def test_one_that_is_not_here(softchat, tmp_path):
    """It is listed as such; its path is an error with the way to get it."""
    home = {"SOFTCHAT_HOME": str(tmp_path / "empty")}
    assert re.search(r"\* smollm2-135m +no +98 MB", softchat("models", **home).out)
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
    assert lines["thinking tags"] == "<think> … </think>"
    kv = 1000 * tiny.LAYERS * tiny.KV_HEADS * 2 * tiny.HEAD * 2
    assert lines["memory at 1,000"] == f"{(tiny_file.stat().st_size + kv) / 1e6:.0f} MB and buffers"
    assert "--prove" in lines["soft thinking"]


def test_rm_of_a_file_of_ones_own(softchat, tiny_file, own_home):
    """It is there, and stays; that is what is said, also where its name is one that ships."""
    (own_home / "models.toml").write_text(
        f'[models.smollm2-135m]\nsource = {{ type = "path", path = "{tiny_file}" }}\n'
    )
    done = softchat("models", "rm", "smollm2-135m", "--yes")
    assert done.status == 2
    assert done.err.startswith("error: softchat has not fetched 'smollm2-135m'\nhint: delete the")
    assert tiny_file.is_file()


def test_info_of_a_long_context(softchat, tiny_file):
    """A label that is longer than others stands apart from its value."""
    out = softchat("models", "info", str(tiny_file), "--ctx", "16777216").out
    assert "\nmemory at 16,777,216  " in out


def test_info_of_a_broken_file(softchat, tmp_path):
    """An error with llama.cpp's reason, and a hint, and not a line of its own."""
    (tmp_path / "broken.gguf").write_bytes(b"GGUFxxxx")
    done = softchat("models", "info", "broken.gguf")
    assert done.status == 3
    error, _ = done.err.splitlines()
    assert error.startswith("error: not a readable GGUF file: broken.gguf: ")


def test_info_can_prove(softchat, tiny_file):
    """The proof is made by loading the model."""
    out = softchat("models", "info", str(tiny_file), "--prove").out
    assert "exact, with embedding rows scaled by 1" in out


def test_info_does_not_fetch(softchat, tmp_path):
    """Of a model that is not here it says what models.toml says, and how to get it."""
    home = {"SOFTCHAT_HOME": str(tmp_path / "empty")}
    done = softchat("models", "info", "qwen3-4b", **home)
    assert done.status == 0
    assert "not here: softchat models pull qwen3-4b" in done.out
    assert "hub: Qwen/Qwen3-4B-GGUF, Qwen3-4B-Q4_K_M.gguf" in done.out
    proof = softchat("models", "info", "smollm2", "--prove", **home)
    assert proof.status == 3
    assert "hint: softchat models pull smollm2-135m" in proof.err
    assert not (tmp_path / "empty").exists()


def test_info_of_a_split_model(softchat, tmp_path):
    """The parts are counted together."""
    whole = tiny.write(tmp_path / "whole.gguf")
    first = tiny.write(tmp_path / "split.gguf", parts=3)
    lines = [softchat("models", "info", str(path)).out.splitlines() for path in (whole, first)]
    one, three = ({line[:18].strip(): line[18:] for line in out} for out in lines)
    for label in ("architecture", "parameters", "tensor types", "token embeddings", "vocabulary"):
        assert one[label] == three[label]
    assert three["size"].endswith(", in 3 files")


def test_rm_deletes_what_was_fetched_only(softchat, tmp_path, real_model, tiny_file):
    """It says what was freed; a path's file is the user's."""
    home = tmp_path / "home"
    kept = home / "models" / real_model.parent.name
    kept.mkdir(parents=True)
    shutil.copy(real_model, kept)
    asked = softchat("models", "rm", "smollm2", stdin="n\n", SOFTCHAT_HOME=str(home))
    assert "(98 MB, the file of " in asked.err
    assert "smollm2-plain too)?" in asked.err
    done = softchat("models", "rm", "smollm2", "--yes", SOFTCHAT_HOME=str(home))
    assert done.out == "freed 98 MB\n"
    assert re.search(r"^(.* and )?smollm2-plain had the same file$", done.err, re.M)
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


@pytest.fixture
def new_user(tmp_path):
    """The variable of a new user's own folder."""
    return {"SOFTCHAT_HOME": str(tmp_path / "home")}


def test_a_name_for_a_file(softchat, new_user, tiny_file):
    """Added, used as the default, listed, and forgotten; the file stays."""
    added = softchat("models", "add", "mine", "tiny.gguf", **new_user)
    assert added.status == 0, added.err
    assert added.out.startswith("'mine' is in ")
    assert softchat("models", "use", "mine", **new_user).out == "'mine' is used without -m\n"
    listed = softchat("models", **new_user).out
    assert re.search(r"^\* mine +yes ", listed, re.M)
    assert softchat("models", "path", "mine", **new_user).out == f"{tiny_file}\n"
    kept = softchat("models", "rm", "mine", "--yes", **new_user)
    assert (kept.status, "used without -m" in kept.err) == (2, True)
    assert softchat("models", "use", "smollm2", **new_user).status == 0
    assert (
        softchat("models", "rm", "mine", "--yes", **new_user).out == "'mine' is no name any more\n"
    )
    assert tiny_file.exists()
    assert softchat("models", "path", "mine", **new_user).status == 3


def test_a_named_file_that_is_gone(softchat, new_user, tiny_file):
    """It is said where it was, and not to be pulled."""
    softchat("models", "add", "mine", "tiny.gguf", **new_user)
    tiny_file.unlink()
    assert f"not here: no file {tiny_file}" in softchat("models", "info", "mine", **new_user).out
    assert f"no file {tiny_file}" in softchat("models", "path", "mine", **new_user).err


def test_rm_asks(softchat, new_user, tiny_file):
    """Without --yes, and an empty answer is no; so is the end of the input, which says so."""
    softchat("models", "add", "mine", "tiny.gguf", **new_user)
    ended = softchat("models", "rm", "mine", stdin="", **new_user)
    assert ended.status == 2
    assert ended.err.splitlines()[-2:] == [
        "error: nobody answers on stdin",
        "hint: --yes goes ahead",
    ]
    declined = softchat("models", "rm", "mine", stdin="\n", **new_user)
    assert declined.status == 1
    assert declined.err.endswith("kept\n")
    assert softchat("models", "path", "mine", **new_user).status == 0
    softchat("models", "rm", "mine", stdin="y\n", **new_user)
    assert softchat("models", "path", "mine", **new_user).status == 3


@pytest.mark.parametrize(
    "words",
    [("models", "--models-file", "o.toml"), ("models", "list", "--models-file", "o.toml")],
)
def test_another_models_file(softchat, new_user, tiny_file, words):
    """The flag is the variable: on any command, and stronger than it."""
    missing = softchat(*words, **new_user)
    assert missing.status == 2
    assert "--models-file and SOFTCHAT_MODELS name your models.toml" in missing.err
    softchat("models", "add", "mine", "tiny.gguf", "--models-file", "o.toml", **new_user)
    assert " mine " in softchat(*words, SOFTCHAT_MODELS="elsewhere.toml", **new_user).out
    assert " mine " not in softchat("models", **new_user).out


def test_the_models_file_of_a_question(softchat, tmp_path, real_model):
    """`ask` goes by it too."""
    (tmp_path / "m.toml").write_text(
        f'[models.mine]\nsource = {{ type = "path", path = "{real_model}" }}\n'
        "[models.mine.defaults]\nmax_think = 1\nmax_answer = 1\n"
    )
    done = softchat("ask", "--models-file", "m.toml", "-m", "mine", "--json", "hello")
    assert done.status == 0, done.err
    assert json.loads(done.out.splitlines()[0])["settings"]["max_think"] == 1


def test_use_of_a_file_that_has_a_name(softchat, new_user, real_model, tmp_path):
    """A download of one's own is what its name stands for then; what the file says else stays."""
    shutil.copy(real_model, tmp_path / real_model.name)
    config = tmp_path / "home" / "models.toml"
    config.parent.mkdir(exist_ok=True)
    config.write_text("[models.smollm2-135m.defaults]\ntau = 0.5  # mine\n")
    done = softchat("models", "use", real_model.name, **new_user)
    assert done.status == 0, done
    assert done.out == (
        f"'smollm2-135m' is in {config}, with this file\n'smollm2-135m' is used without -m\n"
    )
    assert not done.err, "nothing is to be fetched"
    path = softchat("models", "path", "smollm2-135m", **new_user).out.strip()
    assert path == str(tmp_path / real_model.name)
    assert "tau = 0.5  # mine" in config.read_text()
    again = softchat("models", "use", real_model.name, **new_user)
    assert again.out == "'smollm2-135m' is used without -m\n"


def test_use_gives_a_file_a_name(softchat, new_user, tiny_file):
    """A file that has none gets one, in the user's models.toml, and is the default."""
    done = softchat("models", "use", "./tiny.gguf", **new_user)
    assert done.status == 0, done.err
    assert done.out.startswith("'tiny' is in ")
    assert done.out.endswith("'tiny' is used without -m\n")
    assert softchat("models", "use", "./nothing.gguf", **new_user).status == 3
