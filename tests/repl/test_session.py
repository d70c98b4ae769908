"""A chat without a terminal."""

from __future__ import annotations

import os
import re
import signal
import threading
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from softchat.config.file import Config
from softchat.config.layers import Source
from softchat.errors import DecodeAbortedError, ModelRefusedError, ServerError, UsageError
from softchat.events import Answer, Finished, FinishReason, Halted, HaltReason, Started
from softchat.models import Located
from softchat.record.runs import Run
from softchat.record.session_file import SessionFile, Unkept
from softchat.record.session_format import SessionRecord, read_file
from softchat.record.sessions import load_session
from softchat.repl.commands import Leave
from softchat.repl.loop import Repl
from softchat.repl.session import Session
from softchat.talk.backend import Room
from softchat.talk.conversation import Turn
from softchat.talk.local import LocalBackend
from softchat.testing import FakeEngine
from softchat.views.plain import AnswerView


@pytest.fixture
def released():
    """A model is loaded once this is set."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def begin(released, tmp_path):
    """Begin a session whose model is not loaded before `released`."""
    script, begun = [{"</think>": 1}, {"a": 1}, {"<end>": 1}], []

    def open_backend(found, cancelled):
        while not released.wait(0.01):
            if cancelled():
                raise DecodeAbortedError("stopped while loading the model")
        pieces = ["</think>", "<end>", "\n", *map(chr, range(32, 127))]
        return LocalBackend(FakeEngine(pieces, script))

    def begin_(restored=None, *, flags=(), says=None, **chosen):
        script[:] = says or script
        session = Session(
            Located(name="fake", path=Path("fake.gguf"), entry=None),
            open_backend,
            config=Config(),
            chosen=Source(values=chosen, origin=lambda name: f"--{name}"),
            restored=restored,
            flags=flags,
        )
        out = StringIO()
        console = Console(file=out, width=100)
        folder = tmp_path / "sessions"
        if restored is not None and not (folder / f"{restored.id}.json").exists():
            before = SessionFile(folder)
            before.id = restored.id
            before.write(restored, closed=True)
            before.release()
            restored = load_session(folder, restored.id)
        begun.append(saved := SessionFile(folder, restored))
        find = pytest.fail
        repl = Repl(
            session, console, make_view=lambda: AnswerView(out), find=find, saved=saved
        )  # fmt: skip
        return repl, out

    yield begin_
    for saved in begun:
        saved.release()


def saved(*turns, system="Be brief."):
    return SessionRecord(
        id="x", started="", updated="", model="fake", system=system, turns=turns, pending="",
        closed=True,
    )  # fmt: skip


def test_commands_do_not_wait_for_the_model(begin, released):
    """While it loads, the toolbar is drawn, settings change, turns are taken back."""
    repl, out = begin(saved(*(Turn(question=name, answer="b", settings={}) for name in "xa")))
    assert repl.session.loading
    assert "loading" in repl.toolbar()
    for line in ("/set topn 3", "/set", "/system Speak.", "/drop", "/undo", "/help", "/nothing"):
        repl.handle(line)
    assert repl.session.loading
    assert "n 3" in repl.toolbar()
    assert "the oldest 1 turn forgotten" in out.getvalue()
    assert "taken back: a" in out.getvalue()
    assert not repl.session.turns
    released.set()
    repl.close()


def test_a_setting_may_be_set_before_what_it_goes_with(begin, released):
    """It is told that it does nothing yet, and is there when it does."""
    repl, out = begin()
    repl.handle("/set selar_k 4")
    said = "selar_k 4: does nothing with strategy soft; it does with strategy selar"
    assert out.getvalue().splitlines() == [said]
    repl.handle("/strategy selar")
    repl.handle("/set selar_k 5")
    assert out.getvalue().splitlines()[1:] == ["strategy selar", "selar_k 5"]
    assert repl.session.settings.selar_k == 5
    released.set()
    repl.close()


def test_a_resumed_turn_says_that_its_steps_are_gone(begin, released):
    """And how to have them: the turn once more, with its seed."""
    repl, out = begin(saved(Turn(question="a", answer="b", settings={"seed": 5})))
    for line in ("/think", "/why 0"):
        repl.handle(line)
        assert "not kept: it is from a saved session" in out.getvalue()
        assert "/again seed=5 thinks once more" in out.getvalue()
        out.seek(0)
        out.truncate()
    released.set()
    repl.close()


def test_a_resumed_session_has_its_system_prompt_unless_a_flag_differs(begin, released):
    """Flag, then what the session had; /system is over both."""
    repl, _ = begin(saved(system="Then."))
    assert repl.session.system == "Then."
    assert repl.session.origins()["system"] == ("Then.", "the session")
    another = replace(saved(system="Then."), id="y")
    other, _ = begin(another, flags={"system"}, system="Now.")
    assert other.session.system == "Now."
    assert other.session.origins()["system"] == ("Now.", "--system")
    other.session.system = "Later."
    assert other.session.origins()["system"] == ("Later.", "/system")
    released.set()
    repl.close()
    other.close()


def test_a_trace_goes_on_where_another_can_not_begin(begin, released, tmp_path):
    """A mistake behind /trace costs nothing of the one that is written."""
    repl, out = begin()
    repl.handle(f"/trace {tmp_path}/t.jsonl")
    for wrong in ("/trace!", f"/trace! {tmp_path}", f"/trace {tmp_path}/no/where"):
        repl.handle(wrong)
        assert repl.trace is not None
        assert repl.trace_path == tmp_path / "t.jsonl"
    assert out.getvalue().count("error: ") == 3
    released.set()
    repl.close()


def test_undo_and_clear(begin, released):
    """One turn, then all of them; of none, none can be taken back."""
    turns = [Turn(question=name, answer="b", settings={}) for name in "xyz"]
    repl, _ = begin(saved(*turns))
    assert repl.session.undo() == turns[2]
    assert repl.session.clear() == 2
    with pytest.raises(UsageError, match="nothing has been asked"):
        repl.session.undo()
    released.set()
    repl.close()


def test_what_is_taken_back_is_not_counted(begin, released):
    """The context that a session uses is that of the turns that are left."""
    released.set()
    repl, _ = begin()
    counts = []
    for line in ("Hi", "Hi", "/undo", "Hi", "/clear"):
        repl.handle(line)
        counts.append(repl.session.used[0])
    first, second, undone, again, cleared = counts
    assert 0 < first < second == again
    assert (undone, cleared) == (first, 0)
    repl.close()


def test_what_is_cleared_right_after_resuming_is_gone(begin, released, tmp_path):
    """On disk too, though nothing has been said since."""
    before = SessionFile(tmp_path / "sessions")
    session = saved(Turn(question="a", answer="b", settings={}))
    before.write(session)
    before.close(session)
    repl, _ = begin(load_session(tmp_path / "sessions", "last"))
    repl.handle("/clear")
    assert not load_session(tmp_path / "sessions", "last").turns
    released.set()
    repl.close()
    assert not list((tmp_path / "sessions").iterdir())


def test_ctrl_c_between_loading_and_thinking_stops_the_turn(begin, released, monkeypatch):
    """A press is neither lost nor the end of the session, whatever the turn is at."""
    repl, _ = begin()
    released.set()
    room = repl.session.room

    def pressed(question):
        os.kill(os.getpid(), signal.SIGINT)
        return room(question)

    monkeypatch.setattr(repl.session, "room", pressed)
    before = signal.getsignal(signal.SIGINT)
    repl.handle("Hi")
    assert repl.session.last().interrupted
    assert signal.getsignal(signal.SIGINT) == before
    repl.close()


def test_ctrl_c_while_the_model_loads_stops_the_question_only(begin, released):
    """The loading goes on behind the prompt, and the next question has its answer."""
    repl, out = begin()
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    repl.handle("Hi")
    assert "stopped; the model goes on loading" in out.getvalue()
    assert not repl.session.turns
    released.set()
    repl.handle("Hi")
    assert repl.session.last().answer == "a"
    repl.close()


def test_leaving_does_not_wait_for_a_model_that_loads(begin):
    """It stops loading."""
    repl, _ = begin()
    assert repl.session.loading
    repl.close()
    assert not repl.session.loading


def test_a_model_that_cannot_be_loaded_is_not_loading(begin, released, monkeypatch):
    """The toolbar tells the one from the other; the reason comes with the question."""

    def refuse(*_):
        raise ModelRefusedError("it is broken")

    monkeypatch.setattr("tests.repl.test_session.FakeEngine", refuse)
    repl, out = begin()
    assert "loading" in repl.toolbar()
    released.set()
    repl.handle("Hi")
    assert "error: it is broken" in out.getvalue()
    assert "not loaded" in repl.toolbar()
    repl.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_trace_that_can_not_be_written_costs_no_turn(begin, released):
    """A full disk ends the trace, with a warning; the turn is answered and kept."""
    repl, out = begin()
    released.set()
    repl.handle("/trace /dev/full")
    repl.handle("Hi")
    assert "warning: can't write the trace /dev/full: No space left on device" in out.getvalue()
    assert repl.session.last().answer == "a"
    repl.handle("/trace")
    assert out.getvalue().endswith("off\n")
    repl.close()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/why ²", "no step ²"),
        ("/why -1", "no step -1"),
        ("/drop x", "can't forget x: it must be a whole number of at least 1"),
        ("/drop 0", "can't forget 0: it must be a whole number of at least 1"),
        ("/drop -1", "can't forget -1: it must be a whole number of at least 1"),
        ("/drop 2", "can't forget 2: there is 1 turn"),
        ("/set tau=", "no value given for tau"),
        ("/set ctx =", "no value given for ctx"),
        ("/set tou=", "did you mean 'tau'?"),
        ("/set system=", "/set does not change system"),
        ("/unset system", "/unset does not change system"),
        ("/unset system", "hint: /system TEXT; /system none for no system prompt"),
        ("/unset model", "/unset does not change model\nhint: /model NAME"),
        ("/unset log", "/unset does not change log\nhint: --log, or log in config.toml"),
        ("/system @nosuch.txt", "nosuch.txt: No such file"),
        ("/system @", "no file is named behind the @"),
        ("/undo 3", "/undo takes nothing behind it"),
        ("/clear all", "/clear takes nothing behind it"),
        ("/HELP", "did you mean /help?"),
        ("/xyz", "/help shows all of them. To say this"),
        ("/set TAU 3", "did you mean 'tau'?"),
    ],
)
def test_what_is_no_command_changes_nothing(begin, released, line, said):
    """One line and a hint: neither a turn is lost nor the session."""
    repl, out = begin()
    released.set()
    repl.handle("Hi")
    before = repl.session.last()
    repl.handle(line)
    assert said in out.getvalue()
    assert repl.session.turns == [before]
    repl.close()


def test_settings_in_a_narrow_window(begin, released):
    """A line for each, without what it does; in a wide one with it."""
    repl, out = begin()
    repl.console.width = 60
    repl.handle("/set")
    lines = out.getvalue().splitlines()
    assert len(lines) == len(repl.session.origins()) + 2  # and two headings
    assert ["keep_thoughts", "False", "built", "in"] in [line.split() for line in lines]
    repl.console.width = 100
    repl.handle("/set")
    assert "Entropy in nats under which" in out.getvalue()
    released.set()
    repl.close()


def test_an_answer_that_was_cut_says_so(begin, released):
    """By its own limit; one that ended by itself says nothing."""
    released.set()
    for limit, cut in ((1, True), (2, False)):
        repl, out = begin(max_answer=limit)
        repl.handle("Hi")
        assert ("the answer was cut here: max_answer 1; /continue" in out.getvalue()) == cut
        repl.close()


def test_an_answer_that_was_cut_before_it_began_is_not_gone_on_with(begin, released):
    """As /continue refuses it."""
    released.set()
    repl, out = begin(says=[{"</think>": 1}, {"\n": 1}], max_answer=1)
    repl.handle("Hi")
    assert repl.session.last().answer == ""
    assert "the answer was cut here: max_answer 1\n" in out.getvalue()
    repl.close()


def test_a_context_that_is_nearly_full_says_so_after_any_turn(begin, released, monkeypatch):
    """After /again as after a question."""
    repl, out = begin()
    released.set()
    repl.handle("Hi")
    assert "nearly full" not in out.getvalue()
    monkeypatch.setattr(type(repl.session), "used", (90, 100))
    repl.handle("/again")
    assert "context 90 of 100: nearly full; /drop N forgets" in out.getvalue()
    repl.close()


def test_tables_in_a_narrow_window(begin, released):
    """At 60 columns no number of /stats is cut, and /help keeps to its columns."""
    repl, out = begin()
    repl.console.width = 60
    ended = Finished(
        finish_reason=FinishReason.STOP, answer="b", steps=1234, answer_tokens=2048, think_s=65.0,
        answer_s=65.0, total_s=130.0,
    )  # fmt: skip
    halted = Halted(reason=HaltReason.LOOP, steps=1234, injected="")
    turn = Turn(question="a", answer="b", settings={}, events=(halted, ended))
    repl.session.turns.append(turn)
    repl.handle("/stats")
    for number in ("total", "2 min 10 s", "2048", "1234", "19/s", "32/s"):
        assert number in out.getvalue()
    repl.handle("/help")
    rows = out.getvalue().split("/help [COMMAND]")[1].split("Enter sends")[0].splitlines()[1:]
    assert all(row.startswith(("/", " " * 20)) for row in rows)
    released.set()
    repl.close()


def test_what_softchat_says_is_wrapped_at_words(begin, released):
    """But no path is broken: the terminal does that, and knows it to be one line."""
    repl, out = begin()
    repl.console.width = 40
    repl.handle("/strategy warm")
    assert out.getvalue() == (
        "error: strategy is 'warm'\nhint: it can be: soft, hard, gumbel, \n"
        "dirichlet, gaussian, multiplex, \nmixed-input, switching, selar, adaptive,\nthinkrouter\n"
    )
    repl.handle(f"/load /nowhere/{'x' * 40}.json")
    assert f"error: can't read /nowhere/{'x' * 40}.json: No such" in out.getvalue()
    released.set()
    repl.close()


@pytest.mark.parametrize("line", ["/help thinc", "/unset"])
def test_a_word_that_is_missing_or_mistyped_has_a_hint(begin, released, line):
    """The nearest command; an example."""
    repl, out = begin()
    repl.handle(line)
    assert re.search(r"hint: (did you mean /think\?|/unset tau; )", out.getvalue())
    released.set()
    repl.close()


def test_a_dumb_terminal_gets_no_escape_sequence(begin, released, monkeypatch):
    """It would show it as text; so /copy says that it can't."""
    repl, out = begin(saved(Turn(question="a", answer="b", settings={})))
    repl.handle("/copy")
    assert "\x1b]52;c;Yg==\x07" in out.getvalue()
    monkeypatch.setattr(Console, "is_dumb_terminal", True)
    out.truncate(0)
    repl.handle("/copy")
    assert "\x1b" not in out.getvalue()
    assert "error: this terminal has no clipboard" in out.getvalue()
    released.set()
    repl.close()


