"""A run written down, and read back."""

from __future__ import annotations

import json
import math
import os
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softchat.errors import SoftchatError, UsageError
from softchat.events import (
    Answer,
    ConceptEntry,
    Error,
    Finished,
    Halted,
    Lens,
    ModelInfo,
    Prefill,
    Started,
    Step,
    from_dict,
    to_dict,
    to_json,
)
from softchat.record import trace as module
from softchat.record.trace import TraceWriter, is_free, replay
from tests.recordings import run_of, started, step, write_trace

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
COUNT = st.integers(0, 2**63 - 1)
NUMBER = st.floats(-(2.0**62), 2.0**62)
st.register_type_strategy(str, TEXT)
st.register_type_strategy(int, COUNT)
st.register_type_strategy(float, NUMBER)
PLAIN = st.none() | st.booleans() | COUNT | NUMBER | TEXT
SETTINGS = st.dictionaries(TEXT, PLAIN | st.lists(PLAIN) | st.dictionaries(TEXT, PLAIN))
STEPS = st.lists(
    st.builds(Step, concept=st.lists(st.builds(ConceptEntry), max_size=4).map(tuple)), max_size=2
)


def in_order(started, prefill, steps, halted, answers, finished, error):
    """The events of a run, without those that are None."""
    steps = [replace(step, index=index) for index, step in enumerate(steps)]
    events = [started, prefill, *steps, halted, *answers, finished, error]
    return [event for event in events if event is not None]


EVENTS = st.lists(
    st.builds(
        in_order,
        st.builds(Started, settings=SETTINGS, model=st.builds(ModelInfo), schema=st.just(1)),
        st.none() | st.builds(Prefill),
        STEPS,
        st.none() | st.builds(Halted),
        st.lists(st.builds(Answer), max_size=2),
        st.none() | st.builds(Finished),
        st.none() | st.builds(Error),
    ),
    max_size=2,
).map(lambda runs: [event for run in runs for event in run])
RUN = run_of(step(0), step(1, mode="hard", only=1.0))
LINES = [to_json(event).encode() + b"\n" for event in RUN]


def refused(path, *, hint="softchat ask --trace FILE writes one"):
    with pytest.raises(UsageError) as info:
        list(replay(path))
    assert info.value.hint == hint
    return info.value.message


@given(events=EVENTS)
def test_what_was_written_is_read_back(tmp_path_factory, events):
    """`list(replay(path)) == events`, whatever the events say, and the types are the same."""
    path = write_trace(tmp_path_factory.mktemp("trace") / "run.jsonl", events)
    read = list(replay(path))
    assert read == events
    assert repr(read) == repr(events)


def test_a_trace_may_hold_several_runs(tmp_path):
    """Turn after turn, in the order in which they were written."""
    path = write_trace(tmp_path / "session.jsonl", RUN, RUN)
    assert list(replay(str(path))) == RUN + RUN


def test_wherever_the_writing_was_cut_off_the_rest_is_read(tmp_path):
    """At each byte: the whole lines are read, and a line that is torn is told of, no error."""
    data, path = b"".join(LINES), tmp_path / "cut.jsonl"
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        whole = data[:length].count(b"\n")
        rest = data[:length].rpartition(b"\n")[2]
        complete = rest + b"\n" in LINES
        told = []
        assert list(replay(path, warn=told.append)) == RUN[: whole + complete], length
        assert len(told) == (0 if complete or not rest else 1), length


def test_a_library_is_warned_as_python_warns(tmp_path):
    """Without a `warn` of its own, by `warnings`, with the line's number."""
    path = tmp_path / "cut.jsonl"
    path.write_bytes(LINES[0] + LINES[1][:20])
    with pytest.warns(UserWarning, match=r"cut\.jsonl \(line 2\) is cut off"):
        assert list(replay(path)) == RUN[:1]


def test_fields_of_a_later_softchat_are_passed_over(tmp_path):
    """Fields may be added: on an event, in a model, in a token."""
    events = [to_dict(event) for event in RUN]
    for event in events:
        event["colour"] = {"of": ["the", "sky"]}
    events[0]["model"]["quantisation"] = "Q4_1"
    events[2]["concept"][0]["logit"] = -1.5
    path = tmp_path / "later.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert list(replay(path)) == RUN


