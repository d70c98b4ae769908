"""Results on disk: what is there survives, and nothing is mixed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from softchat.errors import UsageError
from softchat.evaluate.evaluate import Outcome, Result, seed_of
from softchat.evaluate.results import ResultFile, _to_dict, default_path

IDENTITY = {
    "softchat_eval": 1,
    "model": {"name": "m", "sha256": "0"},
    "data": {"name": "data.jsonl", "sha256": "1"},
    "extract": "number",
    "runs": {"soft": {"tau": 0.1, "seed": 0}},
}


def result(index: int) -> Result:
    outcome = Outcome(answer="it is ü7\u2028", steps=3, halted="closed", finished="stop")
    seed = seed_of(0, index, 0)
    return Result(run="soft", index=index, seed=seed, given="7", correct=True, outcome=outcome)


def test_what_is_written_is_read(tmp_path):
    """A file that is opened again has the same results, and takes more."""
    path = tmp_path / "new" / "r.jsonl"
    with ResultFile(path, IDENTITY) as file:
        file.add(result(0))
    with ResultFile(path, IDENTITY) as file:
        assert file.results == [result(0)]
        assert file.done == {("soft", 0, 0)}
        file.add(result(1))
    with ResultFile(path, IDENTITY) as file:
        assert file.results == [result(0), result(1)]
    assert len(path.read_text(encoding="utf-8").split("\n")) == 4
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_results_of_before_there_were_samples_are_read(tmp_path):
    """A file without that field goes on: each result is the first answer to its question."""
    path = tmp_path / "r.jsonl"
    with ResultFile(path, IDENTITY) as file:
        file.add(result(0))
    head, line = path.read_text().splitlines()
    old = {k: v for k, v in json.loads(line).items() if k not in ("sample", "probe_tokens")}
    path.write_text(f"{head}\n{json.dumps(old)}\n")
    with ResultFile(path, IDENTITY) as file:
        assert file.results == [result(0)]


@pytest.mark.parametrize("cut", [2, 10, 60])
def test_a_torn_line_is_cut_off(tmp_path, cut):
    """Whatever is left of a line that was being written is dropped, and only that."""
    path = tmp_path / "r.jsonl"
    with ResultFile(path, IDENTITY) as file:
        file.add(result(0))
        file.add(result(1))
    path.write_bytes(path.read_bytes()[:-cut])
    with ResultFile(path, IDENTITY) as file:
        assert file.results == [result(0)]
        file.add(result(1))
    with ResultFile(path, IDENTITY) as file:
        assert file.results == [result(0), result(1)]


def test_a_line_that_lost_its_line_break_counts(tmp_path):
    """As an editor may leave the last one; what comes next begins on a line of its own."""
    path = tmp_path / "r.jsonl"
    for number in range(3):
        with ResultFile(path, IDENTITY) as file:
            assert file.results == [result(place) for place in range(number)]
            file.add(result(number))
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
    with ResultFile(path, IDENTITY):
        assert path.read_bytes() == whole
    path.write_bytes(json.dumps(IDENTITY | {"extract": "exact"}).encode())
    with pytest.raises(UsageError, match="is of another evaluation"):
        ResultFile(path, IDENTITY)
    assert not path.read_bytes().endswith(b"\n")


def test_what_never_begins_leaves_no_file(tmp_path, monkeypatch):
    """A first line alone is taken away by who wrote it; a file that was there stays."""
    path = tmp_path / "r.jsonl"
    with ResultFile(path, IDENTITY):
        assert path.exists()
    assert not path.exists()
    monkeypatch.setattr(ResultFile, "_write", lambda *_: os.write(-1, b""))
    with pytest.raises(UsageError, match="can't write"):
        ResultFile(path, IDENTITY)
    assert not path.exists()
    monkeypatch.undo()
    head = json.dumps(IDENTITY) + "\n"
    for text in ("", head[:20], head):
        path.write_text(text)
        with ResultFile(path, IDENTITY):
            pass
        assert path.read_text() == head


def test_a_torn_first_line(tmp_path):
    """A process that was killed at once has left nothing to go on with."""
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(IDENTITY)[:20])
    with ResultFile(path, IDENTITY) as file:
        assert file.results == []
    with ResultFile(path, IDENTITY) as file:
        assert file.results == []


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("model", {"name": "m", "sha256": "2"}, "another model"),
        (
            "model",
            {"name": "m", "sha256": "0", "cache_type": "q4_0"},
            "another way to load the model: --cache-type",
        ),
        ("data", {"name": "data.jsonl", "sha256": "2"}, "another file of questions"),
        ("extract", "exact", "extract was 'number' and is 'exact'"),
        ("runs", {"soft": {"tau": 0.2, "seed": 0}}, "tau of soft was 0.1 and is 0.2"),
        ("runs", {"hard": {"tau": 0.1}}, "its runs are soft"),
    ],
)
def test_another_evaluation_is_refused(tmp_path, key, value, says):
    """What was measured otherwise is not mixed in; the message says what differs."""
    path = tmp_path / "r.jsonl"
    with ResultFile(path, IDENTITY) as file:
        file.add(result(0))
    before = path.read_bytes()
    with pytest.raises(UsageError, match=says):
        ResultFile(path, IDENTITY | {key: value})
    assert path.read_bytes() == before


def test_other_files_are_left_alone(tmp_path):
    """A file that holds something else is never written to."""
    for number, text in enumerate(
        ["my notes", "{}\n", '{"a": 1}', "[1]\n", '{"a": 1}\nnotes\n', "\n\n"]
    ):
        path = tmp_path / f"{number}.txt"
        path.write_text(text)
        with pytest.raises(UsageError, match="something else"):
            ResultFile(path, IDENTITY)
        assert path.read_text() == text


WRONG = (None, [], {}, "x", 1.5, True, -1, 2**63, 1e300, {"a": 1}, [None])
# What a field takes beside what it had: None where there may be none, text for any text.
TAKEN = {
    "given": ("x",), "correct": (None, True), "answer": ("x",),
    "think_s": (1.5, -1), "answer_s": (1.5, -1),
    "total_s": (1.5, -1),
}  # fmt: skip


def damaged():
    """Lines that no evaluation has written, each with a name."""
    line = json.loads(json.dumps(_to_dict(result(0))))
    for key in line:
        if key in ("run", "index", "seed", "given", "correct"):
            yield f"no {key}", json.dumps({k: v for k, v in line.items() if k != key})
        for value in WRONG:
            if not any(value == one and type(value) is type(one) for one in TAKEN.get(key, ())):
                yield f"{key} {value!r}", json.dumps({**line, key: value})
    for text in ("NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "1" + "0" * 400):
        for key, shown in (("index", "0"), ("steps", "3"), ("think_s", "0.0")):
            yield (
                f"{key} {text[:9]}",
                json.dumps(line).replace(f'"{key}": {shown}', f'"{key}": {text}'),
            )
    failed = {**line, **asdict(Outcome(error="too long")), "given": None}
    yield "an error that is right", json.dumps(failed)
    yield "an error and steps", json.dumps({**failed, "correct": False, "steps": 3})
    for text in (
        "",
        "null",
        "[]",
        "7",
        '"x"',
        "{}",
        "{",
        "[" * 200_000,
        '{"a":' * 100_000,
        "\0",
        "nul",
    ):
        yield text[:9], text


@pytest.mark.parametrize(("name", "text"), list(damaged()))
def test_a_damaged_line_is_told(tmp_path, name, text):
    """By its number; the file is left as it is."""
    path = tmp_path / "r.jsonl"
    with ResultFile(path, IDENTITY) as file:
        file.add(result(0))
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{text}\n{json.dumps(_to_dict(result(1)))}\n")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="line 3: "):
        ResultFile(path, IDENTITY)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"halted": "nope"}, "no thinking ends by 'nope'"),
        ({"finished": "nope"}, "no answer ends by 'nope'"),
        ({"error": "boom"}, "an error, and an answer beside it"),
        ({"given": None}, "right, without an answer"),
        ({"seed": 1}, "its seed is 1, and was "),
        ({"index": 1}, "its seed is "),
        ({"sample": 1}, "its seed is "),
        ({"run": "nope"}, "there is no run 'nope'"),
    ],
)
def test_what_no_run_has_had_is_told(tmp_path, change, says):
    """Each field may be one of its kind, and still no run of this evaluation has written them."""
    path = tmp_path / "r.jsonl"
    line = _to_dict(result(0)) | change
    path.write_text(f"{json.dumps(IDENTITY)}\n{json.dumps(line)}\n")
    with pytest.raises(UsageError, match=f"line 2: {says}"):
        ResultFile(path, IDENTITY)


def test_a_run_that_failed_is_read(tmp_path):
    """An error alone, which counts as wrong or, without a wanted answer, as neither."""
    failed = Outcome(error="the prompt has 883 tokens")
    path = tmp_path / "r.jsonl"
    with ResultFile(path, IDENTITY) as file:
        for correct, index in ((False, 0), (None, 1)):
            file.add(replace(result(index), given=None, correct=correct, outcome=failed))
    with ResultFile(path, IDENTITY) as again:
        assert again.results == file.results


def test_a_result_counts_once(tmp_path):
    """Of two lines on the same answer nobody knows which is right."""
    path = tmp_path / "r.jsonl"
    with ResultFile(path, IDENTITY) as file:
        file.add(result(0))
        file.add(result(1))
        file.add(result(0))
    before = path.read_bytes()
    with pytest.raises(UsageError, match="line 4: a result that is there already"):
        ResultFile(path, IDENTITY)
    assert path.read_bytes() == before


@pytest.mark.parametrize("rest", [b"my notes", b"\xff\xfe", b'{"ran": ', b"\x00" * 100])
def test_what_is_no_torn_line_is_no_rubbish(tmp_path, rest):
    """Somebody else's last line is not cut off."""
    path = tmp_path / "r.jsonl"
    with ResultFile(path, IDENTITY) as file:
        file.add(result(0))
    path.write_bytes(path.read_bytes() + rest)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="line 3: no result"):
        ResultFile(path, IDENTITY)
    assert path.read_bytes() == before