def test_no_file_is_written_over_unasked(begin, released, tmp_path):
    """But for one that holds this session already; with an exclamation mark any."""
    repl, out = begin(saved(*(Turn(question=name, answer="b", settings={}) for name in "xa")))
    notes = tmp_path / "notes.md"
    notes.write_text("mine")
    for command in ("/save", "/trace"):
        repl.handle(f"{command} {notes}")
        assert f"error: {notes} exists\nhint: {command}! {notes} writes" in out.getvalue()
    assert notes.read_text() == "mine"
    assert repl.trace is None
    repl.handle(f"/save! {notes}")
    assert notes.read_text().startswith("# A chat with ")
    repl.handle("/undo")
    repl.handle(f"/save {notes}")  # its own by now
    assert "## a" not in notes.read_text()
    repl.handle(f"/trace! {notes}")
    repl.handle("/trace off")
    assert notes.read_text().startswith("# A chat with ")  # as no run has begun
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    repl.handle(f"/trace {empty}")  # there is nothing in it
    assert repl.trace is not None
    released.set()
    repl.close()


def test_a_session_can_be_saved_to_where_it_was_loaded_from(begin, released, tmp_path):
    """As in an editor; `/save!` needs a name all the same."""
    repl, _ = begin(saved(*(Turn(question=name, answer="b", settings={}) for name in "xa")))
    repl.handle(f"/save {tmp_path}/x.json")
    other, said = begin()
    other.handle(f"/load {tmp_path}/x.json")
    other.handle("/undo")
    other.handle(f"/save {tmp_path}/x.json")
    assert [turn.question for turn in read_file(tmp_path / "x.json").turns] == ["x"]
    for command in ("/save", "/save!", "/trace!"):
        other.handle(command)
        assert said.getvalue().count("error: no file named") == 1
        said.truncate(0)
    released.set()
    repl.close()
    other.close()


