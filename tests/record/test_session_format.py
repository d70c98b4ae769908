"""Sessions as files hold them: nothing foreign is trusted."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from softchat.errors import UsageError
from softchat.record.session_format import is_export, read_file, write_file
from softchat.record.sessions import list_sessions, load_session
from tests.recordings import Content, run_of, step, thought, turn


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


def test_a_file_of_the_users_has_the_turns_that_were_forked(tmp_path):
    """With all their steps, so that /back leads to them; damaged ones make it no session."""
    first = thought("a")
    second = replace(first, events=tuple(run_of(step(0), answer=("b",))), forked=first)
    last = replace(second, events=tuple(run_of(step(0), step(1), answer=("c",))), forked=second)
    write_file(tmp_path / "x.json", Content([turn(), last]))
    (_, back) = read_file(tmp_path / "x.json").turns
    assert [[*one.events] for one in back.lineage] == [[*one.events] for one in last.lineage]
    assert [one.answer for one in back.lineage[:-1]] == ["a\x1b\n", "b"]
    data = json.loads((tmp_path / "x.json").read_text())
    for wrong in (3, [3], [[3]], [[{}]], ["ab"]):
        data["turns"][1]["before"] = wrong
        (tmp_path / "x.json").write_text(json.dumps(data))
        with pytest.raises(UsageError, match="is no saved session"):
            read_file(tmp_path / "x.json")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("within", ["events", "turn"])
def test_numbers_that_json_does_not_have_make_it_no_session(tmp_path, number, within):
    """Wherever they stand: what is read is written again."""
    write_file(tmp_path / "x.json", Content([thought("a")]))
    data = json.loads((tmp_path / "x.json").read_text())
    turn = data["turns"][0]
    (turn["events"][0] if within == "events" else turn)["settings"]["tau"] = "HERE"
    (tmp_path / "x.json").write_text(json.dumps(data).replace('"HERE"', number))
    with pytest.raises(UsageError, match="is no saved session"):
        read_file(tmp_path / "x.json")


def test_settings_of_another_softchat_are_passed_over(begin, tmp_path):
    """A session of a later or an earlier one is none the less read."""
    begin(tmp_path).write(Content([turn()], chosen={"tau": 0.2, "warp": 9, "topn": -1}))
    assert load_session(tmp_path, "last").chosen == {"tau": 0.2}


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


@pytest.mark.parametrize("name", ["chat.md", 'ch\udcff"at.json'])
def test_an_export_is_known_by_its_beginning(tmp_path, name):
    """Whatever was said in it, or nothing; files of other programs are none."""
    for content in (Content(), Content([turn("\n## a")]), Content(model_name="a\nb", system="*")):
        write_file(tmp_path / name, content)
        assert is_export((tmp_path / name).read_bytes())


@pytest.mark.parametrize(
    "text",
    ['{"schema": ', '{"schema": 1, "id": 4}', '{"schema": "http://json-schema.org"}',
     '{"schema": 1, "id": "a", "title": "started"}', "# A chat with my mother\n\n## Friday\n"],
)  # fmt: skip
def test_a_file_of_another_program_is_no_export(text):
    """That it begins alike is not enough to write over it."""
    assert not is_export(text.encode())


def test_markdown_is_inert(tmp_path):
    """A saved chat that is shown in a terminal does nothing to it."""
    write_file(tmp_path / "chat.md", Content([turn("a\x1b]52;c;aGk=\x07", "b\x9b2J")]))
    text = (tmp_path / "chat.md").read_text()
    assert not {"\x1b", "\x07", "\x9b"} & set(text)


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


def test_a_file_of_nearly_the_same_name_is_hinted_at(tmp_path):
    """A slip of a letter."""
    (tmp_path / "talk.json").touch()
    with pytest.raises(UsageError) as error:
        read_file(tmp_path / "tolk.json")
    assert "did you mean" in error.value.hint
    assert "talk.json" in error.value.hint


def test_markdown_in_capitals(tmp_path):
    """`.MD` is Markdown as `.md` is."""
    write_file(tmp_path / "chat.MD", Content([turn()]))
    assert (tmp_path / "chat.MD").read_text().startswith("# ")
