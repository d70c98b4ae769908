"""What is said of command lines that can't be understood."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["ask", "q", "--temp", "1"], "no option --temp", "did you mean --template or --temperatu"),
        (
            ["ask", "q", "--tempurature", "1"],
            "no option --tempurature",
            "did you mean --temp",
        ),
        (["ask", "q", "--zzzz"], "no option --zzzz", "softchat ask --help'"),
        (["ask", "q", "-M", "x"], "no option -M", "softchat ask --help'"),
        (["ask", "q", "--topn", "five"], "'five' is no whole number", "softchat ask --help'"),
        (["ask", "q", "--tau", "0,05"], "'0,05' is no number", "softchat ask --help'"),
        (["bench", "--at", "99999999999"], "128<=x<=16777216", "softchat bench --help'"),
        (["ask", "q", "--model"], "requires an argument", "--help"),
        (["ask", "q", "--trace", ""], "--trace names no file", "a variable of the shell empty?"),
        (["ask", "q", "--trace="], "--trace names no file", "a variable of the shell empty?"),
        (["eval", "rum.jsonl", "--out", ""], "--out names no file", "of the shell empty?"),
        (["plot", "last", "-o", ""], "-o names no file", "a variable of the shell empty?"),
        (["ask", "q", "--models-file", ""], "--models-file names no file", "of the shell empty?"),
        (["ask", "q", "--rpc", ""], "--rpc names no server", "a variable of the shell empty?"),
        (["ask", "q", "--device="], "--device names no device", "a variable of the shell empty?"),
        (["ask", "q", "--lora", ""], "--lora names no adapter", "a variable of the shell empty?"),
        (["ask", "q", "--resume", ""], "--resume names no session", "of the shell empty?"),
        (["ask", "q", "--schema", ""], "--schema names no schema", "of the shell empty?"),
        (["rpc-server", "--host", ""], "--host names no address", "of the shell empty?"),
        (["show", ""], "an empty name is no trace's", "a variable of the shell empty?"),
        (["replay", ""], "an empty name is no trace's", "a variable of the shell empty?"),
        (["plot", ""], "an empty name is no trace's", "a variable of the shell empty?"),
        (["fork", "", "--at", "1"], "an empty name is no trace's", "of the shell empty?"),
        (["--install-completion", "zsh"], "is for the shell that runs", "without a name in zsh"),
        (["--show-completion", "fish"], "is for the shell that runs", "without a name in fish"),
        (["sessions", "export", "last", ""], "no file is named", "'-' is stdout"),
        (["ask", "q", "-f", ""], "-f names no file", "a variable of the shell empty?"),
        (["ask", "q", "-s", "@"], "no file is named behind the @", "as a system prompt: @FILE"),
        (["ask", "q", "-f", "note.txt"], "can't read note.txt", "did you mean notes.txt?"),
        (["show", "rum.jsonl"], "can't read the trace rum.jsonl", "did you mean run.jsonl?"),
        (["eval", "rum.jsonl"], "can't read rum.jsonl", "did you mean run.jsonl?"),
        (["show", "zzz"], "can't read the trace zzz", "'softchat ask --trace FILE' makes such"),
        (["run", "qwen3"], "no command 'run'", "'softchat -m MODEL QUESTION'"),
    ],
)
def test_a_mistake_is_told_with_what_was_meant(softchat, tmp_path, arguments, error, hint):
    """In two lines, with status 2."""
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "run.jsonl").touch()
    done = softchat(*arguments)
    assert (done.status, done.out) == (2, ""), done
    first, second = done.err.splitlines()
    assert first.startswith("error: ")
    assert error in first
    assert second.startswith("hint: ")
    assert hint in second


def test_behind_two_dashes_nothing_is_a_flag(softchat):
    """Words of a question may look like one, and be followed by an empty one."""
    for words in (("--trace", ""), ("--trace=",), ("--json",), ("--install-completion", "bash")):
        done = softchat("ask", "--topn", "five", "--", *words)
        assert (done.status, done.out) == (2, "")
        assert "'five' is no whole number" in done.err


def test_a_value_that_no_flag_gives_is_told_by_its_variable(softchat):
    """The flag that it stands for is not on the command line."""
    done = softchat("ask", "q", SOFTCHAT_TOPN="five")
    assert done.status == 2
    assert "hint: the variable SOFTCHAT_TOPN says so" in done.err
    assert "SOFTCHAT_TOPN" not in softchat("ask", "q", "--topn", "five", SOFTCHAT_TOPN="3").err


@pytest.mark.parametrize("words", ["", " "])
@pytest.mark.parametrize("command", [("sessions", "search"), ("log", "-q")])
def test_no_word_is_looked_for(softchat, command, words):
    """All there is would be no answer to that."""
    done = softchat(*command, words)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: no word to look for")


@pytest.mark.parametrize("encoding", ["idna", "undefined", "punycode"])
def test_an_encoding_that_no_stream_can_have(softchat, encoding):
    """UTF-8 instead."""
    done = softchat("--version", PYTHONIOENCODING=encoding)
    assert done.status == 0
    assert done.out.startswith("softchat ")
    assert done.err == ""