def test_a_question_is_on_disk_before_the_model_sees_any_of_it(begin, released, tmp_path):
    """A model that ends the process, while it loads or reads the prompt, costs no question."""
    repl, _ = begin()
    seen = []

    def room(question):
        seen.append(find_pending(tmp_path / "sessions"))
        return Room(prompt=9, reserved=0, n_ctx=1)

    repl.session.room = room
    conversation = repl.session.conversation
    repl.session.conversation = lambda: (
        seen.append(find_pending(tmp_path / "sessions")),
        conversation(),
    )[1]
    released.set()
    repl.handle("why?")
    assert seen[:2] == ["why?", "why?"]
    assert find_pending(tmp_path / "sessions") == ""  # it did not fit, and is told of
    repl.close()


def find_pending(folder):
    """The question of the one session in this folder whose turn has not ended."""
    (path,) = folder.glob("*.json")
    return read_file(path).pending


def test_a_retry_is_another_draw(begin, released):
    """Another seed; at temperature 0 that alone would change nothing, and /again says so."""
    released.set()
    repl, out = begin(answer_temperature=0.0, seed=7)
    repl.handle("Hi")
    repl.handle("/again")
    assert "/retry draws one" not in out.getvalue()  # it did change
    repl.handle("/again")
    assert "as at answer temperature 0 none is drawn; /retry draws one" in out.getvalue()
    repl.handle("/again max_answer=400")
    assert "the same answer, with these settings too; /retry draws one" in out.getvalue()
    assert repl.session.last().settings["seed"] == 7
    repl.handle("/retry tau=0.2")
    settings = repl.session.last().settings
    assert (settings["answer_temperature"], settings["tau"]) == (0.6, 0.2)
    assert settings["seed"] != 7
    assert "answer temperature 0.6 for this once" in out.getvalue()
    assert len(repl.session.turns) == 1
    repl.handle("/retry answer_temperature=0")
    assert repl.session.last().settings["answer_temperature"] == 0
    repl.close()


