"""Files of questions, in each layout that is known."""

from __future__ import annotations

import csv
import json
import random
import sys
from contextlib import suppress
from types import ModuleType

import pytest

from softchat.errors import UsageError
from softchat.evaluate.questions import read_questions
from tests.faults.fuzz import changed


def write(tmp_path, text):
    path = tmp_path / "data.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


def test_json_lines(tmp_path):
    """A line a question; an answer can be a number; empty lines are passed over."""
    lines = '{"question": " What is 1 + 1? ", "answer": 2}\n\n{"question": "Who?", "answer": "me"}'
    found = read_questions(write(tmp_path, lines)).questions
    assert [(q.index, q.text, q.answer) for q in found] == [
        (0, "What is 1 + 1?", "2"),
        (1, "Who?", "me"),
    ]


def test_gsm8k(tmp_path):
    """Of GSM8K's worked solutions, what stands behind #### is the answer."""
    line = {"question": "How many?", "answer": "40 + 2 = <<40+2=42>>42\n#### 42"}
    assert read_questions(write(tmp_path, json.dumps(line))).questions[0].answer == "42"


def test_gsm8k_with_more_behind_it(tmp_path):
    """The first mark counts, and its line."""
    line = {"question": "How many?", "answer": "#### 42\nQuestion: 1 + 1?\n#### 2"}
    assert read_questions(write(tmp_path, json.dumps(line))).questions[0].answer == "42"


@pytest.mark.parametrize(("ending", "between"), [("csv", ","), ("tsv", "\t")])
def test_csv(tmp_path, ending, between):
    """By the names in its first line; a quoted cell may hold anything; the line is told."""
    path = tmp_path / f"data.{ending}"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        rows = [("answer", "question"), (12, '3, times\t"4"?'), (7, "What?")]
        csv.writer(file, delimiter=between).writerows(rows)
    found = read_questions(path).questions
    assert [(q.text, q.answer) for q in found] == [('3, times\t"4"?', "12"), ("What?", "7")]
    path.write_text(f"question{between}answer\nWhat?{between}\n")
    with pytest.raises(UsageError, match="line 2: no question with an answer"):
        read_questions(path)
    assert read_questions(path, answers=False).questions[0].answer == ""


TWO = "question,answer\nWhat?,1\n"


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("question,answer\nAdd 1000 to 1,000,2000", "line 2 has more cells", '"1,000"'),
        (f'{TWO}"Two\nlines",1\n7,8,\n', "line 5 has more cells", '"1,000"'),
        ('question,answer\n"unclosed?,1\n"b?",2', "line 2: no CSV", "is doubled"),
        (f'{TWO}\n"never closed,2\nc?,3', "line 4: no CSV", "is doubled"),
        (f'{TWO}a "b" c,2\n"a" b,2', "line 4: no CSV", "is doubled"),
        ("question,answer,answer\nWhat?,1,2", "has the column 'answer' twice", "leave out one"),
        ("question,answer,id,id\nWhat?,1,2,3", "has the column 'id' twice", "leave out one"),
    ],
)
def test_csv_that_can_be_read_in_two_ways(tmp_path, text, said, hint):
    """It is refused, with the line on which the row begins: no wrong answer is taken for right."""
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        read_questions(path)
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"question":"a?","answer":"1","question":"b?"}', "line 1 has 'question' twice"),
        ('{"question":"a?","answer":"1"}\n{"answer":"1","answer":"1"}', "line 2 has 'answer' tw"),
        ('[{"question":"a","answer":1},\n{"question":"a","answer":1,"answer":2}]', "item 2 has 'a"),
        ('{"prompt":[{"value":"a","value":"b"}],"final_answer":1}', "line 1 has 'value' twice"),
        ('{"prompt":{"a":1,"a":2},"final_answer":1}', "line 1 has 'a' twice"),
    ],
)
def test_a_key_that_is_there_twice(tmp_path, text, said):
    """It is refused in an object that is read, with its place; elsewhere it is no matter."""
    with pytest.raises(UsageError, match=said) as caught:
        read_questions(write(tmp_path, text))
    assert caught.value.hint == "leave out one of them"
    other = '{"question":"a?","answer":"1","about":{"by":"x","by":"y"}}'
    assert read_questions(write(tmp_path, other)).questions[0].text == "a?"


