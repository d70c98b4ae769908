"""Sessions on disk: nothing that was said is lost, and nothing foreign is trusted."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from softchat.errors import UsageError
from softchat.events import Started
from softchat.record.session_file import SessionFile
from softchat.record.session_format import read_file, write_file
from softchat.record.sessions import find_killed, list_sessions, load_session, remove_session
from softchat.record.trace import replay
from softchat.talk.conversation import Turn
from tests.recordings import Content, run_of, step


@pytest.fixture
def begin():
    """Begin a session in a folder; it lets go of its lock in the end."""
    begun = []

    def begin_(folder):
        begun.append(SessionFile(folder))
        return begun[-1]

    yield begin_
    for saved in begun:
        if saved._lock is not None:
            saved._lock.close()


def turn(question="why?", answer="because"):
    return Turn(question=question, answer=answer, settings={"tau": 0.1, "seed": 7})


def thought(question="why?"):
    """A turn with its run."""
    run = tuple(run_of(step(0), step(1), answer=(question, "\x1b\n")))
    return replace(turn(question), events=run)


def test_what_is_written_is_read(begin, tmp_path):
    """Questions, answers, settings, the pending question: all as it was, odd characters too."""
    content = Content([turn("\udcff ⏎\n\x1b[2J", "b\u0000\u202e")])
    saved = begin(tmp_path / "deep" / "sessions")
    saved.write(content, pending="and then?")
    back = load_session(tmp_path / "deep" / "sessions", "last")
    assert list(back.turns) == content.turns
    assert (back.model, back.system, back.pending) == ("fake", "Be brief.", "and then?")
    assert not back.closed
    saved.close(content)
    assert load_session(tmp_path / "deep" / "sessions", saved.id).closed


def test_files_are_the_owners_alone(begin, tmp_path):
    """0600 in folders of 0700, the lock and the steps too."""
    folder = tmp_path / "softchat" / "sessions"
    begin(folder).write(Content([thought()]))
    files = list(folder.iterdir())
    assert {file.suffix for file in files} == {".json", ".jsonl", ".lock"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert {stat.S_IMODE(made.stat().st_mode) for made in (folder, folder.parent)} == {0o700}


def test_steps_are_read_back(begin, tmp_path):
    """Each turn's own, whatever was taken back; not where sessions are only listed."""
    saved, content = begin(tmp_path), Content([thought("a"), turn(), thought("b")])
    saved.write(content)
    assert list(load_session(tmp_path, "last").turns) == content.turns
    content.turns.pop()
    content.turns.append(thought("c"))
    saved.write(content)
    assert list(load_session(tmp_path, saved.id).turns) == content.turns
    assert not any(one.events for one in list_sessions(tmp_path)[0].turns)
    saved._lock.close()
    assert list(find_killed(tmp_path).turns) == content.turns
    trace = tmp_path / f"{saved.id}.jsonl"
    assert len([event for event in replay(trace) if isinstance(event, Started)]) == 2


def test_without_its_steps_a_session_is_whole(begin, tmp_path):
    """A trace that has gone, or that can't be written, costs no word."""
    saved, content = begin(tmp_path), Content([thought()])
    saved.write(content)
    trace = tmp_path / f"{saved.id}.jsonl"
    trace.unlink()
    back = load_session(tmp_path, "last").turns[0]
    assert (back.question, back.answer, back.events) == ("why?", "because", ())
    trace.mkdir()
    saved._lock.close()
    other = SessionFile(tmp_path, load_session(tmp_path, "last"))
    content.turns.append(thought("and?"))
    with pytest.raises(OSError, match="directory"):
        other.write(content)
    other._lock.close()
    assert [turn.question for turn in load_session(tmp_path, "last").turns] == ["why?", "and?"]


def test_a_deleted_session_leaves_nothing(tmp_path):
    """Neither `sessions rm` nor /clear and leaving."""
    for _ in range(2):
        saved = SessionFile(tmp_path)
        saved.write(Content([thought()]))
        saved.close(Content([thought()]))
    remove_session(tmp_path, saved.id)
    again = SessionFile(tmp_path, load_session(tmp_path, "last"))
    again.write(Content())
    again.close(Content())
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_the_users_has_the_steps_in_it(tmp_path):
    """/save, /load and `sessions export` lose none; damaged ones make it no session."""
    content = Content([thought("a"), turn()], chosen={"tau": 0.2})
    write_file(tmp_path / "x.json", content)
    back = read_file(tmp_path / "x.json")
    assert (list(back.turns), back.chosen) == (content.turns, {"tau": 0.2})
    data = json.loads((tmp_path / "x.json").read_text())
    data["turns"][0]["events"][0]["settings"] = 3
    (tmp_path / "x.json").write_text(json.dumps(data))
    with pytest.raises(UsageError, match="is no saved session"):
        read_file(tmp_path / "x.json")