@pytest.mark.parametrize("command", ["/again", "/retry"])
def test_the_answer_stays_if_the_next_one_is_stopped_before_a_word(
    begin, released, tmp_path, monkeypatch, command
):
    """On disk too; once it has said something, that is the answer."""
    released.set()
    repl, out = begin(says=[{"</think>": 1}, {"a": 1}, {"b": 1}], max_think=2, max_answer=2)
    repl.handle("Hi")
    (turn,) = repl.session.turns
    write = repl._write_down

    def pressed(event, *, at):
        write(event)
        if isinstance(event, at):
            repl.session.interrupt.pressed = True

    monkeypatch.setattr(repl, "_write_down", partial(pressed, at=Started))
    repl.handle(command)
    assert repl.session.turns == [turn]
    assert "interrupted: the answer before stays" in out.getvalue()
    assert "the same answer" not in out.getvalue()
    monkeypatch.setattr(repl, "_write_down", partial(pressed, at=Answer))
    assert [one.answer for one in load_session(tmp_path / "sessions", "last").turns] == ["ab"]
    repl.handle(command)
    assert repl.session.last().answer == "b"
    assert out.getvalue().count("the answer before stays") == 1
    repl.close()


def test_a_question_can_be_edited(begin, released, tmp_path):
    """Its turn is taken back, its question is on the line, its file goes with it still."""
    released.set()
    repl, out = begin()
    (tmp_path / "a.txt").write_text("text")
    repl.handle(f"/file {tmp_path / 'a.txt'}")
    repl.handle("Hi")
    assert repl.session.last().question == 'a.txt:\n"""\ntext\n"""\n\nHi'
    assert repl.attached == []
    repl.handle("/edit")
    assert repl.session.turns == []
    assert (repl._pending, [one.name for one in repl.attached]) == ("Hi", ["a.txt"])
    assert "with a.txt" in repl.toolbar()
    repl.handle("/file none")
    assert repl.attached == []
    repl.handle("/edit")
    assert "nothing has been asked yet" in out.getvalue()
    repl.close()


def test_a_file_stays_with_the_next_question(begin, released, tmp_path):
    """Also where another session, or a turn that is taken back, has texts of its own."""
    released.set()
    write_other(begin, tmp_path / "other.json")
    other, _ = begin()
    other.handle(f"/load {tmp_path}/other.json")
    other.close()
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(f"text of {name}")
    repl, _ = begin()
    repl.handle(f"/file {tmp_path / 'a.txt'}")
    repl.handle("Hi")
    repl.handle(f"/file {tmp_path / 'b.txt'}")
    repl.handle("/edit")
    assert [one.name for one in repl.attached] == ["b.txt", "a.txt"]
    repl.resume(other._saved.id)
    assert [one.name for one in repl.attached] == ["b.txt", "a.txt"]
    repl.close()


def test_what_does_not_fit_says_by_how_much(begin, released, tmp_path):
    """Nothing is decoded, and the file stays, to be taken back."""
    released.set()
    repl, out = begin()
    (tmp_path / "a.txt").write_text("text " * 100)
    repl.handle(f"/file {tmp_path / 'a.txt'}")
    repl.handle("Hi")
    said = " ".join(out.getvalue().split())
    assert re.search(r"it has 5\d\d tokens, and 1\d\d are the most", said), said
    assert "/file none takes it back" in said
    assert said.count("hint:") == 1
    assert [one.name for one in repl.attached] == ["a.txt"]
    assert repl.session.turns == []
    repl.close()


@pytest.mark.parametrize("line", ["exit", "quit", "/exit", "/bye", "/quit", "Exit "])
def test_words_that_leave(begin, released, line):
    """As elsewhere; behind a space they are a question."""
    released.set()
    repl, _ = begin()
    with pytest.raises(Leave):
        repl.handle(line)
    repl.handle(f" {line}" if not line.startswith("/") else "Hi")
    assert len(repl.session.turns) == 1
    repl.close()