@pytest.mark.parametrize(
    "content",
    [
        b"hello\n",
        b"no line break",
        b"\n",
        b"\xff\xfe\x00",
        b"\x00" * 64,
        b"[]\n",
        b"42\n",
        b'{"role": "user", "content": "hi"}\n',
        b'{"event": "click"}\n',
        b'{"event": ["step"]}\n',
        b'{"event": "started"}\n',
        b'{"event": "started", "schema": "1"}\n',
        b'{"event": "started", "schema": true}\n',
        b"[" * 100_000 + b"\n",
        b"9" * 10_000 + b"\n",
        "GGUF".encode("utf-16"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, content):
    """In words, with the line."""
    path = tmp_path / "other"
    path.write_bytes(content)
    assert "other is no trace: line 1: " in refused(path)


def test_what_json_says_of_a_line_is_left_out(tmp_path):
    """It means little to a reader, and quotes the line."""
    path = tmp_path / "other"
    path.write_bytes(b"hello\n")
    assert refused(path) == f"{path} is no trace: line 1: no JSON text"


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, name):
    """As a mistake of the user's."""
    hint = "'softchat ask --trace FILE' makes such a file; 'last' is what was asked last"
    assert "can't read the trace" in refused(tmp_path / name, hint=hint)


def test_a_newer_trace_is_refused(tmp_path):
    """Its fields may mean something else, so it is not shown wrongly."""
    path = tmp_path / "new.jsonl"
    path.write_text('{"event": "started", "schema": 2, "all": "new"}\n')
    assert "newer softchat: schema 2; this softchat reads 1" in refused(
        path, hint="update softchat"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda e: e.pop("entropy"), "step has no entropy"),
        (lambda e: e.update(entropy="0.5"), "step.entropy is '0.5'"),
        (lambda e: e.update(entropy=None), "step.entropy is None"),
        (lambda e: e.update(entropy=True), "step.entropy is True"),
        (lambda e: e.update(entropy=math.nan), "NaN is no finite number"),
        (lambda e: e.update(entropy=-math.inf), "-Infinity is no finite number"),
        (lambda e: e.update(entropy=1e300), "step.entropy is 1e+300"),
        (lambda e: e.update(entropy=10**400), "step.entropy is 1000"),
        (lambda e: e.update(index=-1), "step.index is -1"),
        (lambda e: e.update(index=2**63), "step.index is 9223372036854775808"),
        (lambda e: e.update(index=1.0), "step.index is 1.0"),
        (lambda e: e.update(mode="softer"), "step.mode is 'softer'"),
        (lambda e: e.update(mode=["soft"]), "step.mode is ['soft']"),
        (lambda e: e.update(concept={}), "step.concept is {}"),
        (lambda e: e.update(concept=[3]), "step.concept is 3"),
        (lambda e: e["concept"][0].update(piece=7), "step.concept.piece is 7"),
        (lambda e: e["concept"][0].update(piece="\ud800"), "no JSON text"),
        (lambda e: e.update(mode="\x1b[2J" * 99), "step.mode is '"),
    ],
)
def test_a_wrong_line_in_the_middle_is_refused(tmp_path, change, says):
    """With its number and what is wrong with it; what comes before it is given."""
    event = to_dict(RUN[2])
    change(event)
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b"".join([*LINES[:2], json.dumps(event).encode() + b"\n", *LINES[3:]]))
    events = replay(path)
    assert [next(events), next(events)] == RUN[:2]
    message = refused(path)
    assert "bad.jsonl is damaged: line 3: " in message
    assert says in message
    assert "\x1b" not in message
    assert len(message) < 200


START, PREFILL, FIRST, SECOND, HALTED, PIECE, _, FINISHED = RUN
FAILED = Error(kind="context", message="too long", hint="")
SEEN = Lens(index=1, text="4", entropy=0.1, whole=True, elapsed_s=0.2)


