"""The log: every question of every session is found, and nothing that was deleted."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys

import pytest

from softchat.errors import UsageError
from softchat.record.log import Log
from softchat.record.session_file import SessionFile
from softchat.record.sessions import load_session, remove_sessions
from softchat.talk.conversation import Turn
from tests.recordings import Content


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "log.sqlite3", tmp_path / "sessions")


@pytest.fixture
def keep(tmp_path):
    """Write a session with these questions and answers; its id."""

    def keep_(*turns, ask=True, resume=None):
        file = SessionFile(tmp_path / "sessions", resume, ask=ask)
        held = [Turn(question=q, answer=a, settings={}, asked=when) for q, a, when in turns]
        file.write(Content(held), closed=True)
        file.release()
        return file.id

    return keep_


def at(minute):
    return f"2026-11-28T08:{minute:02d}:00.000000+00:00"


def questions(found):
    return [one.question for one in found]


def test_the_newest_comes_first_whatever_it_is_of(log, keep):
    """Asks and chats alike, by the time of each question; clocks in other zones too."""
    keep(("first", "a", at(1)), ("third", "c", at(3)), ask=False)
    keep(("second", "b", at(2)))
    keep(("between", "b", "2026-11-28T10:02:30+02:00"))
    assert questions(log.newest(10)) == ["third", "between", "second", "first"]
    assert questions(log.newest(1)) == ["third"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("contract", True),
        ("CONTR", True),
        ("cafe ben", True),
        ("café", True),
        ("c++", True),
        ("c--", False),
        ("über-ich", True),
        ("UBER-ICH?", True),
        ("u\u0308ber-ich c++ 天空", True),
        ("uber-ach", False),
        ("강", True),
        ("가", False),
        ("ガ", True),
        ("カ", False),
        ("天空", True),
        ("ontract", False),
        ("contract printer", False),
        ('AND "', False),
        ("NEAR(", False),
        ("100%", False),
        ("ca\udcff", False),
        ("c++ " * 5000, True),
    ],
)
def test_all_words_must_be_there(log, keep, words, found):
    """By their beginnings, in question or answer, whatever the case; nothing is a syntax."""
    keep(
        (
            "Who sends the contract?",
            "Ben, in the Café. C++ 为什么天空是蓝色的 Über-Ich? 강 ガ",
            at(1),
        )
    )
    assert bool(log.newest(9, words=words)) is found


def test_more_words_than_can_be_looked_for(log):
    """Are refused in a line."""
    with pytest.raises(UsageError, match="more than 100 words"):
        log.newest(9, words=" ".join(f"x-{number}" for number in range(2000)))


def test_a_number_stays_with_its_question(log, keep, tmp_path):
    """Whatever is said, taken back or forgotten in its session later."""
    id_ = keep(("a", "1", at(1)), ("b", "2", at(2)), ask=False)
    number = {one.question: one.number for one in log.newest(9)}
    folder = tmp_path / "sessions"
    keep(("b", "2", at(2)), ("c", "3", at(3)), ask=False, resume=load_session(folder, id_))
    keep(("d", "4", at(0)))
    now = {one.question: one.number for one in log.newest(9)}
    assert now["b"] == number["b"]
    assert set(now) == {"b", "c", "d"}
    assert log.number(number["b"]).question == "b"
    assert (log.number(now["c"]).session, log.number(now["c"]).place) == (id_, 1)
    for none in (99, 10**30):
        with pytest.raises(UsageError, match=f"number {none}"):
            log.number(none)
    assert len(log.newest(10**30)) == 3


def test_what_is_deleted_is_in_no_byte_of_it(log, keep, tmp_path):
    """`sessions rm` takes the words out of the index too."""
    id_ = keep(("my hidden passphrase", "xyzzyplugh", at(1)))
    keep(("other", "b", at(2)))
    assert len(log.newest(9)) == 2
    remove_sessions(tmp_path / "sessions", [id_])
    log.refresh()
    data = (tmp_path / "log.sqlite3").read_bytes().lower()
    assert b"xyzzyplugh" not in data
    assert b"passphrase" not in data
    assert questions(log.newest(9)) == ["other"]


def test_it_is_the_owners_alone(log, keep, tmp_path):
    """0600, from its first moment."""
    keep(("a", "b", at(1)))
    log.newest(1)
    assert stat.S_IMODE((tmp_path / "log.sqlite3").stat().st_mode) == 0o600


def _cut(path):
    path.write_bytes(path.read_bytes()[:5000])


def _garble(path):
    data = bytearray(path.read_bytes())
    data[4096:12000] = b"\xa5" * (12000 - 4096)
    path.write_bytes(data)


def _other_version(path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no database, but long enough to be taken for one" * 99),
        lambda path: path.write_bytes(b""),
        _cut,
        _garble,
        _other_version,
    ],
)
def test_a_damaged_index_is_made_anew(log, keep, tmp_path, damage):
    """It holds nothing that the sessions do not hold."""
    keep(("a", "b", at(1)))
    assert log.newest(1)
    damage(tmp_path / "log.sqlite3")
    assert questions(log.newest(9)) == ["a"]
    assert questions(log.newest(9, words="b")) == ["a"]
    keep(("c", "d", at(2)))
    assert questions(log.newest(9)) == ["c", "a"]


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, i FROM n"


@pytest.mark.parametrize(
    "forge",
    [
        f"DROP TABLE file; CREATE VIEW file(session, state) AS {ENDLESS}",
        f"CREATE TRIGGER t AFTER INSERT ON file BEGIN INSERT INTO file {ENDLESS}; END",
        f"DROP TABLE asked; CREATE VIEW asked AS {ENDLESS}",
        "ALTER TABLE file ADD COLUMN more AS (hex(zeroblob(99)))",
        "CREATE INDEX slow ON file(state || hex(zeroblob(9999999)))",
        "DROP TABLE asked; CREATE TABLE asked(question)",
        "DROP TABLE asked; CREATE TABLE asked(question); PRAGMA user_version = 0",
    ],
)
def test_an_index_with_more_in_it_is_made_anew_and_told_once(tmp_path, keep, forge):
    """Whatever would run where its tables are read: none of it does."""
    told = []
    log = Log(tmp_path / "log.sqlite3", tmp_path / "sessions", warn=told.append)
    keep(("a", "b", at(1)))
    assert log.newest(1)
    with sqlite3.connect(tmp_path / "log.sqlite3") as db:
        db.executescript(forge)
    db.close()
    keep(("c", "d", at(2)))
    assert questions(log.newest(9)) == ["c", "a"]
    assert questions(log.newest(9, words="b")) == ["a"]
    (line,) = told
    assert line.endswith("log.sqlite3 holds what softchat has not put there; it is made anew")


def test_reading_it_has_an_end(tmp_path, keep, monkeypatch):
    """Whatever keeps SQLite busy: it is made anew, and told; a new one is bounded by itself."""
    told = []
    log = Log(tmp_path / "log.sqlite3", tmp_path / "sessions", warn=told.append)
    keep(("a", "b", at(1)))
    assert log.newest(1)
    monkeypatch.setattr("softchat.record.log._MOST_S", -1.0)
    monkeypatch.setattr("softchat.record.log._OFTEN", 1)
    assert questions(log.newest(9)) == ["a"]
    (line,) = told
    assert "takes too long to read" in line


@pytest.mark.parametrize("version", [0, 1, 77])
def test_the_database_of_another_program_stays_as_it_is(log, keep, tmp_path, version):
    """Where SOFTCHAT_HOME is a folder that others use too: told, and nothing is put into it."""
    path = tmp_path / "log.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE places (url TEXT)")
        db.execute(f"PRAGMA user_version = {version}")
    db.close()
    before = path.read_bytes()
    keep(("a", "b", at(1)))
    with pytest.raises(UsageError, match="another program's database"):
        log.newest(9)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "hinder", [lambda path: path.mkdir(), lambda path: path.symlink_to("/no/x")]
)
def test_where_it_can_not_be_kept_it_still_finds(log, keep, tmp_path, hinder):
    """In memory, for this once."""
    keep(("a", "b", at(1)))
    hinder(tmp_path / "log.sqlite3")
    assert questions(log.newest(9, words="b")) == ["a"]


def test_foreign_files_are_passed_over(log, keep, tmp_path):
    """Also one that is a session no more."""
    id_ = keep(("a", "b", at(1)))
    (tmp_path / "sessions" / "x.json").write_text("[]")
    assert len(log.newest(9)) == 1
    (tmp_path / "sessions" / f"{id_}.json").write_text("{")
    assert log.newest(9) == []
    assert Log(tmp_path / "none.sqlite3", tmp_path / "nowhere").newest(9) == []


def test_what_no_database_can_hold_is_held(log, keep):
    """A lone surrogate, a null byte."""
    keep(("\udcff why\0", "b", at(1)))
    assert log.newest(9, words="why")


def test_several_at_once(log, keep, tmp_path):
    """Every one of them finds all, and the index is whole afterwards."""
    for minute in range(40):
        keep((f"question {minute}", "b", at(minute)))
    code = (
        "import sys; from pathlib import Path; from softchat.record.log import Log\n"
        "log = Log(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(len(log.newest(99, words='question')))"
    )
    command = [
        sys.executable,
        "-c",
        code,
        str(tmp_path / "log.sqlite3"),
        str(tmp_path / "sessions"),
    ]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    assert [one.communicate()[0].strip() for one in running] == [b"40"] * 4
    numbers = [one.number for one in log.newest(99)]
    assert len(set(numbers)) == 40
    with sqlite3.connect(tmp_path / "log.sqlite3") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
