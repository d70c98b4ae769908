"""What Tab completes, as shells ask for it; and in a real zsh."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terminal import Terminal

COMMAND = Path(sys.executable).with_name("softchat")


@pytest.fixture
def tab(environ):
    """What bash offers behind `softchat` when Tab is typed: `tab("mod")`."""

    def offered(typed, **variables):
        words = f"softchat {typed}"
        asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        done = subprocess.run(
            [COMMAND],
            env=environ | variables | asked | {"_SOFTCHAT_COMPLETE": "complete_bash"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout.split()

    return offered


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("mod", ["models"]),
        ("--vers", ["--version"]),
        ("--to", ["--topn", "--top-k", "--top-p"]),
        ("--topn 3 --ta", ["--tau"]),
        ("models in", ["info"]),
        ("ask --strategy mix", ["mixed-input"]),
        ("-m smollm2-", ["smollm2-135m", "smollm2-plain"]),
        ("ask -m qwen3-1", ["qwen3-1.7b", "qwen3-14b"]),
        ("models pull smollm2-135m smollm2-p", ["smollm2-plain"]),
        ("ask -m ./mo", []),
    ],
)
def test_commands_flags_and_values(tab, typed, offered):
    """Without a command, the flags are those of a session too; files are left to the shell."""
    assert tab(typed) == offered


def test_names_of_the_users_own(tab, tmp_path):
    """A models.toml that can't be read offers none, and complains of nothing."""
    models = tmp_path / "mine.toml"
    source = 'source = { type = "path", path = "/nowhere/zebra.gguf" }'
    models.write_text(f"[models.zebra]\n{source}\n", "utf-8")
    assert tab("ask -m z", SOFTCHAT_MODELS=str(models)) == ["zebra"]
    assert tab(f"ask --models-file {models} -m z") == ["zebra"]
    models.write_text("[models", "utf-8")
    assert tab("ask -m z", SOFTCHAT_MODELS=str(models)) == []


def test_sessions(tab, tmp_path):
    """By their ids, the newest first; one that a shell could take for more than a name is none."""
    folder = tmp_path / "sessions"
    folder.mkdir()
    texts = dict.fromkeys(("started", "model", "system", "pending"), "")
    for day, name in enumerate(["20260101-a", "20260102-b", "$(id)"]):
        saved = texts | {"updated": str(day), "turns": [], "closed": True}
        (folder / f"{name}.json").write_text(json.dumps(saved), "utf-8")
    for typed in "sessions rm ", "sessions export ", "chat --resume ", "--resume ":
        assert tab(typed, SOFTCHAT_HOME=str(tmp_path)) == ["20260102-b", "20260101-a"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not here")
def test_zsh_completes_from_the_first_tab_on(environ, tmp_path):
    """With the file that `--install-completion` writes, in a shell that has just begun."""
    mine = environ | {"HOME": str(tmp_path), "ZDOTDIR": str(tmp_path), "SHELL": "/bin/zsh"}
    mine["PATH"] = f"{COMMAND.parent}:{mine['PATH']}"
    install = ["zsh", "-fc", f"{COMMAND} --install-completion; true"]
    subprocess.run(install, env=mine, check=True, capture_output=True)
    rc = tmp_path / ".zshrc"
    rc.write_text(
        "PS1='ready '\n" + rc.read_text("utf-8").replace("; compinit", "; compinit -u"), "utf-8"
    )
    zsh = Terminal([], mine, program=["zsh", "-i"])
    zsh.until("ready")
    zsh.child.send("softchat doct\t")
    zsh.until("softchat doctor", seconds=60)
    zsh.child.close(force=True)


def test_it_is_softchats_however_it_was_begun(softchat):
    """`python -m softchat` has the same name, and nobody else's completion is touched."""
    script = softchat("--show-completion").out
    assert "_SOFTCHAT_COMPLETE" in script
    assert "python" not in script.splitlines()[-1]
    assert "usage: softchat" in softchat("--help").out.lower()


@pytest.mark.parametrize(
    "variables",
    [{}, {"COMP_WORDS": "softchat a"}, {"COMP_WORDS": "softchat a", "COMP_CWORD": "x"}],
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_without_a_line_there_is_no_traceback(softchat, shell, variables):
    """Nothing is typed, so commands are offered; bash says where in the line one is, or nobody."""
    done = softchat(_SOFTCHAT_COMPLETE=f"complete_{shell}", **variables)
    if shell == "bash":
        assert (done.status, done.out) == (2, "")
        assert done.err.startswith("error: nothing says which line is completed\nhint: ")
    else:
        assert (done.status, done.err) == (0, "")
