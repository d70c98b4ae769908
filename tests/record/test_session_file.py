"""Sessions on disk: nothing that was said is lost."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from softchat.errors import UsageError
from softchat.events import Started
from softchat.record import locks, session_file
from softchat.record.session_file import SessionFile
from softchat.record.sessions import find_killed, list_sessions, load_session, remove_sessions
from softchat.record.trace import replay
from tests.recordings import Content, thought, turn


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


def test_a_session_in_which_nothing_was_said_leaves_no_file(tmp_path):
    """Opening and leaving is no session."""
    saved = SessionFile(tmp_path)
    saved.write(Content(), pending="x")
    saved.close(Content())
    assert list(tmp_path.iterdir()) == []


def test_a_session_that_is_open_is_not_opened_twice(begin, tmp_path):
    """Two would each write down its own turns over the other's."""
    begin(tmp_path).write(Content([turn()]))
    with pytest.raises(UsageError, match="is open"):
        SessionFile(tmp_path, load_session(tmp_path, "last"))


@pytest.mark.parametrize("other_asks", [False, True])
def test_a_session_that_has_changed_since_it_was_read_is_not_gone_on_with(
    begin, tmp_path, other_asks
):
    """The other's turn would be lost, and a session that was removed would come back."""
    first = begin(tmp_path, ask=True)
    first.close(Content([turn()]))
    read = load_session(tmp_path, "last")
    if other_asks:
        other = begin(tmp_path, read, ask=True)
        other.close(Content([turn(), turn("quick")]))
    else:
        remove_sessions(tmp_path, ["last"])
    with pytest.raises(UsageError, match="changed mean" if other_asks else "removed mean"):
        SessionFile(tmp_path, read, ask=True)
    assert not list(tmp_path.glob("*.lock"))
    assert len(list(tmp_path.glob("*.json"))) == other_asks
    if other_asks:
        again = load_session(tmp_path, "last")
        assert [one.question for one in again.turns] == ["why?", "quick"]
        begin(tmp_path, again, ask=True)


def test_of_two_that_go_on_at_once_one_does(begin, tmp_path, monkeypatch):
    """Both see no lock, and then take it."""
    begin(tmp_path, ask=True).close(Content([turn()]))
    read = load_session(tmp_path, "last")
    begin(tmp_path, read, ask=True)
    monkeypatch.setattr(session_file, "refuse_open", lambda *_: None)
    with pytest.raises(UsageError, match="is open"):
        SessionFile(tmp_path, read, ask=True)


def test_one_question_becomes_one_session(begin, tmp_path):
    """An ask that a chat goes on with has another name from there on; it is open under both."""
    asked = begin(tmp_path, ask=True)
    asked.write(Content([turn()]))
    asked.close(Content([turn()]))
    record = load_session(tmp_path, "last")
    begin(tmp_path, record)
    with pytest.raises(UsageError, match="is open"):
        SessionFile(tmp_path, record)


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


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    """A session of it is kept, and that it was killed does not make it one that is open."""
    fcntl = pytest.importorskip("fcntl")

    def flock(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    path = locks.lock_of(tmp_path, "a")
    with locks.take_lock(path):
        assert not locks.is_locked(path)
    locks.refuse_open(tmp_path, "a")
