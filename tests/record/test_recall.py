"""The steps of a session on disk: found by name or not at all."""

from __future__ import annotations

import json

import pytest

from softchat.record.recall import Recall, newest, recalled
from tests.recordings import run_of, step


def run(piece, steps=2):
    return tuple(run_of(*(step(i, a=1 / 3) for i in range(steps)), answer=(piece,)))


A, B, C = run("a"), run("\udcff\r\n\x1b\u2028"), run("c", 40)


def back(path, names):
    found = recalled(path, names)
    return [found.get(name) for name in names]


def test_a_run_is_found_by_its_name(tmp_path):
    """Of several those that are asked for, and a turn without steps has no name."""
    path = tmp_path / "x.jsonl"
    first, none, last = Recall(path).write([A, (), C])
    assert none == ""
    assert back(path, [last, first]) == [C, A]
    assert recalled(path, [last]).keys() == {last}
    assert recalled(path, [none, "x", 3, None]) == {}


def test_a_run_out_of_order_is_not_found(tmp_path):
    """Nobody but a stranger writes one, and the name that fits it."""
    path = tmp_path / "x.jsonl"
    (name,) = Recall(path).write([(A[0], *A[:0:-1])])
    assert recalled(path, [name]) == {}


def test_new_runs_are_added_and_what_was_taken_back_goes(tmp_path):
    """A turn more only appends; anything else writes the file anew."""
    path = tmp_path / "x.jsonl"
    kept = Recall(path)
    kept.write([A])
    before = path.stat().st_ino
    kept.write([A, C])
    assert path.stat().st_ino == before
    names = kept.write([C, A])
    assert back(path, names) == [C, A]
    assert len(path.read_text().splitlines()) == len(A) + len(C)
    kept.write([()])
    assert not path.exists()


def test_one_that_goes_on_trusts_nothing(tmp_path):
    """What an earlier process left, torn as it may be, is replaced."""
    path = tmp_path / "x.jsonl"
    Recall(path).write([A, C])
    with path.open("a") as file:
        file.write('{"event": "started", "sch')
    names = Recall(path).write([A])
    assert back(path, names) == [A]
    assert len(path.read_text().splitlines()) == len(A)


@pytest.mark.parametrize(
    ("change", "whole"),
    [
        (lambda text: text[:-9], [A, None]),  # the last line is torn
        (lambda text: text[:200] + "x" + text[201:], [None, C]),
        (lambda text: "\n\0" + text, [None, C]),
        (lambda text: text + '{"event": "started"\n[[[\n', [A, C]),
        (lambda text: "", [None, None]),
    ],
)
def test_what_is_damaged_is_not_found(tmp_path, change, whole):
    """The other runs are."""
    path = tmp_path / "x.jsonl"
    names = Recall(path).write([A, C])
    path.write_text(change(path.read_text()))
    assert back(path, names) == whole


def test_names_that_somebody_has_made_up(tmp_path):
    """A run with the right name and wrong events is none."""
    path = tmp_path / "x.jsonl"
    lines = json.dumps({"event": "started", "schema": 1}) + "\n"
    path.write_text(lines)
    from softchat.record.recall import _name

    assert recalled(path, [_name(lines.encode())]) == {}


def test_odd_characters_come_back_as_far_as_utf8_can_hold_them(tmp_path):
    """A lone surrogate becomes a question mark, and the run is found."""
    path = tmp_path / "x.jsonl"
    (found,) = back(path, Recall(path).write([B]))
    assert found[-1].answer == "?\r\n\x1b\u2028"


def test_the_oldest_go_first(tmp_path):
    """Of more than the most, the newer half stays."""
    path = tmp_path / "x.jsonl"
    size = len("".join(open_lines(tmp_path, A)))
    kept = Recall(path, most=4 * size)
    many = [run("a") for _ in range(5)]
    assert [bool(name) for name in kept.write(many[:4])] == [True] * 4
    names = kept.write(many)
    assert [bool(name) for name in names] == [False] * 3 + [True] * 2
    assert path.stat().st_size == 2 * size
    assert newest(many, 2 * size) == [(), (), (), *many[3:]]


def open_lines(folder, events):
    Recall(folder / "one.jsonl").write([events])
    return (folder / "one.jsonl").read_text().splitlines(keepends=True)


def test_no_file_and_no_right_file(tmp_path):
    """There are no steps then."""
    assert recalled(tmp_path / "nowhere", ["x"]) == {}
    assert recalled(tmp_path, ["x"]) == {}
