"""The five everyday jobs, and what surrounds them, on the real command line with a tiny model.

What it says makes no sense, so these tests look at what it was given, and at what is kept.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from softchat.record.session_file import SessionFile
from softchat.talk.conversation import Turn
from tests import tiny
from tests.recordings import Content

NOTES = "Anna books the room.\nBen sends the contract.\n"
SHORT = {"SOFTCHAT_MAX_THINK": "2", "SOFTCHAT_MAX_ANSWER": "4", "SOFTCHAT_THREADS": "1"}
PROMPT = r">\s*\n[^\n]*context \d+/\d+$"


@pytest.fixture
def model(tmp_path):
    return str(tiny.write(tmp_path / "tiny.gguf", letters=tiny.ASCII))


@pytest.fixture
def home(tmp_path):
    """A new user's, with none of another test's questions."""
    return tmp_path / "home"


@pytest.fixture
def environ(home, model):
    mine = {k: v for k, v in os.environ.items() if not k.startswith("SOFTCHAT_")}
    return mine | {"SOFTCHAT_HOME": str(home), "SOFTCHAT_MODEL": model, "PYTHONUTF8": "1"} | SHORT


def started(result):
    """The first event of a run with --json."""
    return json.loads(result.out.splitlines()[0])


def kept(home):
    """What was kept, the newest last: each session's JSON."""
    files = sorted((home / "sessions").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(path.read_text()) for path in files]


# -- a one-shot -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["Why is it?"], ""),
        (["Why", "is", "it?"], ""),
        (["ask", "Why is it?"], ""),
        ([], "Why is it?\n"),
        (["-"], "Why is it?"),
        (["ask", "-"], "Why is it?"),
        (["--topn", "2", "Why is it?"], ""),
        (["--topn", "2"], "Why is it?"),
        (["-s", "Be brief.", "Why is it?"], ""),
    ],
)
def test_a_question_needs_no_command(softchat, home, arguments, stdin):
    """Words, a pipe or a dash: the question alone is what was asked."""
    done = softchat(*arguments, stdin=stdin)
    assert done.status == 0, done
    (one,) = kept(home)
    assert [turn["question"] for turn in one["turns"]] == ["Why is it?"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["modles"], "did you mean 'softchat models'"),
        (["hepl"], "did you mean 'softchat help'"),
        (["tiny.gguf"], "softchat -m tiny.gguf"),
        (["-c", "and?"], "nothing has been asked yet"),
        (["ask", "-f", "nothere", "q"], "No such file"),
        (["ask", "-f", ".", "q"], "is a folder"),
        (["ask", "-f", "tiny.gguf", "q"], "is no text"),
        (["ask", "-f", "empty", "q"], "is empty"),
        (["ask", "q", "--trace", "tiny.gguf"], "--force"),
        (["ask", "-t", "nosuch", "q"], "no prompt 'nosuch'"),
        (["ask", "-p", "a=b", "q"], "-t NAME"),
        (["ask", "-s", "@nothere", "q"], "No such file"),
        (["show", "last"], "nothing has been asked yet"),
        (["show", "7"], "nothing in the log has number 7"),
        (["last"], "nothing has been asked yet"),
        (["ask", "   "], "no question"),
        (["--resume", "x", "q"], "no session 'x'"),
    ],
)
def test_a_mistake_has_a_hint(softchat, home, tmp_path, arguments, says):
    """On stderr, with status 2, and nothing is kept."""
    (tmp_path / "empty").touch()
    done = softchat(*arguments)
    assert (done.status, done.out) == (2, ""), done
    assert says in done.err
    assert done.err.count("\n") == 2
    assert not (home / "sessions").exists()


# -- a file with a question -------------------------------------------------------------------


def test_a_pipe_goes_with_the_question(softchat, home):
    """Its text first, in quotes under a name; the question last."""
    done = softchat("Who sends it?", "--json", stdin=NOTES)
    alone = softchat("Who sends it?", "--json")
    assert started(done)["prompt_tokens"] > started(alone)["prompt_tokens"] + len(NOTES)
    assert started(done)["question"] == "[stdin] Who sends it?"
    asked = kept(home)[0]["turns"][0]["question"]
    assert asked == f'stdin:\n"""\n{NOTES.strip()}\n"""\n\nWho sends it?'


@pytest.mark.parametrize("dash", [["-", "Who?"], ["Who?", "-"], ["-f", "-", "Who?"]])
def test_a_dash_is_stdin_wherever_it_stands(softchat, home, dash):
    """It is no part of the question."""
    assert softchat("ask", *dash, stdin=NOTES).status == 0
    asked = kept(home)[0]["turns"][0]["question"]
    assert asked.endswith('"""\n\nWho?')
    assert asked.count("Ben") == 1


