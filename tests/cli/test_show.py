"""`softchat show`, on traces made by hand."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from dataclasses import replace

import pytest

from softchat.events import Answer, AnswerToken, ConceptEntry, Lens
from softchat.record.session_file import SessionFile
from softchat.record.session_format import SessionRecord
from softchat.talk.conversation import Turn
from tests.recordings import run_of, step, write_trace

RUN = run_of(*(step(i, entropy=1.25, **{f"_piece{j}": 0.125 for j in range(8)}) for i in range(60)))
SECOND = run_of(step(0, entropy=0.25, only=1.0), answer=("second",))


@pytest.fixture(autouse=True)
def _traces(tmp_path):
    write_trace(tmp_path / "run.jsonl", RUN)
    write_trace(tmp_path / "two.jsonl", RUN, SECOND)


def test_a_pipe_gets_all_of_it(softchat):
    """A line a step, none folded, no escape, no pager."""
    result = softchat("show", "run.jsonl", PAGER="false", COLUMNS="40")
    assert (result.status, result.err) == (0, "")
    rows = [line for line in result.out.splitlines() if "·piece0 0.12" in line]
    assert len(rows) == 60
    assert all(line.rstrip().endswith("·piece7 0.12") for line in rows)
    assert "\x1b" not in result.out
    assert result.out.rstrip().endswith("four legs")


def test_several_runs_come_one_after_the_other(softchat):
    """Or one of them."""
    out = softchat("show", "two.jsonl").out
    assert out.index("four legs") < out.index("second")
    assert "four legs" not in softchat("show", "two.jsonl", "--turn", "2").out


def test_the_answer_with_what_else_could_have_been_said(softchat, tmp_path):
    """All of it, or one token; a run without that says how to have it."""
    told = [
        Answer(
            text=text,
            token=AnswerToken(
                id=5,
                piece=text,
                probability=0.6,
                entropy=entropy,
                alternatives=(ConceptEntry(id=6, piece=" arms", weight=0.3),),
            ),
        )
        for text, entropy in (("four", 0.1), (" legs", 1.75))
    ]
    seen = Lens(index=0, text="three", entropy=0.5, whole=True, elapsed_s=0.1)
    events = run_of(step(0), seen, answer=())
    write_trace(tmp_path / "told.jsonl", [*events[:-1], *told, events[-1]])
    result = softchat("show", "told.jsonl", "--answer")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("four legs\n")
    assert re.search(r"\n +1 +1\.750 +·legs 0\.60 +·arms 0\.30", result.out)
    one = softchat("show", "told.jsonl", "--answer", "--step", "1").out
    assert one.startswith("answer token 1 · H 1.7500 nats · behind four\n")
    assert re.search(r"0\.3000 .* ·arms +6", one)
    # The look ahead has a column of its own, in the row of its step.
    assert re.search(r"\n +0 +1\.000 +soft +three  H 0\.5 ", softchat("show", "told.jsonl").out)


def test_one_step_in_full(softchat):
    """Every token of it, with its weight and its number; of the run's own τ."""
    result = softchat("show", "run.jsonl", "--step", "59")
    assert result.out.splitlines()[0] == "step 59 · soft · H 1.2500 nats, not under τ 0.5"
    assert sum("0.1250" in line for line in result.out.splitlines()) == 8


@pytest.mark.parametrize(
    ("arguments", "says", "helps"),
    [
        (("run.jsonl", "--step", "60"), "no step 60", "from 0 to 59"),
        (("two.jsonl", "--step", "0"), "2 runs", "--turn"),
        (("two.jsonl", "--answer"), "2 runs", "--turn"),
        (("run.jsonl", "--answer"), "nothing was kept", "--answer-entropy"),
        (("run.jsonl", "--turn", "2"), "no run 2", "1 run"),
        (("none.jsonl",), "can't read", "file"),
    ],
)
def test_a_mistake_is_one_line_and_a_hint(softchat, arguments, says, helps):
    """With what there is instead."""
    result = softchat("show", *arguments)
    assert (result.status, result.out) == (2, "")
    error, hint = result.err.splitlines()
    assert says in error
    assert helps in hint


def test_a_terminal_gets_a_pager_for_what_is_longer(terminal, environ, tmp_path):
    """A short one is printed; a long one goes through PAGER, and less is told of the colours."""
    environ.pop("LESS", None)
    environ["PAGER"] = "sed s/^/PAGED/; echo less $LESS"
    long = terminal("show", str(tmp_path / "run.jsonl"), columns=100, lines=24)
    assert long.finish() == 0
    assert "PAGED" in long.text
    assert "less FRX" in long.text
    short = terminal("show", str(tmp_path / "two.jsonl"), "--turn", "2", columns=100, lines=24)
    assert short.finish() == 0
    assert "PAGED" not in short.text
    assert "only 1.00" in short.text


@pytest.mark.parametrize("pager", ["", "no-such-pager-here", "head -1"])
def test_a_pager_that_is_none_or_leaves_is_no_harm(terminal, environ, tmp_path, pager):
    """Without one, or with a wrong name, all is printed; one that leaves early ends it."""
    environ["PAGER"] = pager
    shown = terminal("show", str(tmp_path / "run.jsonl"), columns=100, lines=24)
    assert shown.finish() == 0
    assert "Traceback" not in shown.text
    assert ("four legs" in shown.text) == (pager != "head -1")


@pytest.mark.skipif(not (shutil.which("less") and shutil.which("bash")), reason="no less here")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_pager_too(terminal, environ, tmp_path, number):
    """Nobody is left who takes what is typed at the shell; the terminal echoes again."""
    environ.pop("LESS", None)
    environ["PAGER"] = "less"
    script = (
        f"{sys.executable} -m softchat show {tmp_path}/run.jsonl & echo $! >{tmp_path}/pid; fg;"
        " echo status $?; read line; echo it has $line"
    )
    shown = terminal(program=["bash", "-mc", script], columns=100, lines=24)
    shown.until(r"\n:$")
    assert not shown.child.getecho()
    os.kill(int((tmp_path / "pid").read_text()), number)
    shown.until(f"status {128 + number}", 20)
    assert shown.child.getecho()
    shown.child.send("hello\r")
    shown.until("it has hello", 20)


def test_a_session_whose_steps_are_gone(softchat, own_home):
    """It is told so, and not as a file that is not there."""
    folder = own_home / "sessions"
    folder.mkdir()
    turn = Turn(question="Why?", answer="So.", settings={}, events=tuple(RUN))
    record = SessionRecord(id="x", model="fake", system="", chosen={}, turns=(turn,))
    kept = SessionFile(folder, None)
    kept.write(replace(record, id=kept.id), closed=True)
    kept.release()
    assert softchat("show", kept.id).status == 0
    (folder / f"{kept.id}.jsonl").unlink()
    done = softchat("show", kept.id)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"error: the steps of session {kept.id} are not kept\n")
