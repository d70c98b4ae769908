"""`ask --schema`: answers that are the JSON that was asked for."""

from __future__ import annotations

import json

import pytest

from softchat.cli import schema as cli_schema
from softchat.errors import UsageError

ANIMAL = {
    "type": "object",
    "properties": {"kind": {"enum": ["cat", "dog"]}, "legs": {"type": "integer"}},
    "required": ["kind", "legs"],
}


def described(given, monkeypatch):
    """The JSON schema that `--schema` takes this for."""
    seen = []
    monkeypatch.setattr("softchat.engine.schema.grammar_of", seen.append)
    cli_schema.grammar_of(given)
    return seen[0]


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ("name", {"name": "string"}),
        ("name, age int", {"name": "string", "age": "integer"}),
        (" name str ,age int,, ", {"name": "string", "age": "integer"}),
        ("price float: in euros, new bool", {"price": "number", "new": "boolean"}),
        ("name: first, and last\nage int: in years", {"name": "string", "age": "integer"}),
    ],
)
def test_fields_are_as_llm_writes_them(given, kinds, monkeypatch):
    """Names, types, and what a person is told about them; a line each, or commas."""
    found = described(given, monkeypatch)
    assert {name: one["type"] for name, one in found["properties"].items()} == kinds
    assert found["required"] == list(kinds)


def test_fields_may_be_longer_than_the_name_of_a_file():
    """Which no system takes beyond a few hundred letters."""
    names = [f"field_{number}" for number in range(100)]
    grammar = cli_schema.grammar_of(" int, ".join(names))
    assert all(name in grammar for name in names)


def test_a_schema_is_taken_as_it_is_or_from_a_file(monkeypatch, tmp_path):
    """JSON in braces, or the name of a file."""
    text = json.dumps(ANIMAL)
    (tmp_path / "animal.json").write_text(text)
    (tmp_path / "animal").write_text(text)
    monkeypatch.chdir(tmp_path)
    for given in (text, f"\n {text}", "animal.json", "./animal", "animal"):
        assert described(given, monkeypatch) == ANIMAL


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "names nothing"),
        ("{", "--schema holds no JSON"),
        ('{"type":', "--schema holds no JSON"),
        ("[1]", "is no field"),
        ("name string", "is no field"),
        ("a b c", "is no field"),
        ("no/such/file", "can't read no/such/file"),
        ("none.json", "can't read none.json"),
        ("list.json", "list.json holds no JSON schema"),
        ("deep.json", "deep.json holds no JSON"),
        ("bytes.json", "bytes.json"),
        ("a, a int, a bool", "--schema has 'a' twice"),
        ("a, b, a", "--schema has 'a' twice"),
        ('{"type": "integer", "type": "string"}', "--schema has 'type' twice"),
        ('{"properties": {"a": {"maximum": 1, "maximum": 2}}}', "--schema has 'maximum' twice"),
        ("twice.json", "twice.json has 'type' twice"),
        (".", "is no field"),
        ("./", "is a folder"),
    ],
)
def test_what_is_none_is_told(given, said, monkeypatch, tmp_path):
    """In a line."""
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "deep.json").write_text("[" * 200_000)
    (tmp_path / "twice.json").write_text('{"type": "integer", "type": "integer"}')
    (tmp_path / "bytes.json").write_bytes(b"\xff\x00\xfe")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        cli_schema.grammar_of(given)
    assert said in error.value.message
    assert error.value.hint


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_an_answer_is_what_was_asked_for(softchat, seed):
    """Behind thoughts as ever, at a temperature at which the model would say anything."""
    result = softchat(
        "ask", "A dog or a cat?", "--schema", json.dumps(ANIMAL), "--max-think", "12",
        "--answer-temperature", "2", "--answer-top-k", "0", "--answer-top-p", "1", "--seed", seed,
        "--json",
    )  # fmt: skip
    assert result.status == 0, result.err
    events = [json.loads(line) for line in result.out.splitlines()]
    assert any(event["event"] == "step" for event in events)
    assert events[-1]["finish_reason"] == "stop"
    found = json.loads(events[-1]["answer"])
    assert list(found) == ["kind", "legs"]
    assert found["kind"] in ("cat", "dog")
    assert isinstance(found["legs"], int)


def test_it_goes_on_with_a_question(softchat):
    """As llm does: what was talked about, now as data."""
    assert softchat("ask", "Paris is in France.", "--max-answer", "8").status == 0
    result = softchat("ask", "-c", "Which country?", "--schema", '{"enum": ["France", "Spain"]}')
    assert json.loads(result.out) in ("France", "Spain")
    assert json.loads(softchat("last").out) == json.loads(result.out)


def test_an_answer_that_is_cut_is_told(softchat):
    """It is no JSON then, which a program that reads it sees by the status."""
    cut = ("ask", "A dog?", "--schema", "name, age int", "--max-answer", "2")
    result = softchat(*cut)
    assert result.status == 1
    assert "the answer was cut here" in result.err
    assert "error: the answer was cut, and is no JSON\nhint: --max-answer N" in result.err
    result = softchat(*cut, "-q")
    assert result.status == 1
    assert result.err.startswith("error: the answer was cut, and is no JSON")
    assert softchat("last").out.strip()  # it is kept all the same


def test_a_number_that_is_cut_is_told(softchat):
    """Its beginning is JSON, too: another number."""
    cut = ("ask", "-q", "Count.", "--schema", '{"type": "integer", "minimum": 100}')
    result = softchat(*cut, "--max-answer", "3")
    assert result.out.strip().isdigit()
    assert result.status == 1
    assert result.err.startswith(
        "error: the answer was cut, in the middle of a number\nhint: --max"
    )
    whole = softchat(*cut[:-1], '{"enum": [7]}', "--max-answer", "8")
    assert (whole.status, whole.out, whole.err) == (0, "7\n", "")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--schema", "{"], "--schema holds no JSON"),
        (["--schema", '{"type": "nonsense"}'], "there is no type"),
        (["--schema", '{"items": {"type": "null"}, "maxItems": 3000}'], "a count is"),
        (["--schema", '{"pattern": "^[[:alpha:]]$"}'], "in two ways"),
        (["--schema", "a, a int"], "has 'a' twice"),
        (["--schema", "name", "--samples", "3"], "exclude each other"),
    ],
)
def test_a_mistake_is_one_line_and_a_hint(softchat, flags, said):
    """Before anything is decoded."""
    result = softchat("ask", "A dog?", *flags)
    assert result.status == 2
    assert result.out == ""
    error, hint = result.err.splitlines()
    assert error.startswith("error: ")
    assert said in error
    assert hint.startswith("hint: ")
