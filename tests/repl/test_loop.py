"""The session in a real terminal."""

from __future__ import annotations

import json
import random
import re
import signal
import stat
import time
from pathlib import Path

import pytest

from softchat.record.session_format import read_file

QUESTION = "What is the capital of France?"
pytestmark = pytest.mark.usefixtures("own_home")
ENDLESS = (
    "--tau", "0", "--max-think", "3000", "--temperature", "1", "--topn", "10",
    "--loop-steps", "0", "--drift-steps", "0",
)  # fmt: skip
PROMPT = r">\s*\n[^\n]*context \d+/\d+$"


def leave(one):
    """As a user does; the exit status."""
    one.until(PROMPT)
    one.child.sendeof()
    return one.finish()


@pytest.fixture
def repl(terminal):
    """Open a session and wait until its model is there."""

    def open_(*arguments, **size):
        one = terminal(*arguments, **size)
        one.until(PROMPT)
        return one

    return open_


def say(one, line, pattern, seconds=120):
    """Type a line; read until the screen shows this below it."""
    one.screen.reset()
    one.child.send(line + "\r")
    one.until(pattern, seconds)


def test_a_chat_of_two_turns(repl):
    """An answer to each question; the second turn's prompt holds the first."""
    one = repl("--answer-temperature", "0", "--seed", "1")
    say(one, QUESTION, r"Paris[\s\S]*" + PROMPT)
    say(one, "/stats", r"context (\d+) of 4096")
    say(one, "And of Italy?", r"thought[\s\S]*" + PROMPT)
    say(one, "/stats", r" 2 +\d+ ")
    assert leave(one) == 0


def test_a_thought_is_ended_by_enter_and_a_question_is_typed_ahead(repl):
    """A lone Enter gets the answer. Words that begin with the letter are the next question."""
    one = repl(*ENDLESS, "--max-answer", "5")
    say(one, "Tell me a story.", r"Enter answers now")  # "Why?" is over in 9 steps
    one.child.send("\r")
    one.until(r"you asked to[\s\S]*" + PROMPT)
    say(one, "/set max_think 200", PROMPT)
    say(one, "/clear", PROMPT)  # behind an answer it may have little to think
    say(one, "Tell me a story.", r"Enter answers now")
    one.child.send("and then")
    one.until(r"thought \d+[\s\S]*> and then\s*\n")
    one.child.send("\r")
    one.until(r"> and then\s*\n[\s\S]*thought \d+[\s\S]*" + PROMPT)
    assert leave(one) == 0


def test_settings_are_shown_with_their_origin(repl, environ):
    """/set shows each value and where it comes from, flag and variable told apart."""
    environ["SOFTCHAT_TOP_K"] = "20"
    config = 'topn = 4\nmin_p = 0.01\nthreads = 2\n[models.smollm2-plain]\nsystem = "Be brief."\n'
    Path(environ["SOFTCHAT_HOME"], "config.toml").write_text(config)
    one = repl("--topn", "3", columns=110, lines=100)
    say(one, "/set tau 0.2", r"tau 0\.2")
    say(one, "/set", r"panel")
    for row in (
        "tau 0.2 /set",
        "topn 3 --topn",
        "top_k 20 SOFTCHAT_TOP_K",
        "min_p 0.01 config.toml:2",
        "patience 8 models.toml",
        "top_p 0.95 built in",
        "model smollm2-plain SOFTCHAT_MODEL",
        "system Be brief. config.toml:5",
        "threads 2 config.toml:3",
        "ctx 0 built in",
    ):
        assert re.search(r"\n " + re.escape(row).replace(r"\ ", " +"), one.text), (row, one.text)
    say(one, "/unset tau", r"tau 0\.05 \(models\.toml\)")
    one.until("τ 0.05 · patience 8 · n 3")
    say(one, "/strategy hard", "strategy hard")
    say(one, "/set tau", r"tau 0\.0 \(strategy hard\)")
    say(one, "/system Speak.", "from the next turn on")
    say(one, "/set system", r"system Speak\. \(/system\)")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/sett tau", "did you mean /set\\?"),
        ("/set tou 3", "did you mean 'tau'\\?"),
        ("/set tau x", "tau is 'x'"),
        ("/set panel no", "--panel, or panel in config\\.toml"),
        ("/set ctx x", "whole number from 0 to 16777216"),
        ("/set gpu_layers some", "it can be: auto, all, or a whole number"),
        ("/set device X1", "no device X1"),
        ("/unset tou", "did you mean 'tau'\\?"),
        ("/strategy warm", "it can be: soft, hard"),
        ("/model smolm2", "did you mean smollm2, smollm2-135m"),
        ("/again", "nothing has been asked yet"),
        ("/compare", "nothing has been asked yet"),
        ("/why 3", "nothing has been asked yet"),
        ("/undo", "nothing has been asked yet"),
        ("/drop 3", "there are 0 turns"),
        ("/load nowhere.json", "can't read nowhere\\.json"),
        ("/save x.json", "nothing to save yet"),
        ("/trace /nowhere/x", "can't write the trace"),
        ("/copy", "nothing has been asked yet"),
    ],
)
def test_mistakes_are_told_and_cost_nothing(shared, line, said):
    """One line and a hint, and the session goes on."""
    say(shared, line, said)
    say(shared, "/set topn", "Tokens mixed into a concept token")