def test_settings_of_another_softchat_are_passed_over(begin, tmp_path):
    """A session of a later or an earlier one is none the less read."""
    begin(tmp_path).write(Content([turn()], chosen={"tau": 0.2, "warp": 9, "topn": -1}))
    assert load_session(tmp_path, "last").chosen == {"tau": 0.2}


def test_a_session_in_which_nothing_was_said_leaves_no_file(tmp_path):
    """Opening and leaving is no session."""
    saved = SessionFile(tmp_path)
    saved.write(Content(), pending="x")
    saved.close(Content())
    assert list(tmp_path.iterdir()) == []


def test_only_a_killed_session_is_offered(begin, tmp_path):
    """Neither one that was left, nor one that another softchat has open."""
    left = begin(tmp_path)
    left.write(Content([turn()]))
    left.close(Content([turn()]))
    assert find_killed(tmp_path) is None
    opened = begin(tmp_path)
    opened.write(Content([turn("open?")]))
    assert find_killed(tmp_path) is None  # its lock is held, by this process
    opened._lock.close()
    assert find_killed(tmp_path).title == "open?"


@pytest.mark.parametrize("turns", [[turn()], []])
def test_what_was_declined_is_not_offered_again(begin, tmp_path, turns):
    """Left now, it is listed if anything was said in it; a question alone is dropped."""
    killed = begin(tmp_path)
    killed.write(Content(turns), pending="and then?")
    killed._lock.close()
    offered = find_killed(tmp_path)
    SessionFile(tmp_path, offered).close(offered)
    assert find_killed(tmp_path) is None
    assert [saved.title for saved in list_sessions(tmp_path)] == ["why?"] * len(turns)


def test_a_session_that_is_open_is_not_opened_twice(begin, tmp_path):
    """Two would each write down its own turns over the other's."""
    begin(tmp_path).write(Content([turn()]))
    with pytest.raises(UsageError, match="is open"):
        SessionFile(tmp_path, load_session(tmp_path, "last"))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"schema": 1}', '{"schema": 99}', '"x"', "[" * 5000,
     json.dumps({"schema": 1, "started": "", "updated": "", "model": "m", "system": "",
                 "turns": [{"question": 3}], "pending": "", "closed": False})],
)  # fmt: skip
def test_foreign_files_are_refused_and_passed_over(tmp_path, text):
    """Named in words where one is asked for; left out of the list."""
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError):
        read_file(tmp_path / "x.json")
    assert list_sessions(tmp_path) == []


def test_a_full_disk_leaves_the_file_as_it_was(begin, tmp_path, monkeypatch):
    """The write fails, the old state stays, no half file is left."""
    saved = begin(tmp_path)
    saved.write(Content([turn()]))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        saved.write(Content([turn(), turn()]))
    assert len(load_session(tmp_path, "last").turns) == 1
    assert list(tmp_path.glob(".tmp-*")) == []


def test_markdown_is_inert(tmp_path):
    """A saved chat that is shown in a terminal does nothing to it."""
    write_file(tmp_path / "chat.md", Content([turn("a\x1b]52;c;aGk=\x07", "b\x9b2J")]))
    text = (tmp_path / "chat.md").read_text()
    assert not {"\x1b", "\x07", "\x9b"} & set(text)


def test_an_id_may_be_shortened_but_not_ambiguous(begin, tmp_path):
    """The beginning of an id is enough where it is the only one."""
    for _ in range(2):
        begin(tmp_path).write(Content([turn()]))
    names = [saved.id for saved in list_sessions(tmp_path)]
    assert load_session(tmp_path, names[0]).id == names[0]
    with pytest.raises(UsageError, match="2 sessions"):
        load_session(tmp_path, names[0][:8])


def test_a_name_that_begins_another_is_no_hindrance(tmp_path):
    """`last` and what was killed are found, whatever others are called."""
    for name in ("x", "x2"):
        write_file(tmp_path / f"{name}.json", Content([turn(name)]))
    text = (tmp_path / "x.json").read_text()
    (tmp_path / "x.json").write_text(
        text.replace('"closed": true', '"closed": false').replace('"asked": "2', '"asked": "9')
    )
    (tmp_path / "x.lock").touch()
    assert load_session(tmp_path, "last").title == "x"
    assert find_killed(tmp_path).title == "x"


def test_an_empty_name_is_no_session(begin, tmp_path):
    """`sessions rm "$ID"` with no ID does not delete the only one."""
    begin(tmp_path).write(Content([turn()]))
    with pytest.raises(UsageError, match="no session ''"):
        load_session(tmp_path, "")


def test_what_has_no_end_is_no_session(tmp_path):
    """A device, a pipe or a huge file is refused unread."""
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(2**26 + 1)
    for path in (Path("/dev/zero"), tmp_path / "pipe", tmp_path / "huge"):
        with pytest.raises(UsageError, match="is no saved session"):
            read_file(path)


def test_a_session_replaces_no_device(tmp_path):
    """Only a file is written over: a pipe or a device would be one no more."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(UsageError, match="it is no file"):
            write_file(path, Content([turn()]))
    assert stat.S_ISFIFO(pipe.stat().st_mode)