@pytest.mark.parametrize("key", IDENTITY)
@pytest.mark.parametrize("value", [None, [], {}, "x", 7, {"soft": None}, {"soft": []}, [[]]])
def test_a_damaged_first_line_is_told(tmp_path, key, value):
    """Whatever stands in it."""
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(IDENTITY | {key: value}) + "\n")
    before = path.read_bytes()
    with pytest.raises(UsageError):
        ResultFile(path, IDENTITY)
    assert path.read_bytes() == before


def test_no_pipe_is_waited_for(tmp_path):
    """A file of results is a file."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(UsageError, match="it is no file"):
            ResultFile(path, IDENTITY)


def test_names_that_are_no_text(tmp_path):
    """A file's name or a system prompt can hold bytes that are no UTF-8; they come back as such."""
    identity = IDENTITY | {"system": os.fsdecode(b"\xff"), "data": {"name": os.fsdecode(b"\xfe")}}
    for _ in range(2):
        with ResultFile(tmp_path / "r.jsonl", identity) as file:
            file.add(result(len(file.results)))
    assert len(file.results) == 2


def test_one_writer_at_a_time(tmp_path):
    """Two evaluations into one file would mix their lines."""
    path = tmp_path / "r.jsonl"
    with ResultFile(path, IDENTITY), pytest.raises(UsageError, match="another softchat"):
        ResultFile(path, IDENTITY)