def test_parquet(tmp_path):
    """As data sets on the hub have them; a file that is none is told."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "data.parquet"
    columns = {"question": ["3 times 4?", "What?"], "answer": ["so 12\n#### 12", "7"]}
    parquet.write_table(pyarrow.table(columns), path)
    found = read_questions(path).questions
    assert [(q.text, q.answer) for q in found] == [("3 times 4?", "12"), ("What?", "7")]
    path.write_bytes(b"PAR1 or not")
    with pytest.raises(UsageError, match="is no Parquet file"):
        read_questions(path)


def test_parquet_that_is_damaged_is_told(tmp_path):
    """Whatever its library makes of it: it raises errors of many kinds."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "data.parquet"
    parquet.write_table(pyarrow.table({"question": ["a", "b"], "answer": ["1", "2"]}), path)
    whole = path.read_bytes()
    rng = random.Random(1)
    for _ in range(200):
        path.write_bytes(changed(rng, whole))
        with suppress(UsageError):
            read_questions(path)


def test_parquet_is_bounded_and_of_other_columns_nothing_is_read(tmp_path):
    """Two million times the same text take no place there; a date beyond Python's is no matter."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "data.parquet"
    same = pyarrow.array(["x" * 900]).take(pyarrow.array([0] * 400_000))
    parquet.write_table(pyarrow.table({"question": same, "answer": same}), path)
    assert path.stat().st_size < 2**20
    with pytest.raises(UsageError, match="more than 256 MB"):
        read_questions(path)
    far = pyarrow.array([2**62], pyarrow.timestamp("us"))
    parquet.write_table(pyarrow.table({"question": ["a"], "answer": ["1"], "at": far}), path)
    assert [one.text for one in read_questions(path).questions] == ["a"]


def test_parquet_with_a_column_twice_is_refused(tmp_path):
    """As nobody can tell which of them is meant; of others that are not read it is no matter."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "data.parquet"
    cells = [pyarrow.array([one]) for one in ("a", "1", "2", "3")]
    for last, said in (("answer", "has the column 'answer' twice"), ("id", "")):
        names = ["question", "answer", last, "id"]
        parquet.write_table(pyarrow.Table.from_arrays(cells, names=names), path)
        if said:
            with pytest.raises(UsageError, match=said):
                read_questions(path)
        else:
            assert read_questions(path).questions[0].answer == "1"


@pytest.mark.parametrize("error", [OSError("thrift"), OverflowError("date"), UnicodeError("x")])
def test_parquet_that_its_library_cannot_read_is_told(error, tmp_path, monkeypatch):
    """Its errors are not all its own."""

    def refuse(_):
        raise error

    package, parquet = ModuleType("pyarrow"), ModuleType("pyarrow.parquet")
    package.parquet, parquet.ParquetFile = parquet, refuse
    monkeypatch.setitem(sys.modules, "pyarrow", package)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)
    path = tmp_path / "data.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=f"is no Parquet file: {error}"):
        read_questions(path)


def test_parquet_needs_a_library(tmp_path, monkeypatch):
    """Without it the way to get it is told."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "data.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="needs pyarrow") as caught:
        read_questions(path)
    assert "softchat[parquet]" in caught.value.hint


def test_soft_thinking(tmp_path):
    """The layout of Soft-Thinking's datasets: a list, prompts as messages, final_answer."""
    item = {"prompt": [{"from": "user", "value": "Find $x$."}], "final_answer": "73"}
    path = write(tmp_path, json.dumps([item, item | {"final_answer": "5"}], indent=1))
    found = read_questions(path).questions
    assert [(q.text, q.answer) for q in found] == [("Find $x$.", "73"), ("Find $x$.", "5")]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"question": "a", "answer": "b"}\n{"question": "a"}', "line 2"),
        ('{"question": "a", "answer": "b"}\n{"question', "line 2: not JSON"),
        ('{"question": "", "answer": "b"}', "line 1"),
        ('{"question": "a", "answer": true}', "line 1"),
        ('[{"prompt": [], "final_answer": "1"}]', "item 1"),
        ("[1, 2", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"question": ' + "[" * 100_000, "line 1: not JSON"),
        ("[1]", "item 1"),
        ('{"data": [\n{"question": "a", "answer": "b"}\n]}', "one JSON object over several lines"),
        ('\n{\n"question": "a",\n"answer": "b"\n}\n', "neither a list nor an object a line"),
        ('{"question": "a"\n"answer": "b"}', "line 1: not JSON"),
        ('{"question": "a",\n' + "[" * 100_000, "line 1: not JSON"),
        ("", "no questions"),
    ],
)
def test_what_is_no_question(tmp_path, text, where):
    """Whatever is wrong is said with its place, and nothing is passed over."""
    with pytest.raises(UsageError, match=where):
        read_questions(write(tmp_path, text))


def line(question, answer):
    return json.dumps({"question": question, "answer": answer}).encode()