def test_files_go_with_the_question(softchat, home, tmp_path):
    """Each under its own name, in their order; what stdin holds behind them."""
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "b.txt").write_text("second")
    done = softchat("-f", "a.txt", "-f", "b.txt", "Which?", stdin="third")
    assert done.status == 0, done
    asked = kept(home)[0]["turns"][0]["question"]
    assert re.findall(r'(\S+):\n"""\n(.*)\n"""', asked) == [
        ("a.txt", "first"), ("b.txt", "second"), ("stdin", "third"),
    ]  # fmt: skip


def test_a_file_alone_is_the_question(softchat, home, tmp_path):
    """As a prompt that was written down."""
    (tmp_path / "q.txt").write_text("Why is it?\n")
    assert softchat("-f", "q.txt").status == 0
    assert kept(home)[0]["turns"][0]["question"] == "Why is it?"


def test_too_long_is_said_before_anything_is_decoded(softchat):
    """How many tokens it has, and how many fit."""
    done = softchat("Who?", "--json", stdin="word " * 1000)
    assert done.status == 1
    assert re.search(r"the prompt has 5\d\d\d tokens; .* a context of 2048 holds \d+", done.err)
    kinds = [json.loads(line)["event"] for line in done.out.splitlines()]
    assert kinds == ["error"]