@pytest.mark.parametrize(
    ("events", "line", "says"),
    [
        (RUN[::-1], 1, "finished, and no run has started"),
        (RUN[1:], 1, "prefill, and no run has started"),
        ([FAILED, PREFILL], 2, "prefill can't come behind error"),
        ([START, FIRST, PREFILL], 3, "prefill can't come behind step"),
        ([START, PREFILL, PREFILL], 3, "prefill can't come behind prefill"),
        ([START, SECOND], 2, "step 1, where 0 is the next"),
        ([START, FIRST, step(2)], 3, "step 2, where 1 is the next"),
        ([*RUN[:4], START, SECOND], 6, "step 1, where 0 is the next"),
        ([START, SEEN, FIRST], 2, "lens of step 1, which is not the one before it"),
        ([START, FIRST, SEEN], 3, "lens of step 1, which is not the one before it"),
        ([START, HALTED, FIRST], 3, "step can't come behind halted"),
        ([START, PIECE, HALTED], 3, "halted can't come behind answer"),
        ([START, HALTED, HALTED], 3, "halted can't come behind halted"),
        ([START, FINISHED, PIECE], 3, "answer can't come behind finished"),
        ([START, FINISHED, FINISHED], 3, "finished can't come behind finished"),
        ([START, FAILED, FINISHED], 3, "finished can't come behind error"),
    ],
)
def test_what_can_not_come_there_is_refused(tmp_path, events, line, says):
    """By its line: a run goes from its start to its end, and no step of it is skipped."""
    path = write_trace(tmp_path / "run.jsonl", events)
    what = "no trace" if line == 1 else "damaged"
    assert refused(path) == f"{path} is {what}: line {line}: {says}"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))  # what is whole is not cut off
    assert f"line {line}: {says}" in refused(path)


@pytest.mark.parametrize(
    "events",
    [
        [FAILED],  # what had failed before the run began
        [START, FAILED, START, PREFILL],
        [START, HALTED, FINISHED],  # stopped while its prompt was read
        [START, PREFILL, PIECE, PIECE, FINISHED],  # it did not think
        [START, PREFILL, HALTED, FINISHED],
        [START, PREFILL, FIRST, FIRST, SECOND, SEEN, FIRST, SECOND, SEEN, HALTED],  # went back
        [*RUN, FAILED, FAILED],  # its answer could not be shown
        [*RUN[:4], START, START, *RUN],  # broken off, and killed at once
    ],
)
def test_whatever_softchat_writes_is_read(tmp_path, events):
    """Runs that failed, were stopped, did not think, or went back."""
    assert list(replay(write_trace(tmp_path / "run.jsonl", events))) == events


def test_a_number_that_json_makes_infinite_is_refused(tmp_path):
    """1e999 is spelled as a number, and is none."""
    path = tmp_path / "bad.jsonl"
    path.write_bytes(LINES[0].replace(b'"tau": 0.5', b'"tau": 1e999') + LINES[1])
    assert "1e999 is no finite number" in refused(path)


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    """A line is read up to a bound, and then refused."""
    monkeypatch.setattr(module, "_LONGEST", 4000)
    path = tmp_path / "endless.jsonl"
    path.write_bytes(LINES[0] + b'{"event": "answer", "text": "' + b"x" * 9000)
    assert "line 2" in refused(path)


def test_a_trace_is_read_as_it_is_written(tmp_path):
    """Its events come while the run that writes it goes on."""
    with TraceWriter(tmp_path / "live.jsonl") as trace, warnings.catch_warnings():
        trace.write(RUN[0])
        assert list(replay(tmp_path / "live.jsonl")) == RUN[:1]


def test_a_run_that_never_began_costs_no_other_one(tmp_path):
    """What was in the file goes when there is something else to write; then all of it."""
    path = write_trace(tmp_path / "run.jsonl", RUN)
    before = path.read_bytes()
    with pytest.raises(UsageError), TraceWriter(path):
        raise UsageError("no model", hint="name one")
    with TraceWriter(path) as trace:
        trace.write(Error.of(UsageError("too long", hint="")))
    assert path.read_bytes() == before
    with TraceWriter(path) as trace:
        trace.write(RUN[0])
    assert list(replay(path)) == RUN[:1]


def test_a_file_that_is_no_trace_is_not_written_over(tmp_path):
    """Unless that is asked for; an empty file, or another trace, costs nobody anything."""
    path = tmp_path / "notes.txt"
    path.write_text("mine\n")
    with pytest.raises(UsageError, match=r"notes\.txt exists, and is no trace"):
        TraceWriter(str(path))
    assert path.read_text() == "mine\n"
    with TraceWriter(path, force=True) as trace:
        trace.write(RUN[0])
    assert list(replay(path)) == RUN[:1]
    path.write_bytes(b"")
    TraceWriter(path).__exit__(None, None, None)