def test_leaving_says_how_to_go_on(begin, released):
    """Where there is something to go on with."""
    released.set()
    repl, out = begin()
    repl.handle("Hi")
    id_ = repl._saved.id
    repl.close()
    assert f"softchat --resume {id_}" in out.getvalue()
    repl, out = begin()
    repl.close()
    assert "--resume" not in out.getvalue()


def test_another_session_is_taken_up(begin, released, tmp_path):
    """The one that there was is left; a wrong name changes nothing."""
    released.set()
    before, _ = begin(system="Be kind.")
    before.handle("first")
    before.handle("/set tau 0.3")
    id_ = before._saved.id
    before.close()
    repl, out = begin()
    repl.handle("second")
    mine = repl._saved.id
    repl.handle("/resume nosuch")
    assert "no session 'nosuch'" in out.getvalue()
    assert repl._saved.id == mine
    repl.find = lambda spec: repl.session.found
    repl.handle(f"/resume {id_}")
    assert [turn.question for turn in repl.session.turns] == ["first"]
    assert (repl.session.system, repl.session.chosen) == ("Be kind.", {"tau": 0.3})
    repl.handle("third")
    repl.close()
    folder = tmp_path / "sessions"
    assert load_session(folder, mine).closed
    assert [turn.question for turn in load_session(folder, id_).turns] == ["first", "third"]


def test_any_turn_can_be_looked_into(begin, released):
    """By its number, from 1."""
    released.set()
    repl, out = begin()
    repl.handle("one")
    repl.handle("two")
    for line, says in (
        ("/think 1", "</think>"),
        ("/why 0 1", "step 0"),
        ("/think 3", "no turn 3"),
        ("/think x", "no turn x"),
        ("/why 9 1", "no step 9"),
    ):
        out.truncate(out.seek(0))
        repl.handle(line)
        assert says in out.getvalue(), line
    repl.close()


def test_the_lens_is_turned_on_and_off(begin, released):
    """And every so many steps; bare, it says what holds, and what a look costs."""
    released.set()
    repl, out = begin()
    for line, says, on, every in (
        ("/lens", "looks ahead nowhere; /lens on", False, 0),
        ("/lens on", "looks ahead at line ends; each look decodes", True, 0),
        ("/lens 1", "looks ahead every 1 step; each", True, 1),
        ("/lens off", "looks ahead nowhere", False, 1),
        ("/lens -3", "lens_every is -3", False, 1),
        ("/lens there", "/lens can't be there", False, 1),
        ("/lens 1", "up to 12 tokens", True, 1),
    ):
        out.truncate(out.seek(0))
        repl.handle(line)
        assert says in out.getvalue(), line
        settings = repl.session.settings
        assert (settings.lens, settings.lens_every) == (on, every), line
    repl.handle("/set lens_tokens 1")
    repl.handle("/set max_think 3")
    repl.handle("Hi")
    assert repl.session.last().events[-1].answer == "a"
    repl.close()


def test_the_tokens_of_an_answer_can_be_looked_into(begin, released):
    """Those that were kept: all, or one of them; of a turn without them, how to have them."""
    released.set()
    repl, out = begin()
    repl.handle("/set answer_entropy on")
    repl.handle("one")
    repl.handle("/set answer_entropy off")
    repl.handle("two")
    for line, says in (
        ("/why answer", "hint: /set answer_entropy on, then /again"),
        ("/why answer 0 1", "answer token 0 · H 0.0000 nats"),
        ("/why answer 1 1", "no token 1 of the answer"),
        ("/why answer x 1", "no token x of the answer"),
        ("/why answer 0 9", "no turn 9"),
        ("/undo", "taken back: two"),
        ("/why answer", "unsure: H from 0.5"),
    ):
        out.truncate(out.seek(0))
        repl.handle(line)
        assert says in out.getvalue(), line
    repl.close()


def test_an_answer_that_goes_on_is_cut_by_the_limit_of_now(begin, released):
    """Not by that of its beginning, which may have been another one."""
    released.set()
    says = [{"</think>": 1}, *[{"a": 1}] * 9]
    repl, out = begin(says=says, max_answer=3)
    repl.handle("Hi")
    repl.handle("/again max_answer=1")
    repl.handle("/continue")
    notes = re.findall(r"cut here: max_answer (\d)", out.getvalue())
    assert notes == ["3", "1", "3"]
    repl.close()


def test_an_answer_that_was_whole_says_so(begin, released):
    """Where a /continue brings nothing."""
    released.set()
    repl, out = begin(says=[{"</think>": 1}, {"a": 1}, {"<end>": 1}], max_answer=1)
    repl.handle("Hi")
    repl.handle("/continue")
    assert repl.session.last().answer == "a"
    assert "nothing came: to the model the answer was whole\n" in out.getvalue()
    repl.close()


def test_a_busy_machine_is_told_once(begin, released):
    """When it is seen, before a turn; not at every one."""
    released.set()
    repl, out = begin()
    notes = iter(["", "this machine is busy"])
    repl._busy = lambda: next(notes)
    for count in (0, 1, 1):
        repl.handle("Hi")
        assert out.getvalue().count("busy") == count
    repl.close()


def test_only_an_answer_that_was_cut_goes_on(begin, released):
    """One that ended by itself, or none, does not."""
    released.set()
    repl, out = begin()
    repl.handle("/continue")
    assert "nothing has been asked yet" in out.getvalue()
    repl.handle("Hi")
    repl.handle("/continue")
    assert "was not cut" in out.getvalue()
    repl.close()


