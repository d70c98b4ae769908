"""A question and its texts: nothing is dropped, and the model sees where each ends."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softchat.errors import UsageError
from softchat.prompt.attached import MOST, Attached, in_short, join, read, read_file, split

NOTES = Attached(name="notes.txt", text="Ben sends the contract.\n")


def test_texts_come_first_and_the_question_last():
    """Each under its name, in quotes."""
    assert join("Who?", [NOTES, Attached(name="b", text="x")]) == (
        'notes.txt:\n"""\nBen sends the contract.\n"""\n\nb:\n"""\nx\n"""\n\nWho?'
    )


def test_a_text_alone_is_the_question():
    """As it was with a question on stdin."""
    assert join("", [NOTES]) == "Ben sends the contract."
    assert join(" Who? ", []) == "Who?"


@given(st.lists(st.text(alphabet='"`a\n '), max_size=3), st.text(alphabet='"a\n ', min_size=1))
def test_no_text_can_end_its_quotes(texts, question):
    """What is joined can be taken apart again, whatever quotes are in it."""
    attached = [Attached(name=f"f{n}", text=text) for n, text in enumerate(texts)]
    if not question.strip():
        question += "q"
    parts, asked = split(join(question, attached))
    if attached or not question.lstrip().startswith("f"):
        assert [one.name for one in parts] == [one.name for one in attached]
        assert [one.text for one in parts] == [one.text.strip("\n") for one in attached]
        assert asked == question.strip()


def test_in_short_it_is_names_and_the_question():
    """For lists and headings."""
    assert in_short(join("Who?", [NOTES])) == "[notes.txt] Who?"
    assert in_short("Who?\nWhen?") == "Who?\nWhen?"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("é".encode(), "é"),
        (b"\xef\xbb\xbfa", "a"),
        ("é\n".encode("utf-16"), "é\n"),
        (b"", ""),
    ],
)
def test_the_marks_of_editors_are_understood(data, text):
    """Byte order marks of UTF-8 and UTF-16."""
    assert read(io.BytesIO(data), "x") == text


class Endless(io.RawIOBase):
    """What `yes` writes; it notes how much was asked for."""

    def __init__(self):
        self.asked = 0

    def read(self, size=-1):
        self.asked = size
        return b"y\n" * (size // 2 + 1)


def test_what_has_no_end_is_not_read_to_it():
    """`yes | softchat` ends."""
    endless = Endless()
    with pytest.raises(UsageError, match="stdin is longer than 8 MB"):
        read(endless, "stdin")
    assert 0 < endless.asked <= MOST + 1


@pytest.mark.parametrize(
    ("data", "says"), [(b"\x89PNG\0", "is no text"), (b"caf\xe9", "is not UTF-8 text")]
)
def test_what_is_no_text_is_refused(tmp_path, data, says):
    """By its name, which may be hostile, with a way out."""
    file = tmp_path / "a\x1b[2Jb"
    file.write_bytes(data)
    with pytest.raises(UsageError, match=says) as told:
        read_file(file)
    assert "\x1b" not in told.value.message
    assert told.value.hint


def test_a_file_is_called_by_its_own_name(tmp_path):
    """Without its folder."""
    (tmp_path / "a.txt").write_text("x")
    assert read_file(tmp_path / "a.txt") == Attached(name="a.txt", text="x")


@pytest.mark.parametrize(("name", "says"), [("no", "No such file"), ("", "is a folder")])
def test_a_file_that_can_not_be_read(tmp_path, name, says):
    """One line says why."""
    with pytest.raises(UsageError, match=says):
        read_file(tmp_path / name)


def test_devices_end():
    """/dev/zero is no file, and is not read for ever."""
    if Path("/dev/zero").exists():
        with pytest.raises(UsageError, match="is no file"):
            read_file(Path("/dev/zero"))