@pytest.mark.parametrize(
    ("held", "free"),
    [
        ('{"event": "login", "user": "a"}\n', False),
        ('{"event": "started", "service": "web"}\n', False),
        ('{"event": "error", "message": "no"}\n', False),
        ('{"event": "login"', False),
        (to_json(RUN[1]) + "\n", False),  # no trace begins with what is read
        (to_json(RUN[0]) + "\n", True),
        (to_json(RUN[0])[:60], True),
        ('{"ev', True),
        ('{"event": "started", "schema": 99, "new": 1}\n', True),
        (to_json(Error.of(UsageError("no model", hint="name one"))) + "\n", True),
    ],
)
def test_lines_of_another_program_are_no_trace(tmp_path, held, free):
    """They too can be JSON with an event; a trace that was cut off, or is newer, is one."""
    path = tmp_path / "log.jsonl"
    path.write_text(held, "utf-8")
    assert is_free(path) is free


def test_a_trace_that_cannot_be_opened_is_a_mistake_of_the_users(tmp_path):
    """Said on one line, whatever the name is."""
    with pytest.raises(UsageError) as info:
        TraceWriter(tmp_path / "no folder" / "two\nlines")
    shown = f"{tmp_path}/no folder/two␊lines"
    assert info.value.message == f"can't write the trace {shown}: No such file or directory"
    assert info.value.hint == "name another file"


@pytest.mark.skipif(os.name != "posix", reason="names are others there")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a" * 300, "File name too long"),
        ("a" * 300 + "/b", "File name too long"),
        ("a/" * 3000, "File name too long"),
        ("a\0b", "no file can have this name"),
        ("\ud800", "no file can have this name"),
    ],
)
def test_a_name_that_can_be_no_files_is_a_mistake_of_the_users(tmp_path, name, why):
    """For what is written and what is read, by whatever function."""
    path = f"{tmp_path}/{name}"
    calls = (
        lambda: TraceWriter(path),
        lambda: TraceWriter(path, force=True),
        lambda: list(replay(path)),
        lambda: list(replay(Path(path))),
    )
    for call, does in zip(calls, ("write", "write", "read", "read"), strict=True):
        with pytest.raises(UsageError, match=f"^can't {does} the trace .*: {why}$") as info:
            call()
        assert info.value.hint
        assert "\n" not in info.value.message


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_a_trace_is_its_owners_alone(tmp_path):
    """Under any umask."""
    before = os.umask(0)
    try:
        path = write_trace(tmp_path / "run.jsonl", RUN)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_full_disk_is_an_error_for_a_user():
    """One line, once: neither a traceback nor the same again when the trace is closed."""
    full = pytest.raises(SoftchatError, match="can't write the trace /dev/full: No space")
    with full as info, TraceWriter("/dev/full") as trace:
        trace.write(RUN[0])
    assert info.value.hint == "what was written before is still in it"


@pytest.mark.parametrize("value", [None, 3, [], "started", {}, {"event": None}])
def test_what_is_no_event_is_no_event(value):
    """Whatever JSON can hold."""
    with pytest.raises(ValueError, match="no event of a run"):
        from_dict(value)


@pytest.mark.skipif(os.name != "posix", reason="no such locks")
def test_a_trace_that_was_closed_says_so(tmp_path):
    """To whoever writes to it behind its block."""
    events = run_of(step(0))
    with TraceWriter(tmp_path / "t.jsonl") as trace:
        trace.write(events[0])
    with pytest.raises(SoftchatError, match="was closed") as info:
        trace.write(events[1])
    assert info.value.hint == "use it inside its `with` block"
    assert len(list(replay(tmp_path / "t.jsonl"))) == 1


def test_two_runs_do_not_write_to_one_trace(tmp_path):
    """The second is refused before it begins, and what the first has written stays."""
    path = tmp_path / "run.jsonl"
    with TraceWriter(path) as trace:
        trace.write(RUN[0])
        with pytest.raises(UsageError, match="another run writes to "):
            TraceWriter(path)
        trace.write(step(1))
    assert len(path.read_text().splitlines()) == 2
    with TraceWriter(path):
        pass


def _note(path):
    with path.open("a") as file:
        file.write("# mine\n")


@pytest.mark.parametrize(
    "lose",
    [
        Path.unlink,
        lambda path: path.rename(path.with_suffix(".old")),
        lambda path: path.write_bytes(b""),
        _note,
    ],
)
def test_a_trace_that_others_move_remove_or_change_is_told(tmp_path, lose):
    """When the next run begins: nobody would find it, or it would tear what is there."""
    path = tmp_path / "run.jsonl"
    with TraceWriter(path) as trace:
        for event in run_of(step(0)):
            trace.write(event)
        lose(path)
        there = path.read_bytes() if path.exists() else None
        with pytest.raises(SoftchatError, match="was moved, removed or changed"):
            trace.write(started())
    assert (path.read_bytes() if path.exists() else None) == there