def test_what_a_model_is_loaded_with_can_be_set(released, tmp_path):
    """/set loads it again, the conversation as it is; a value that fails leaves the old one."""
    opened, loaded_with = [], {}

    def open_backend(found, cancelled):
        opened.append(dict(loaded_with))
        if loaded_with.get("rpc"):
            raise ServerError("no server at a:1", hint="start one")
        pieces = ["</think>", "<end>", "\n", *map(chr, range(32, 127))]
        engine = FakeEngine(pieces, [{"</think>": 1}, {"a": 1}, {"<end>": 1}])
        return LocalBackend(engine, note="2 of 3 layers are on CUDA0" if opened[1:] else "")

    out = StringIO()
    session = Session(
        Located(name="fake", path=Path("fake.gguf"), entry=None),
        open_backend,
        config=Config(),
        chosen=Source(values={}, origin=str),
        loaded_with=loaded_with,
    )
    repl = Repl(
        session,
        Console(file=out, width=100),
        make_view=lambda: AnswerView(out),
        find=pytest.fail,
        saved=SessionFile(tmp_path / "sessions", None),
    )
    repl.handle("Hi?")
    repl.handle("/set gpu-layers 2")
    two = {"gpu_layers": "2"}
    assert opened == [{}, two]
    assert "gpu_layers 2\nnote: 2 of 3 layers are on CUDA0\n" in out.getvalue()
    repl.handle("/set rpc a:1")
    assert "error: no server at a:1\nhint: start one\n" in out.getvalue()
    repl.handle("/set gpu_layers")
    assert "gpu_layers 2 (/set): Layers on accelerators" in out.getvalue()
    repl.handle("/set ctx -1")
    assert "error: ctx is '-1'" in out.getvalue()
    repl.handle("And?")
    assert [turn.question for turn in session.turns] == ["Hi?", "And?"]
    assert opened == [{}, two, two | {"rpc": "a:1"}, two]
    repl.handle("/unset gpu-layers")
    assert opened[-1] == {}
    assert "gpu_layers auto (built in)" in out.getvalue()
    repl.handle("/stats")
    assert "all layers on the processor" in out.getvalue()
    repl.close()


def test_a_server_that_is_not_there_is_tried_again(tmp_path):
    """At each question, as it may have been started meanwhile; nothing is asked in vain else."""
    there, opened = [False], []

    def open_backend(found, cancelled):
        opened.append(there[0])
        if not there[0]:
            raise ServerError("no server at a:1", hint="start one")
        pieces = ["</think>", "<end>", "\n", *map(chr, range(32, 127))]
        return LocalBackend(FakeEngine(pieces, [{"</think>": 1}, {"a": 1}, {"<end>": 1}]))

    session = Session(
        Located(name="fake", path=Path("fake.gguf"), entry=None),
        open_backend,
        config=Config(),
        chosen=Source(values={}, origin=str),
    )
    for _ in range(3):
        with pytest.raises(ServerError, match="no server at a:1"):
            list(session.ask("Hi?"))
    there[0] = True
    assert list(session.ask("Hi?"))
    assert opened.count(True) == 1
    session.close()


def test_a_question_mark_explains_the_signs(begin, released):
    """`?` alone is no question: H, τ and the rest are said in words."""
    repl, out = begin()
    repl.handle("?")
    shown = out.getvalue()
    assert not repl.session.turns
    assert all(sign in shown for sign in ("H ", "τ ", "cold", "a|b"))
    assert "{tau}" not in shown
    released.set()
    repl.close()


def test_the_context_count_is_right_after_turns_are_taken_back(begin, released):
    """What /undo and /clear took back is not counted any more."""
    repl, _ = begin()
    released.set()
    repl.handle("Hi")
    first, n_ctx = repl.session.used
    repl.handle("And?")
    assert repl.session.used[0] > first > 0
    repl.handle("/undo")
    assert repl.session.used == (first, n_ctx)
    repl.session.droppable("?" * 9_000)  # looks into what would fit, and forgets nothing
    assert repl.session.used == (first, n_ctx)
    repl.handle("/clear")
    assert repl.session.used == (0, n_ctx)
    repl.close()


def test_the_context_count_is_that_of_the_memory_after_whatever_changes_it(
    begin, released, tmp_path
):
    """After a turn, what the memory holds; after a change, all of the next prompt but its question.

    Each way that a history is changed: the prompt that follows is what was said it would be.
    """
    repl, _ = begin(says=[{"</think>": 1}, {"a": 1}], max_answer=3, max_think=4)
    released.set()
    session = repl.session

    def held():
        return session.conversation().used

    def next_prompt():
        """Positions of a prompt with nothing asked, as it is sent."""
        (started, *_) = [
            event for event in session.try_out("Hi") if type(event).__name__ == "Started"
        ]
        return started.prompt_tokens - len("Hi")  # a token a character

    for line in ("Hi", "And?", "Or?"):
        repl.handle(line)
        assert session.used[0] == held()
    for line in ("/again", "/retry", "/continue"):
        repl.handle(line)
        assert session.used[0] == held(), line
    before = session.used
    repl.handle("/fork 1 a")
    assert session.used[0] == held()
    repl.handle("/back")
    assert session.used == before
    repl.handle("/compare")
    assert session.used == before
    repl.handle(f"/save {tmp_path / 'all.json'}")
    for line in ("/drop", "/system Be brief, and kind.", f"/load {tmp_path / 'all.json'}"):
        repl.handle(line)
        assert session.used[0] == next_prompt(), line
    changed = session.used[0]
    repl.handle("/set threads 1")  # loads it again
    assert session.used[0] == next_prompt() == changed
    repl.handle("Hi")
    assert session.used[0] == held() > changed
    repl.handle("/edit")
    assert session.used[0] == changed
    repl.handle("/clear")
    assert session.used[0] == 0
    repl.close()