def test_stdin_without_an_end_ends(environ):
    """`yes | softchat ask -`."""
    command = f"yes | {sys.executable} -m softchat ask -"
    done = subprocess.run(
        ["sh", "-c", command], env=environ, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 2
    assert "stdin is longer than 8 MB" in done.stderr


# -- going on ---------------------------------------------------------------------------------


def test_going_on(softchat, home):
    """-c has the model see what was said; model and system prompt stay, a flag is stronger."""
    softchat("-s", "Be brief.", "Why?")
    done = softchat("-c", "And then?", "--json")
    alone = softchat("And then?", "--json", "--no-log")
    assert started(done)["prompt_tokens"] > started(alone)["prompt_tokens"] + len("Why?Be brief.")
    (one,) = kept(home)
    assert [turn["question"] for turn in one["turns"]] == ["Why?", "And then?"]
    assert one["system"] == "Be brief."
    softchat("-c", "-s", "Be long.", "And?")
    assert kept(home)[0]["system"] == "Be long."


def test_going_on_with_another_one(softchat, home):
    """By its id, or the beginning of it."""
    softchat("first")
    (one,) = kept(home)
    softchat("second")
    assert softchat("ask", "--resume", one["id"], "third").status == 0
    found = {one["id"]: [turn["question"] for turn in one["turns"]] for one in kept(home)}
    assert found[one["id"]] == ["first", "third"]
    assert len(found) == 2


def test_a_chat_goes_on_with_an_ask(softchat, terminal, home):
    """It is a session from then on; and `ask -c` goes on with a session that was left."""
    softchat("first")
    one = terminal("-c")
    one.until(r"going on after 1 turn[\s\S]*> first")
    one.until(PROMPT)
    one.child.send("second\r")
    one.until(r"thought[\s\S]*" + PROMPT)
    one.child.send("exit\r")
    assert one.finish() == 0
    (saved,) = kept(home)
    assert not saved["id"].startswith("ask-")
    assert f"softchat --resume {saved['id']}" in one.text
    assert softchat("-c", "third").status == 0
    (saved,) = kept(home)
    assert [turn["question"] for turn in saved["turns"]] == ["first", "second", "third"]


# -- a system prompt, a prompt with a name -----------------------------------------------------


def test_a_prompt_with_a_name(softchat, home, tmp_path):
    """Its text around what is asked, its system prompt, its settings; flags are stronger."""
    home.mkdir()
    (home / "config.toml").write_text(
        '[prompts]\nbrief = "In one sentence: $input"\n[prompts.into]\n'
        'prompt = "Into $lang, $tone."\nsystem = "You translate."\ntopn = 3\n'
        'defaults = { tone = "formal" }\n'
    )
    softchat("-t", "brief", "Why?")
    done = softchat("-t", "into", "-p", "lang=German", "Good day", "--json")
    assert started(done)["settings"]["topn"] == 3
    assert (
        started(softchat("-t", "into", "-p", "lang=x", "q", "--topn", "2", "--json"))["settings"][
            "topn"
        ]
        == 2
    )
    first, second, _ = kept(home)
    assert first["turns"][0]["question"] == "In one sentence: Why?"
    assert second["turns"][0]["question"] == "Into German, formal.\n\nGood day"
    assert second["system"] == "You translate."
    listed = softchat("prompts").out
    assert re.search(r"^brief +In one sentence: \$input$", listed, re.MULTILINE)
    assert re.search(r"^into +-p lang=… +Into \$lang", listed, re.MULTILINE)
    assert "system: You translate." in softchat("prompts", "into").out
    assert "needs $lang" in softchat("-t", "into", "q").err
    asked = softchat("-t", "into", "-p", "lang=x", "-p", "input=hey", "q")
    assert asked.err.startswith("error: $input is what is asked\nhint: behind it, ")
    twice = softchat("-t", "into", "-p", "lang=x", "-p", "lang=y", "q")
    assert (twice.status, twice.out) == (2, "")
    assert twice.err == "error: -p gives $lang two values\nhint: -p lang=VALUE once\n"
    assert "did you mean 'into'" in softchat("-t", "int", "q").err
    assert softchat("-t", "brief", stdin="from a pipe").status == 0
    assert kept(home)[-1]["turns"][0]["question"] == "In one sentence: from a pipe"


def test_a_system_prompt_from_a_file(softchat, home, tmp_path):
    """Behind an @."""
    (tmp_path / "pirate.txt").write_text("You are a pirate.\n")
    softchat("-s", "@pirate.txt", "Why?")
    assert kept(home)[0]["system"] == "You are a pirate."


# -- an old answer ----------------------------------------------------------------------------


def test_an_old_answer_is_found(softchat, home):
    """By a word of the question or of the answer; shown again by its number, steps too."""
    softchat("Why is the sky blue?")
    softchat("How do I sort a list?")
    answers = {one["turns"][0]["question"]: one["turns"][0]["answer"] for one in kept(home)}
    listed = softchat("log").out.splitlines()
    assert [line[36:].strip() for line in listed] == [
        "How do I sort a list?",
        "Why is the sky blue?",
    ]
    (found,) = softchat("log", "-q", "SKY").out.splitlines()
    number = found.split()[0]
    shown = softchat("log", "show", number)
    assert shown.out.strip() == answers["Why is the sky blue?"].strip()
    assert "> Why is the sky blue?" in shown.err
    last = softchat("last")
    assert last.out.strip() == answers["How do I sort a list?"].strip()
    assert softchat("show", "last").out.startswith("> How do I sort a list?\n")
    assert softchat("show", number).out.startswith("> Why is the sky blue?\n")
    assert softchat("replay", "last", "--speed", "0", "-q").out == last.out
    assert softchat("plot", "last", number, "-o", "x.html").status == 0
    entry = json.loads(softchat("log", "--json", "-n", "1").out)
    assert entry["question"] == "How do I sort a list?"
    assert softchat("show", entry["session"]).out.startswith("> How do I sort a list?\n")


def test_the_code_of_an_answer_alone(softchat, home):
    """`last --code` goes into a file as it is; an answer without any is told, with status 2."""
    answer = "So:\n\n```python\nprint(1)\n```\n\nor\n\n- ```sh\n  ls\n  ```\n"
    for hour, text in enumerate((answer, "none")):
        when = f"2026-11-28T0{hour}:00:00+00:00"
        file = SessionFile(home / "sessions", ask=True)
        turn = Turn(question="How?", answer=text, settings={}, asked=when)
        file.write(Content([turn]), closed=True)
        file.release()
    refused = softchat("last", "--code")
    assert (refused.status, refused.out) == (2, "")
    assert "this answer has no code block" in refused.err
    listed = softchat("log").out.splitlines()
    shown = softchat("log", "show", listed[1].split()[0], "-x")
    assert (shown.status, shown.out) == (0, "print(1)\nls\n")


def test_nothing_of_what_is_not_kept(softchat, home):
    """--no-log, its variable, config.toml; what was deleted is found no more."""
    assert softchat("--no-log", "secret").status == 0
    assert softchat("secret", SOFTCHAT_LOG="0").status == 0
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text("log = false\n")
    assert softchat("secret").status == 0
    assert not any("secret" in path.read_text(errors="replace") for path in _files(home))
    assert softchat("--log", "shown").status == 0
    assert "shown" in softchat("log").out
    assert softchat("log", "rm", "1").status == 0
    assert softchat("log").err == "nothing has been asked yet\n"
    assert not any(b"shown" in path.read_bytes() for path in _files(home))


def test_what_can_not_be_kept_is_told(softchat, home):
    """The answer is there all the same."""
    home.mkdir()
    (home / "sessions").write_text("no folder")
    done = softchat("Why?")
    assert done.status == 0
    assert done.out
    assert "warning: this can't be kept" in done.err


def test_only_the_newest_thousand_are_kept(softchat, home):
    """Sessions are not counted, and stay."""
    softchat("Why?")
    (first,) = (home / "sessions").glob("ask-*.json")
    text = first.read_text()
    for number in range(1005):
        (first.parent / f"ask-20200101-{number:06d}-aaaa.json").write_text(text)
        os.utime(first.parent / f"ask-20200101-{number:06d}-aaaa.json", (number, number))
    (first.parent / "20200101-000000-aaaa.json").write_text(text)
    os.utime(first.parent / "20200101-000000-aaaa.json", (0, 0))
    softchat("And?")
    asks = sorted(path.name for path in first.parent.glob("ask-*.json"))
    assert len(asks) == 1000
    assert first.name in asks
    assert asks[0] == "ask-20200101-000007-aaaa.json"
    assert (first.parent / "20200101-000000-aaaa.json").exists()
    assert len(softchat("log", "-n", "0").out.splitlines()) == 1001


def _files(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file() and path.name != "config.toml"]


def test_several_answers_are_kept_as_one(softchat, home):
    """All of them, or the one that has won; nothing goes on with several."""
    assert softchat("Why?", "--samples", "2").status == 0
    assert softchat("How?", "--samples", "3", "--vote").status == 0
    first, second = (one["turns"][0] for one in kept(home))
    assert (first["question"], second["question"]) == ("Why?", "How?")
    assert "\n\n" in first["answer"]
    assert softchat("-c", "And?", "--samples", "2").status == 2


def test_what_is_no_text_is_not_asked(softchat, home):
    """A stray byte on the command line: the model would be asked something else."""
    done = softchat(os.fsdecode(b"Why\xff?"))
    assert done.status == 2, done
    assert done.err.startswith("error: the question is not UTF-8 text\nhint: ")
    assert kept(home) == []


def test_a_session_on_a_terminal(terminal, home, tmp_path):
    """A file goes with a question, a cut answer goes on, a question is edited."""
    (tmp_path / "a.txt").write_text("text\n")

    def say(line, pattern):
        one.screen.reset()
        one.child.send(line + "\r")
        one.until(pattern + r"[\s\S]*" + PROMPT)

    one = terminal("--seed", "7", "--answer-temperature", "0")
    one.until(PROMPT)
    say(f"/file {tmp_path / 'a.txt'}", r"a\.txt: 5 characters, with the next question")
    assert "with a.txt" in one.text
    say("Which?", r"cut here: max_answer 4; /continue goes on")
    assert "with a.txt" not in one.text
    say("/continue", "cut here: max_answer")
    (saved,) = kept(home)
    assert saved["turns"][0]["question"] == 'a.txt:\n"""\ntext\n"""\n\nWhich?'
    assert len(saved["turns"][0]["answer"]) > 4
    say("/again", "cut here")
    say("/again", "/retry draws one")
    say("/retry", "answer temperature 0.6 for this once")
    say("And?", "thought 2")
    say("/think 1", r"\n +0 +\d\.\d+ .*\n +1 +\d\.\d+ ")
    say("/why 0 1", r"step 0 · soft")
    one.screen.reset()
    one.child.send("/edit\r")
    one.until(r"taken back[\s\S]*> And\?\s*\n")
    one.child.send(" Or?\r")
    one.until(r"And\? Or\?\s*\nthought[\s\S]*" + PROMPT)
    one.child.send("quit\r")
    assert one.finish() == 0
    (saved,) = kept(home)
    assert [turn["question"][-8:] for turn in saved["turns"]] == ["\n\nWhich?", "And? Or?"]


def test_a_question_that_is_left_takes_its_file_along(terminal, tmp_path):
    """/edit puts both back, and Ctrl-C lets go of both."""
    (tmp_path / "a.txt").write_text("text\n")
    one = terminal()
    one.until(PROMPT)
    one.child.send(f"/file {tmp_path / 'a.txt'}\r")
    one.until(r"with the next question[\s\S]*with a\.txt")
    one.child.send("Which?\r")
    one.until(r"thought 2[\s\S]*" + PROMPT)
    one.screen.reset()
    one.child.send("/edit\r")
    one.until(r"> Which\?\s*\n[^\n]*with a\.txt")
    one.child.send("\x03")
    one.until(r"Ctrl-D or /quit leaves[\s\S]*" + PROMPT)
    assert "with a.txt" not in one.text.splitlines()[-1]
    one.child.send("\x04")
    assert one.finish() == 0
