"""config.toml as the commands take it."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def write(own_home):
    """Write a config.toml."""
    return (own_home / "config.toml").write_text


def test_a_flag_is_over_a_variable_is_over_the_file(softchat, write):
    """And the file is over models.toml, which is over what is built in."""
    text = "topn = 2\ntop_k = 3\nmin_p = 0.5\nmax_think = 1\nctx = 512\n[models.smollm2]\ntau = 3"
    write(text)
    variables = {"SOFTCHAT_TOP_K": "4", "SOFTCHAT_MIN_P": "0.25"}
    flags = ("--min-p", "0.125", "--max-answer", "1")
    done = softchat("ask", "Hi", "--json", *flags, **variables)
    started = json.loads(done.out.splitlines()[0])
    values = started["settings"]
    assert [values[name] for name in ("topn", "top_k", "min_p", "tau")] == [2, 4, 0.125, 3]
    assert (values["patience"], values["loop_steps"], values["max_think"]) == (40, 48, 1)
    assert started["model"]["n_ctx"] == 512
    assert done.status == 0


def test_a_damaged_file_is_told_and_passed_over(softchat, write):
    """One line on stderr, and the answer."""
    write("topn = [")
    done = softchat("ask", "Hi", "--max-think", "1", "--max-answer", "2", "-q")
    assert done.status == 0
    assert done.out.strip()
    assert done.err.startswith("warning: ")
    assert "config.toml:1: " in done.err
    assert done.err.count("\n") == 1


def test_a_mistake_in_the_file_is_an_error(softchat, write):
    """Status 2, with the line and a hint, before anything is loaded."""
    write("# mine\ntop_n = 3")
    done = softchat("ask", "Hi")
    assert done.status == 2
    assert done.out == ""
    assert "config.toml:2: no key 'top_n' here\nhint: did you mean 'topn'?" in done.err


def test_its_model_is_the_default(softchat, write, own_home):
    """It is marked in the list, and looked for when none is named."""
    write('model = "mine"')
    toml = f'[models.mine]\nsource = {{ type = "path", path = "{own_home}/no.gguf" }}'
    (own_home / "models.toml").write_text(toml)
    listed = softchat("models")
    assert [line.split()[1] for line in listed.out.splitlines() if line[0] == "*"] == ["mine"]
    used = softchat("models", "use", "smollm2")
    assert "config.toml names 'mine', which is stronger" in used.err
    asked = softchat("ask", "Hi")
    assert asked.status == 3
    assert asked.err.startswith("error: config.toml:1: no file ")
    assert "no.gguf" in asked.err