def test_what_can_not_be_written(tmp_path):
    """A folder, or a path below a file, is the user's mistake."""
    (tmp_path / "file").touch()
    for path, said in ((tmp_path, ""), (tmp_path / "file" / "r.jsonl", "file: it is no folder$")):
        with pytest.raises(UsageError, match=f"can't write results to .*: .*{said}"):
            ResultFile(path, IDENTITY)


def test_each_evaluation_has_a_file(tmp_path):
    """Without --out, a changed setting begins a new file, and the same finds its own."""
    path = default_path(tmp_path, IDENTITY)
    assert path == default_path(tmp_path, json.loads(json.dumps(IDENTITY)))
    assert path != default_path(tmp_path, IDENTITY | {"extract": "exact"})
    assert path.name.startswith("data-")
    assert Path(os.path.commonpath([path, tmp_path])) == tmp_path


@pytest.mark.parametrize("sign", ["a", "ä", "\udcff", "语"])
def test_a_long_name_of_the_data_gives_a_file_too(tmp_path, sign):
    """No sign is split; the digest tells two apart that begin alike."""
    stem = sign * (248 // len(os.fsencode(sign)))
    paths = {
        default_path(tmp_path, IDENTITY | {"data": {"name": f"{stem}{end}.jsonl", "sha256": "1"}})
        for end in "xy"
    }
    assert len(paths) == 2
    for path in paths:
        assert path.name.startswith(sign * 60)
        with ResultFile(path, IDENTITY) as file:
            file.add(result(0))


def test_a_file_that_was_removed_meanwhile(tmp_path):
    """Its results go nowhere, which whoever writes them can find out."""
    path = tmp_path / "r.jsonl"
    with ResultFile(path, IDENTITY) as file:
        assert file.is_there
        path.unlink()
        assert not file.is_there
        path.touch()  # another one of that name
        assert not file.is_there