@pytest.fixture(scope="module")
def shared(request):
    """One session for all the mistakes."""
    from tests.terminal import Terminal

    home = request.getfixturevalue("home")
    import os

    mine = {k: v for k, v in os.environ.items() if not k.startswith("SOFTCHAT_")}
    request.getfixturevalue("real_model")
    one = Terminal((), mine | {"SOFTCHAT_HOME": str(home), "PYTHONUTF8": "1"})
    one.until(PROMPT)
    yield one
    leave(one)


def test_the_last_turn_can_be_looked_into(repl):
    """/think shows every step, /why one of them in full."""
    one = repl("--seed", "1", "--max-think", "6", columns=100)
    say(one, QUESTION, r"thought[\s\S]*" + PROMPT)
    say(one, "/think", r"\n +0 +\d\.\d+ .*\n +1 +\d\.\d+ ")
    say(one, "/why 1", r"step 1 · soft · H \d\.\d+ nats[\s\S]*token\n[\s\S]*━")
    say(one, "/why 99", r"from 0 to \d")


def test_again_replaces_the_turn(repl, tmp_path):
    """The same question with other settings; the session has one turn, the new one."""
    one = repl("--seed", "1")
    say(one, QUESTION, r"thought[\s\S]*" + PROMPT)
    say(one, "/again strategy=hard max_think=3", r"thought 3 hard steps[\s\S]*" + PROMPT)
    say(one, f"/save {tmp_path}/chat.json", "written to")
    turns = json.loads((tmp_path / "chat.json").read_text())["turns"]
    assert [turn["question"] for turn in turns] == [QUESTION]
    assert turns[0]["settings"]["max_think"] == 3
    say(one, "/again tou=1", "did you mean 'tau'")
    say(one, "/stats", r" 1 +3 ")


def test_compare_shows_hard_and_soft(repl):
    """Side by side, and the conversation is as before."""
    one = repl("--seed", "1", "--max-think", "5", columns=100)
    say(one, QUESTION, r"thought[\s\S]*" + PROMPT)
    say(one, "/compare", r"hard +soft\s*\n ?steps +\d+ +\d+[\s\S]*answer [\s\S]*" + PROMPT)
    say(one, "/stats", r" 1 +\d+ ")
    assert not one.text.count(" 2  ")


def test_saved_and_loaded(repl, tmp_path):
    """/save writes it, /clear forgets it, /load brings it back; .md is to be read."""
    one = repl("--seed", "1")
    say(one, QUESTION, r"thought[\s\S]*" + PROMPT)
    say(one, f"/save {tmp_path}/chat.json", "written to")
    say(one, f"/save {tmp_path}/chat.md", "written to")
    assert (tmp_path / "chat.md").read_text().startswith("# A chat with smollm2-plain")
    assert f"## {QUESTION}" in (tmp_path / "chat.md").read_text()
    say(one, "/clear", "1 turn forgotten")
    say(one, f"/load {tmp_path}/chat.json", "1 turn\n")
    say(one, "/undo", f"taken back: {QUESTION}"[:40])


def test_a_trace_of_turns(repl, tmp_path):
    """/trace writes the events of the turns that follow, until it is off."""
    one = repl("--seed", "1", "--max-think", "3")
    say(one, f"/trace {tmp_path}/t.jsonl", "trace ")
    say(one, QUESTION, r"thought[\s\S]*" + PROMPT)
    say(one, "/trace off", "trace off")
    say(one, QUESTION, r"thought[\s\S]*" + PROMPT)
    lines = (tmp_path / "t.jsonl").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert events.count("started") == 1
    assert events[-1] == "finished"