def test_the_context_count_of_a_session_that_goes_on_is_there_at_once(begin, released):
    """Before its first question: what was said in it takes room."""
    repl, _ = begin(saved(Turn(question="Why?", answer="because", settings={})))
    assert repl.session.used == (0, 0)
    released.set()
    while repl.session.loading:
        released.wait()
    assert repl.session.used[0] > len("Why?because")
    repl.close()


def test_what_was_loaded_is_told_in_a_session_that_goes_on(begin, released, monkeypatch):
    """Once, before the first answer, though the toolbar has asked for the model before."""
    monkeypatch.setattr(Session, "note", "it has no template")
    repl, out = begin(saved(Turn(question="x", answer="b", settings={})))
    released.set()
    repl.session.conversation()
    repl.toolbar()
    for _ in range(2):
        repl.handle("Why?")
    repl.close()
    assert out.getvalue().count("note: it has no template") == 1


def test_a_file_of_another_session_is_not_this_ones_own(begin, released, tmp_path):
    """What was saved before another session was loaded is not written over unasked."""
    repl, _ = begin(saved(Turn(question="x", answer="b", settings={})))
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    repl.save_as(first)
    repl.save_as(second)
    assert repl.is_own(first)
    repl.load_from(second)
    assert repl.is_own(second)
    assert not repl.is_own(first)
    released.set()
    repl.close()


def test_a_link_in_a_circle_is_told(begin, released, tmp_path):
    """One line each, and it stays a link."""
    repl, out = begin(saved(Turn(question="alpha", answer="b", settings={})))
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for line in (f"/save {loop}", f"/save! {loop}", f"/load {loop}", f"/trace {loop}"):
        repl.handle(line)
    said = " ".join(out.getvalue().split())
    assert said.count("Too many levels of symbolic links") == 4
    assert "link to nothing" not in said
    assert loop.is_symlink()
    released.set()
    repl.close()


def test_a_name_with_a_line_break_is_no_name_to_write(begin, released, tmp_path):
    """As a pasted one may have."""
    repl, out = begin(saved(Turn(question="alpha", answer="b", settings={})))
    lines = [
        f"{command} {tmp_path}/z\n.json" for command in ("/save", "/save!", "/trace!", "/trace")
    ]
    for line in lines:
        repl.handle(line)
    assert out.getvalue().count("error: a file to write can't be called") == len(lines)
    assert not list(tmp_path.glob("z*"))
    released.set()
    repl.close()


def questions(record):
    return [turn.question for turn in record.turns]


def write_other(begin, path):
    """A file that another session has written, with one turn."""
    other, _ = begin(saved(Turn(question="alpha", answer="b", settings={})))
    other.save_as(path)
    other.close()


def test_what_was_said_before_another_is_loaded_stays_a_session(begin, released, tmp_path):
    """It is left as it is, under the id that is told; the one that was loaded has its own file."""
    released.set()
    write_other(begin, tmp_path / "other.json")
    repl, out = begin()
    mine = repl._saved.id
    for line in ("beta", "gamma", f"/load {tmp_path / 'other.json'}"):
        repl.handle(line)
    assert f"what was said before is session {mine}\n1 turn\n" in out.getvalue()
    repl.handle("delta")
    goes_on = repl._saved.id
    repl.close()
    folder = tmp_path / "sessions"
    assert questions(load_session(folder, mine)) == ["beta", "gamma"]
    assert load_session(folder, mine).closed
    assert load_session(folder, mine).turns[0].events
    assert questions(load_session(folder, goes_on)) == ["alpha", "delta"]
    assert not list(folder.glob("*.lock"))


def test_a_session_without_turns_is_not_kept_when_another_is_loaded(begin, released, tmp_path):
    """Nothing is told of it, and what was loaded goes on in its file."""
    released.set()
    write_other(begin, tmp_path / "other.json")
    repl, out = begin()
    for line in ("beta", "/clear", f"/load {tmp_path / 'other.json'}"):
        repl.handle(line)
    assert "what was said before" not in out.getvalue()
    mine = repl._saved.id
    repl.close()
    assert questions(load_session(tmp_path / "sessions", mine)) == ["alpha"]


def test_nothing_is_loaded_over_what_can_not_be_kept(begin, released, tmp_path, monkeypatch):
    """A full disk, or a file that is no session: what was said goes on."""
    released.set()
    write_other(begin, tmp_path / "other.json")
    repl, out = begin()
    repl.handle("beta")
    mine = repl._saved.id
    repl.handle(f"/load {tmp_path / 'nowhere.json'}")
    assert "what was said before" not in out.getvalue()

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(SessionFile, "write", refuse)
        repl.handle(f"/load {tmp_path / 'other.json'}")
    assert "error: what was said so far can't be kept: No space left" in out.getvalue()
    assert (questions(repl.session), repl._saved.id) == (["beta"], mine)
    repl.close()


def test_a_session_that_leaves_no_trace_says_so_when_another_is_loaded(begin, released, tmp_path):
    """What was said is in no file then."""
    released.set()
    write_other(begin, tmp_path / "other.json")
    repl, out = begin()
    repl._saved = Unkept(tmp_path / "sessions")
    repl.handle("beta")
    repl.handle(f"/load {tmp_path / 'other.json'}")
    assert "what was said before is not kept\n" in out.getvalue()
    repl.close()
    assert [one.stem for one in (tmp_path / "sessions").glob("*.json")] == ["x"]  # the other one


@pytest.mark.parametrize("first", ["save", "load"])
def test_a_file_that_has_changed_since_is_not_written_over_unasked(
    begin, released, tmp_path, first
):
    """Whatever it is now, though this session wrote it or was loaded from it."""
    released.set()
    path = tmp_path / "a.json"
    write_other(begin, path)
    repl, out = begin()
    repl.handle("Hi")
    repl.handle(f"/load {path}" if first == "load" else f"/save! {path}")
    path.write_text("mine")
    repl.handle(f"/save {path}")
    assert f"error: {path} exists\nhint: /save! {path} writes over it" in out.getvalue()
    assert path.read_text() == "mine"
    repl.handle(f"/save! {path}")
    repl.handle(f"/save {path}")
    assert questions(read_file(path)) == questions(repl.session)
    path.unlink()
    repl.handle(f"/save {path}")  # there is nothing to lose
    assert path.exists()
    repl.close()