REFUSED = {
    "nothing": b"",
    "zeros": bytes(1000),
    "UTF-16": line("a", "1").decode().encode("utf-16"),
    "Latin-1": b'{"question":"\xe9","answer":"1"}',
    "lists without end": b"[" * 100_000,
    "objects without end": b'{"a":' * 100_000,
    "a number of 5,000 digits": b'{"question":"a","answer":' + b"9" * 5000 + b"}",
    "an empty list": b"[]",
    "null in a list": b"[null]",
    "null": b"null",
    "a number": b"7",
    "a text": b'"x"',
    "a list for a question": line([], "1"),
    "null for a question": line(None, "1"),
    "an object for an answer": line("a", {"b": 1}),
    "true for an answer": line("a", True),
    "a number for a prompt": b'{"prompt":7,"final_answer":"1"}',
    "numbers in a prompt": b'{"prompt":[7],"final_answer":"1"}',
    "a prompt without values": b'{"prompt":[{}],"final_answer":"1"}',
    "a list for a value": b'{"prompt":[{"value":[]}],"final_answer":"1"}',
    "form feed for a line": b'{"question":"a\x0bb","answer":"1"}',
    "nothing behind ####": line("a", "####"),
    "a line that is torn": line("a", "1") + b'\n{"question":"b"',
    "more behind an object": line("a", "1") + b" x",
    "any bytes": bytes(range(256)) * 10,
    "no column.csv": b"a,b\n1,2\n",
    "zeros.csv": b"\0,\0\n1,2\n",
    "a quote without end.csv": b'question,answer\n"a\n',
    "tabs.tsv": b"question\tanswer\n\t\n",
    "a tab behind a quote.tsv": b'question\tanswer\n"a" \t1\n',
    "a wide row.csv": b"question,answer\n" + b"a," * 100_000 + b"\n",
    "a long name twice.csv": (b"a" * 10**5 + b",") * 2 + b"question,answer\n",
    "a long key twice": b'{"' + b"a" * 5000 + b'":1,"' + b"a" * 5000 + b'":1}',
}
TAKEN = {
    "a mark of order": b"\xef\xbb\xbf" + line("a", "1"),
    "half characters": b'{"question":"\\ud800","answer":"\\udfff"}',
    "NaN": b'{"question":"a","answer":NaN}',
    "infinity": b'{"question":"a","answer":-Infinity}',
    "a large exponent": b'{"question":"a","answer":1e999999999}',
    "CRLF": (line("a", "1") + b"\r\n") * 3,
    "another end of line": line("a\u2028b", "1"),
    "ten megabytes": line("a" * 10**7, "1"),
    "escapes": line("\x1b]0;x\x07", "1"),
    "a long field.csv": b'question,answer\n"' + b"a" * 200_000 + b'",1\n',
    "a wide header.csv": b"question,answer" + b"," * 100_000 + b"\na,1\n",
    "line breaks of old.csv": b"question,answer\ra,1\r",
    "empty lines.csv": b"\n\nquestion,answer\n\na,1\n\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_odd_files_are_refused(tmp_path, name):
    """In one line."""
    path = tmp_path / (name if "." in name else f"{name}.jsonl")
    path.write_bytes(REFUSED[name])
    with pytest.raises(UsageError) as caught:
        read_questions(path)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize("name", TAKEN)
def test_odd_files_that_are_taken(tmp_path, name):
    """What is read of them can be written."""
    path = tmp_path / (name if "." in name else f"{name}.jsonl")
    path.write_bytes(TAKEN[name])
    for one in read_questions(path).questions:
        assert (one.text + one.answer).encode()


def test_a_name_with_a_question_mark(tmp_path):
    """It is an address that ends there, no file."""
    path = tmp_path / "what?.csv"
    path.write_text('question,answer\n"2+2?",4\n')
    assert read_questions(path).questions[0].answer == "4"


def test_answers_can_be_left_out(tmp_path):
    """For a sweep over steps no answers are needed."""
    found = read_questions(write(tmp_path, '{"question": "a"}'), answers=False)
    assert found.questions[0].answer == ""


def test_a_file_that_is_not_there(tmp_path):
    """A wrong path is the user's mistake."""
    with pytest.raises(UsageError, match="No such file"):
        read_questions(tmp_path / "none.jsonl")
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        read_questions(tmp_path / "latin")


def test_picking(tmp_path):
    """A shuffle is the same for the same seed, loses nothing, and each keeps its index."""
    lines = "\n".join(json.dumps({"question": f"q{i}", "answer": i}) for i in range(30))
    data = read_questions(write(tmp_path, lines))
    assert data.pick() == list(data.questions)
    one, two = data.pick(shuffle=True, seed=1), data.pick(shuffle=True, seed=2)
    assert one == data.pick(shuffle=True, seed=1) != two
    assert sorted(q.index for q in one) == list(range(30))
    assert data.pick(limit=5, shuffle=True, seed=1) == one[:5]
    assert all(q.text == f"q{q.index}" for q in one)