def test_several_lines(repl):
    """Alt-Enter begins a line, three quotes hold a block, a pasted block is not sent."""
    one = repl("--seed", "1", "--max-think", "2", "--max-answer", "3")
    one.child.send("first\x1b\rsecond")
    one.until(r"> first\n\. second")
    one.child.send("\x15\x1b[200~pasted\rblock\x1b[201~")
    one.until(r"pasted\n\. block")
    assert "thought" not in one.text
    one.child.send("\x03")
    one.until(PROMPT)
    one.child.send('"""\r"""code"""\r"""')
    one.until(r'> """\n\. """code"""\n\. """')
    one.child.send("\r")
    one.until(r"thought[\s\S]*" + PROMPT)


def test_history_outlives_the_session(repl, environ):
    """What was typed comes back with the up key, and is readable by its owner only."""
    one = repl()
    say(one, "/set topn 7", "topn 7")
    assert leave(one) == 0
    two = repl()
    two.child.send("\x1b[A")
    two.until("> /set topn 7")
    history = Path(environ["SOFTCHAT_HOME"]) / "history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_commands_are_completed(repl):
    """Tab offers commands, settings and their values."""
    one = repl()
    one.child.send("/str")
    one.until("/strategy")
    one.child.send("\t h")
    one.until("> /strategy h")
    one.child.send("\t")
    one.until("> /strategy hard")
    one.child.send("\r\r")  # the first takes what the menu offers, the second sends it
    one.until(r"\nstrategy hard[\s\S]*" + PROMPT)
    one.child.send("/help /sta")
    one.until(r"\n\s+/stats")  # the menu
    one.child.send("\t")
    one.until("> /help /stats")
    one.child.send("\r\r")
    one.until("/stats\n  What the turns took")


def test_ctrl_c_at_random_moments(repl, softchat, environ):
    """A hundred times: the session lives, and the next answer is that of a fresh run."""
    rng = random.Random(7)
    flags = ("--answer-temperature", "0", "--seed", "1", "--topn", "10")
    plain = ("--no-markdown", "--max-think", "3000")
    one = repl(*flags, "--tau", "0", "--temperature", "1", *plain)
    for _ in range(100):
        one.screen.reset()
        one.child.send("Why is the sky blue?\r")
        time.sleep(rng.random() * 0.15)
        one.child.send("\x03")
        one.until(r"(interrupted|Ctrl-D|stopped)[\s\S]*" + PROMPT)
        say(one, "/clear", r"turns? forgotten[\s\S]*" + PROMPT)
    say(one, "/set max_think 5", "max_think 5")
    say(one, QUESTION, r"thought[\s\S]*" + PROMPT)
    flags = (*flags, "--tau", "0", "--temperature", "1", "--max-think", "5")
    fresh = softchat(
        "ask", QUESTION, *flags, "-m", "smollm2-plain", SOFTCHAT_HOME=environ["SOFTCHAT_HOME"]
    )
    answer = fresh.out.strip().splitlines()
    assert answer
    assert all(line in one.text for line in answer)
    assert leave(one) == 0


def test_ctrl_c_on_the_prompt(repl):
    """Once clears the line and says how to leave, twice within a second leaves."""
    one = repl()
    one.child.send("half a line")
    one.until("> half a line")
    one.child.send("\x03")
    one.until("Ctrl-D or /quit leaves")
    one.child.send("\x03")
    assert one.finish() == 0


def test_a_session_that_was_killed_is_offered(repl, terminal, environ):
    """After kill -9 the next start tells of it once, and /resume takes up what was said."""
    one = repl("--seed", "1")
    say(one, QUESTION, r"thought[\s\S]*" + PROMPT)
    say(one, "/set topn 4", "topn 4")
    say(one, "/why 1", r"step 1 · soft · H \d\.\d+ nats")
    step = re.search(r"step 1 · [\s\S]*?\n\n|step 1 · .*", one.text)[0]
    one.child.kill(signal.SIGKILL)
    one.finish()
    two = terminal()
    two.child.send("/res")  # typed before there is a prompt: it is on the line, and answers nothing
    two.until(r"/resume takes up what was killed \(1 turn\): .*capital of France")
    two.until(r"> /res")
    two.child.send("ume\r")
    two.until(r"going on after 1 turn[\s\S]*> What is[\s\S]*Paris[\s\S]*" + PROMPT)
    say(two, "/think", r"\n +0 +\d\.\d+ .*\n +1 +\d\.\d+ ")
    say(two, "/why 1", re.escape(step))
    say(two, "/stats", r" 1 +\d+ ")
    say(two, "/set topn", r"topn 4 \(/set\)")
    assert leave(two) == 0
    three = repl()  # it was left, so it is not offered again
    assert "killed" not in three.text
    leave(three)


