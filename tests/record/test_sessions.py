"""The folder of sessions: which are found, and what is left of one that is removed."""

from __future__ import annotations

import pytest

from softchat.errors import UsageError
from softchat.record.session_file import SessionFile
from softchat.record.session_format import write_file
from softchat.record.sessions import (
    find_killed,
    list_sessions,
    load_session,
    newest_session,
    remove_sessions,
)
from tests.recordings import Content, thought, turn


def test_a_deleted_session_leaves_nothing(tmp_path):
    """Neither `sessions rm` nor /clear and leaving."""
    for _ in range(2):
        saved = SessionFile(tmp_path)
        saved.write(Content([thought()]))
        saved.close(Content([thought()]))
    remove_sessions(tmp_path, [saved.id])
    again = SessionFile(tmp_path, load_session(tmp_path, "last"))
    again.write(Content())
    again.close(Content())
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


def test_an_id_may_be_shortened_but_not_ambiguous(begin, tmp_path):
    """The beginning of an id is enough where it is the only one."""
    for _ in range(2):
        begin(tmp_path).write(Content([turn()]))
    names = [saved.id for saved in list_sessions(tmp_path)]
    assert load_session(tmp_path, names[0]).id == names[0]
    with pytest.raises(UsageError, match="2 sessions"):
        load_session(tmp_path, names[0][:8])
    whole = tmp_path / f"{names[0]}.json"
    (tmp_path / f"{names[0]}.bak.json").write_bytes(whole.read_bytes())
    assert load_session(tmp_path, names[0]).id == names[0]  # which another one begins with


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


def test_sessions_that_are_open_elsewhere_are_said_to_be(begin, tmp_path):
    """None that is idle is not none at all; the own one is not elsewhere."""

    def told(own=""):
        with pytest.raises(UsageError) as caught:
            newest_session(tmp_path, idle=True, own=own)
        return caught.value.message

    assert told() == "nothing has been asked yet"
    mine = begin(tmp_path)
    mine.write(Content([turn()]))
    assert told(mine.id) == "there is no other session"
    assert told() == "all sessions are open elsewhere"
    begin(tmp_path).write(Content([turn()]))
    assert told(mine.id) == "all other sessions are open elsewhere"


def test_last_is_the_same_session_twice(tmp_path):
    """Names are looked up before anything is deleted; a wrong one among them costs nothing."""
    for name in "ab":
        file = SessionFile(tmp_path)
        file.write(Content([turn(name)]))
        file.close(Content([turn(name)]))
    with pytest.raises(UsageError, match="no session 'nosuch'"):
        remove_sessions(tmp_path, ["last", "nosuch"])
    assert len(list_sessions(tmp_path)) == 2
    newest = load_session(tmp_path, "last").id
    assert remove_sessions(tmp_path, ["last", newest, "last"]) == [newest]
    assert len(list_sessions(tmp_path)) == 1