def test_a_session_without_turns_is_not_saved(begin, released, tmp_path):
    """A file with turns does not become one without."""
    released.set()
    path = tmp_path / "a.json"
    write_other(begin, path)
    before = path.read_bytes()
    repl, out = begin()
    repl.handle(f"/load {path}")
    repl.handle("/undo")
    for number, line in enumerate((f"/save {path}", f"/save! {path}"), 1):
        repl.handle(line)
        assert out.getvalue().count("error: nothing to save yet") == number
    assert path.read_bytes() == before
    repl.close()


def test_a_file_that_can_not_be_written_is_told(begin, released):
    """With its reason; the session goes on."""
    repl, out = begin(saved(Turn(question="a", answer="b", settings={})))
    repl.handle("/save /nowhere/x.json")
    assert "error: can't write /nowhere/x.json: No such file" in out.getvalue()
    released.set()
    repl.close()


def test_a_session_is_not_saved_to_the_file_of_its_trace(begin, released, tmp_path):
    """By that name or another, as long as turns are written there; then it may be."""
    released.set()
    path, link = tmp_path / "t.jsonl", tmp_path / "link.jsonl"
    link.symlink_to(path)
    repl, out = begin()
    repl.handle(f"/trace {path}")
    repl.handle("Hi")
    for number, line in enumerate((f"/save! {path}", f"/save! {link}"), 1):
        repl.handle(line)
        assert out.getvalue().count("error: /save would overwrite") == number
    assert "hint: /trace writes there: /trace off ends that" in out.getvalue()
    repl.handle("Hi")
    assert path.read_text().count('"event": "started"') == 2
    repl.handle("/trace off")
    repl.handle(f"/save! {path}")
    assert questions(read_file(path)) == ["Hi", "Hi"]
    repl.handle(f"/trace! {path}")  # nobody uses it
    repl.handle(f"/save {path}")  # its own, but for the trace
    assert out.getvalue().count("error: /save would overwrite") == 3
    repl.handle("Hi")
    assert path.read_text().count('"event": "started"') == 1
    repl.close()


def test_a_session_is_kept_in_files_of_its_own(begin, released, tmp_path):
    """Neither /save! nor /trace! writes into those."""
    released.set()
    repl, out = begin()
    repl.handle("Hi")
    for suffix in (".json", ".jsonl"):
        for command in ("/save!", "/trace!"):
            repl.handle(f"{command} {tmp_path / 'sessions' / repl._saved.id}{suffix}")
    assert out.getvalue().count(" would overwrite ") == 4
    assert repl.trace is None
    mine = repl._saved.id
    repl.close()
    assert load_session(tmp_path / "sessions", mine).turns[0].events


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        (("/think off",), "/again think=on thinks once more"),
        (("/set max_think 0",), "/again max_think=200 thinks once more"),
        (("/think off", "/set max_think 0"), "/again think=on max_think=200 thinks once more"),
    ],
)
def test_a_turn_without_steps_says_how_to_have_them(begin, released, settings, hint):
    """As the settings are now: what it says to type gives a turn that has thought."""
    released.set()
    repl, out = begin()
    for line in (*settings, "Hi"):
        repl.handle(line)
    for line in ("/think", "/why 0", "/fork 1"):
        out.truncate(out.seek(0))
        repl.handle(line)
        assert f"hint: {hint}\n" in out.getvalue(), line
    repl.handle(hint.removesuffix(" thinks once more"))
    assert Run.of(repl.session.last().events).steps
    repl.close()


def test_the_value_of_a_setting_may_hold_an_equals_sign(begin, released):
    """Behind the name one is as good as a space."""
    repl, _ = begin()
    for line, value in (("/set stop a=b", "a=b"), ("/set stop=c=d", "c=d"), ("/set stop = e", "e")):
        repl.handle(line)
        assert repl.session.settings.stop == value
    released.set()
    repl.close()


def test_what_the_session_comes_from_is_not_written_over(begin, released, tmp_path):
    """The file of its model, of an adapter, of settings: by its name, or by a link to it."""
    released.set()
    model, link = tmp_path / "m.gguf", tmp_path / "link"
    model.write_bytes(b"GGUF")
    link.symlink_to(model)
    repl, out = begin()
    repl._uses = lambda _: (model,)
    repl.handle("Hi")
    for number, line in enumerate((f"/trace! {model}", f"/trace! {link}", f"/save! {link}"), 1):
        repl.handle(line)
        told = " ".join(out.getvalue().split())  # the console folds it
        assert told.count(f" would overwrite {model}, which this command uses") == number
    assert repl.trace is None
    repl.close()
    assert model.read_bytes() == b"GGUF"


def test_a_trace_that_is_written_already_is_this_sessions(begin, released, tmp_path):
    """No other run's; it goes on, be there anything in it yet or not."""
    released.set()
    path = tmp_path / "t.jsonl"
    repl, out = begin()
    repl.handle(f"/trace {path}")
    repl.handle(f"/trace {path}")
    repl.handle("Hi")
    for number, command in enumerate(("/trace", "/trace!"), 2):
        repl.handle(f"{command} {tmp_path}/./t.jsonl")
        assert out.getvalue().count("error: this session writes to ") == number
    assert "hint: /trace off ends that" in out.getvalue()
    repl.handle("Hi")
    assert path.read_text().count('"event": "started"') == 2
    repl.close()