def test_ctrl_c_clears_a_question_that_was_left_over(terminal, environ):
    """What a killed session was about to ask stands on the line once, and not for ever."""
    kept = {
        "schema": 1, "started": "", "updated": "", "model": "smollm2-plain", "system": "",
        "turns": [], "pending": "and then?", "closed": False,
    }  # fmt: skip
    folder = Path(environ["SOFTCHAT_HOME"], "sessions")
    folder.mkdir()
    (folder / "old.json").write_text(json.dumps(kept))
    (folder / "old.lock").touch()
    one = terminal()
    one.until(r"takes up what was killed \(0 turns\): and then\?")
    one.child.send("/resume\r")
    one.until("was not answered is on the line[\\s\\S]*> and then\\?")
    one.child.send("\x03")
    one.until(r"Ctrl-D or /quit leaves\n>\s*\n[^\n]*context")


def test_sessions_are_listed_and_resumed(repl, softchat, environ):
    """`softchat sessions` lists, `--resume last` goes on, `rm` deletes."""
    one = repl("--seed", "1")
    say(one, QUESTION, r"thought[\s\S]*" + PROMPT)
    leave(one)
    home = {"SOFTCHAT_HOME": environ["SOFTCHAT_HOME"]}
    listed = softchat("sessions", **home)
    assert QUESTION in listed.out
    name = listed.out.split()[0]
    two = repl("chat", "--resume", "last")
    assert "going on after 1 turn" in two.text
    leave(two)
    exported = softchat("sessions", "export", name, "chat.md", **home)
    assert exported.status == 0, exported
    again = softchat("sessions", "export", name, "chat.md", **home)
    assert again.status == 0, again
    folder = Path(environ["SOFTCHAT_HOME"])
    (folder / "mine.sh").write_text("mine")
    for out, said in {
        folder / "mine.sh": "mine.sh exists, and is no exported session",
        folder / "sessions" / f"{name}.json": "is among softchat's own",
        Path("/dev/stdout"): "is the file that stdout goes to",
    }.items():
        refused = softchat("sessions", "export", name, str(out), **home)
        assert refused.status == 2
        assert said in refused.err
    assert (folder / "mine.sh").read_text() == "mine"
    assert softchat("sessions", "rm", name, **home).out == f"removed {name}\n"
    assert softchat("sessions", **home).out == ""
    missing = softchat("sessions", "rm", name, **home)
    assert missing.status == 2
    assert missing.err.startswith(f"error: no session '{name}'\nhint: ")


def test_a_resumed_session_is_as_it_was_but_for_flags(repl, softchat, environ):
    """Model, system prompt and what `/set` changed are the session's; no variable beats them."""
    one = repl("-m", "smollm2-plain", "--max-think", "2", "--max-answer", "2")
    say(one, "/set tau 0.3", "tau 0.3")
    say(one, "/set topn 2", "topn 2")
    say(one, "/system Be brief.", "next turn")
    say(one, QUESTION, r"thought[\s\S]*" + PROMPT)
    leave(one)
    environ |= {"SOFTCHAT_MODEL": "smollm2", "SOFTCHAT_SYSTEM": "Else.", "SOFTCHAT_TAU": "0.7"}
    two = repl("--resume", "last", "--topn", "3", columns=100)
    for name, said in {
        "model": r"model smollm2-plain \(the session\)",
        "system": r"system Be brief\. \(the session\)",
        "tau": r"tau 0\.3 \(/set\)",
        "topn": r"topn 3 \(--topn\)",
    }.items():
        say(two, f"/set {name}", said)
    say(two, "/unset tau", r"tau 0\.7 \(SOFTCHAT_TAU\)")
    leave(two)
    three = repl("--resume", "last", "-m", "smollm2", "--system", "Now.", columns=100)
    say(three, "/set model", r"model smollm2-135m \(--model\)")
    say(three, "/set system", r"system Now\. \(--system\)")
    say(three, "/set tau", r"tau 0\.7 \(SOFTCHAT_TAU\)")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--resume", "last", "--topn", "3"), "--topn does nothing with strategy hard"),
        (("--selar-k", "3"), "--selar-k does nothing with strategy soft"),
        (("--force",), "--force does nothing without --trace"),
    ],
)
def test_a_flag_that_would_do_nothing(repl, terminal, flags, said):
    """Before a model is loaded; the strategy of the session that is gone on with counts."""
    if "--resume" in flags:
        one = repl("--max-think", "2", "--max-answer", "2")
        say(one, "/strategy hard", "strategy hard")
        say(one, QUESTION, r"thought[\s\S]*" + PROMPT)
        leave(one)
    two = terminal("chat", *flags, columns=100)
    assert two.finish() == 2
    assert f"error: {said}\nhint: " in two.text


def test_a_session_whose_model_has_gone(terminal, environ):
    """It says how to go on with another, and that works."""
    kept = {
        "schema": 1, "started": "", "updated": "", "model": "/nowhere/x.gguf", "system": "",
        "turns": [{"question": "a", "answer": "b", "settings": {}}], "pending": "", "closed": True,
    }  # fmt: skip
    environ["SOFTCHAT_MODEL"] = ""
    folder = Path(environ["SOFTCHAT_HOME"], "sessions")
    folder.mkdir()
    (folder / "old.json").write_text(json.dumps(kept))
    one = terminal("chat", "--resume", "last")
    assert one.finish() == 3
    assert "hint: with another model: softchat chat --resume old -m NAME" in one.text
    two = terminal("chat", "--resume", "old", "-m", "smollm2")
    two.until("going on after 1 turn[\\s\\S]*" + PROMPT)
    assert leave(two) == 0


@pytest.mark.parametrize("size", [{"columns": 60, "lines": 20}, {"columns": 30, "lines": 10}])
def test_a_small_window(repl, size):
    """It works at 60 columns and less, with wide characters."""
    one = repl("--max-think", "3", "--max-answer", "5", **size)
    say(one, "用中文说你好", "thought 3")


def toolbars(one):
    """The lines that are the toolbar, or what is left of one."""
    return re.findall(r"^ .*(?:context \d+/\d+|τ [\d.]+ · ).*$", one.text, re.MULTILINE)


def test_resizing_while_it_thinks(repl):
    """One panel at any time, none in the end, and no toolbar but the prompt's."""
    one = repl("--seed", "1", *ENDLESS, columns=80, lines=30)
    one.child.send("Why is the sky blue?\r")
    one.until(r"\d+ steps[^╰]*╰ .* stops$")
    for size in ((110, 34), (64, 34), (100, 36), (120, 40)):
        one.resize(*size)
        one.until_one_panel()
        assert not toolbars(one), one.text
    one.child.send("\x03")
    one.until(r"thought \d+ soft steps .* interrupted[\s\S]*" + PROMPT)
    assert not re.search("[╭│╰]", one.text), one.text
    assert not one.screen.cursor.hidden
    assert len(toolbars(one)) == 1, one.text


def test_resizing_while_it_answers(repl, environ):
    """Each line of the answer is there once, and in order.

    (This terminal cuts lines off when it shrinks.)
    """
    flags = ("--seed", "1", "--max-think", "0", "--answer-temperature", "0", "--max-answer", "120")
    one = repl(*flags, columns=60, lines=60)
    one.child.send("Tell me a long story about a dog.\r")
    for words, size in ((5, (48, 60)), (20, (90, 60)), (40, (70, 60))):
        one.until(rf"step limit(\W+\w+){{{words}}}", 60)
        one.resize(*size)
    one.until(r"cut here[\s\S]*" + PROMPT, 60)
    (path,) = Path(environ["SOFTCHAT_HOME"], "sessions").glob("*.json")
    (turn,) = read_file(path).turns
    shown = one.text.partition("step limit")[2].partition("the answer was cut here")[0]
    words, wanted = re.findall(r"\w+", shown), re.findall(r"\w+", turn.answer)
    rest = iter(wanted)
    assert all(word in rest for word in words), one.text
    assert len(words) > 0.8 * len(wanted), one.text
    assert len(toolbars(one)) == 1, one.text
    assert not one.screen.cursor.hidden


def test_resizing_at_the_prompt(repl):
    """What has been typed so far is there once, whole, and can be sent."""
    one = repl(columns=60, lines=20)
    words = "/system " + " ".join(f"word{number}" for number in range(12))
    one.child.send(words)
    one.until("word11")
    for columns in (40, 90, 30, 120):
        one.resize(columns, 20)
        deadline = time.monotonic() + 60
        while (rows := one.screen.display) and time.monotonic() < deadline:
            one.read(0.3)
            # Behind the prompt, and what stands below it, each line is indented by two cells.
            typed = "".join(row[2:] for row in rows if row.startswith(("> ", "  ")))
            if typed.split() == words.split() and len(toolbars(one)) == 1:
                break
        else:
            raise AssertionError(one.text)
    one.child.send("\r")
    one.until("from the next turn on")
    say(one, "/system", "word0 .*word11")


def test_a_dumb_terminal_without_colour(environ, terminal):
    """TERM=dumb and NO_COLOR: plain lines, and all works."""
    environ["NO_COLOR"] = "1"
    one = terminal("--max-think", "3", "--max-answer", "5", term="dumb", columns=64)
    one.until(">$")
    one.child.send(QUESTION + "\r")
    one.until(r"\nthinking…\nthought 3 soft steps in .* step limit[^>]*\n>$")
    one.screen.reset()
    one.child.send(
        "/stats\r"
    )  # its lines are not wrapped: rich takes any dumb terminal for 80 wide
    one.until(r"\n turn .*\n +1 +3 .*\ncontext")
    one.child.send("/quit\r")
    assert one.finish() == 0


def test_every_command_in_a_locale_without_unicode(environ, terminal):
    """LC_ALL=C: signs give way to simpler ones, and nothing ends the session."""
    environ |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PAGER": ""}
    one = terminal("--max-think", "3", "--max-answer", "5", "--topn", "3", columns=60, lines=70)
    one.until(r" - context \d+/\d+$")
    say(one, "Was ist größer?", "thought 3 soft steps")
    for line, shown in {
        "/help": r"NAME=VALUE\.\.\.[\s\S]*Ctrl-D\s+leaves",
        "/set": "panel",
        "/think": r"\n +2 +\d\.\d+ ",
        "/why 0": "tau 0",
        "/stats": "step limit",
        "/compare": r"hard\.\.\.\nsoft\.\.\.\n[\s\S]*answer",
        "/undo": "taken back",
    }.items():
        say(one, line, shown)


def test_without_a_terminal_there_is_no_session(softchat):
    """An empty pipe gets a hint instead; what a full one says is answered (see tests/cli)."""
    result = softchat(stdin="")
    assert result.status == 2
    assert "softchat ask" in result.err


@pytest.mark.parametrize("columns", [60, 200])
def test_a_thought_takes_another_turn(repl, columns):
    """/fork shows the step's tokens, then both runs side by side; /back is the way back."""
    flags = ("--max-think", "9", "--tau", "0", "--temperature", "1", "--max-answer", "20")
    one = repl(*flags, "--answer-temperature", "0", columns=columns, lines=50)
    say(one, QUESTION, r"thought \d+ soft steps[\s\S]*" + PROMPT)
    before = one.text
    say(one, "/fork 3", r"/fork 3 2 goes on with the second[\s\S]*" + PROMPT)
    second = re.search(r"^ +2 +0\.\d+ +\S+ +(\S+) +\d+$", one.text, re.MULTILINE)[1]
    say(one, "/fork 3 2", r"/back takes the fork back[\s\S]*" + PROMPT)
    assert re.search(r"as it was +fork$", one.text, re.MULTILINE), one.text
    assert re.search(rf"^step 3 .* {re.escape(second)} +1\.00", one.text, re.MULTILINE), one.text
    assert re.search(r"^steps +\d+ +\d+$", one.text, re.MULTILINE), one.text
    assert all(len(line) <= columns for line in one.text.splitlines())
    say(one, "/why 3", rf"{re.escape(second)} alone[\s\S]*as it was:[\s\S]*" + PROMPT)
    say(one, "/back", r"as it was: \S+[\s\S]*" + PROMPT)
    said = re.search(r"as it was: (\S+)", one.text)[1]
    assert said in before
    assert leave(one) == 0
