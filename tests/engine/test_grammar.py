"""Answers held to a grammar, on a model whose tokens are the signs of JSON."""

from __future__ import annotations

import json
import os
import string

import numpy as np
import pytest

from softchat.engine.llama import LlamaEngine
from softchat.engine.schema import grammar_of
from softchat.errors import DecodeError, SoftchatError, UsageError
from softchat.events import FinishReason
from softchat.model import Model
from softchat.prompt.tags import ThinkTags
from softchat.settings import Settings
from softchat.thinking.answer import draw
from tests import tiny

SIGNS = string.digits + string.ascii_letters + "{}[]\":,.-+!#$%&()*/;<=>?@_|' \\\n"
TEMPLATE = "{{ messages[-1].content }}"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    path = tiny.write(
        tmp_path_factory.mktemp("signs") / "m.gguf", letters=SIGNS, chat_template=TEMPLATE
    )
    with LlamaEngine(path, n_ctx=256, n_threads=1) as engine:
        yield engine


def said_at_random(engine, grammar, seed, most=400):
    """What random logits say, held to the grammar, until it says that all is said."""
    rng = np.random.default_rng(seed)
    settings = Settings(answer_temperature=1.0, answer_top_k=0, answer_top_p=1.0)
    text = b""
    for _ in range(most):
        logits = rng.standard_normal(engine.info.n_vocab).astype(np.float32) * 3
        token = draw(logits, settings, rng, grammar)
        if engine.is_end(token):
            return text.decode()
        grammar.accept(token)
        text += engine.piece(token)
    raise AssertionError(f"no end: {text}")


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 5},
        "age": {"type": "integer"},
        "kind": {"enum": ["cat", "dog"]},
        "marks": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["name", "age", "kind", "marks"],
}


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_model_wants_it_says_what_the_schema_describes(engine, seed):
    """Logits at random, and yet each text is the JSON that was asked for."""
    grammar = engine.grammar(grammar_of(SCHEMA))
    found = json.loads(said_at_random(engine, grammar, seed))
    assert list(found) == ["name", "age", "kind", "marks"]
    assert isinstance(found["age"], int)
    assert len(found["name"]) <= 5
    assert found["kind"] in ("cat", "dog")
    assert 1 <= len(found["marks"]) <= 3
    assert {type(one) for one in found["marks"]} == {bool}


def test_a_string_holds_no_line_break(engine):
    """JSON has none in its strings; the conversion alone would allow it."""
    grammar = engine.grammar(grammar_of({"type": "string"}))
    (quote,) = engine.tokenize('"')
    grammar.accept(quote)
    assert engine.grammar('root ::= "\\n"').allows(newline := engine.tokenize("\n")[0])
    assert not grammar.allows(newline)
    assert grammar.allows(quote)


def test_the_end_comes_when_all_is_said_and_not_before(engine):
    """The token that ends a text is one of those that a grammar speaks of."""
    end = next(token for token in range(engine.info.n_vocab) if engine.is_end(token))
    grammar = engine.grammar('root ::= "ab"')
    a, b = engine.tokenize("ab")
    assert (grammar.allows(a), grammar.allows(b), grammar.allows(end)) == (True, False, False)
    grammar.accept(a)
    grammar.accept(b)
    assert (grammar.allows(a), grammar.allows(end)) == (False, True)
    left = grammar.mask(np.zeros(engine.info.n_vocab, np.float32))
    assert all(engine.is_end(token) for token in np.flatnonzero(np.isfinite(left)))


def test_a_marker_is_no_part_of_a_string(engine):
    """It spells nothing in an answer, and to llama.cpp its name: `"<s>"` would be shown as `""`."""
    grammar = engine.grammar('root ::= [<] [s] [>] | "<unk>"')
    markers = [token for token in range(engine.info.n_vocab) if engine.piece(token) == b"<s>"]
    assert markers
    assert not any(grammar.allows(token) for token in markers)
    left = grammar.mask(np.zeros(engine.info.n_vocab, np.float32))
    assert [engine.piece(token) for token in np.flatnonzero(np.isfinite(left))] == [b"<"]


def test_what_the_model_cannot_spell_is_told(engine):
    """No token fits: an error, and not logits that are all -inf."""
    grammar = engine.grammar('root ::= "é"')
    with pytest.raises(DecodeError, match="no token"):
        grammar.mask(np.zeros(engine.info.n_vocab, np.float32))


@pytest.mark.parametrize(
    "text",
    [5, "", "  ", "nonsense", "root ::= x", 'root ::= "a"{100000}',
     'root ::= "' + "a" * 2**18 + '"', "root ::= " + "(" * 100_000 + '"a"' + ")" * 100_000],
)  # fmt: skip
def test_what_is_no_grammar_is_refused(engine, text, capfd):
    """In words, and llama.cpp prints none of its own; brackets without end would end the process.

    What is printed afterwards is seen.
    """
    with pytest.raises(UsageError, match="grammar"):
        engine.grammar(text)
    os.write(2, b"seen")
    assert capfd.readouterr() == ("", "seen")


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ('root ::= ("a"?){100}', "may be nothing"),
        ('root ::= ("a" {0,1000} ){0,1000}', "may be nothing"),
        ('root ::= ((("a"?){30}){30}){30}', "more than 1000 ways"),
        ("root ::= " + "r " * 2000 + '\nr ::= "a" | ""', "more than 1000 ways"),
        ('root ::= "x" y\ny ::= ' + "r " * 2000 + '\nr ::= "a" | # or\n ""', "1000 ways"),
        ("root ::= " + " | ".join(f'"{n}"' for n in range(1001)), "more than 1000 ways"),
        ("root ::= r0\n" + "\n".join(f'r{n} ::= r{n + 1} "a" | r{n + 1} "b"' for n in range(40))
         + '\nr40 ::= "x"', "more than 1000 ways"),
        ("root ::= " + "(" * 50 + '"a"' + ")+" * 50, "more than 16 loops"),
        ("root ::= " + "(" * 900 + '"a"' + ")+" * 900, "too deep"),
        ("root ::= r0\n" + "\n".join(f'r{n} ::= r{n + 1} "y"?' for n in range(8000))
         + '\nr8000 ::= "x"', "too deep"),
        ("root ::= [" + r"\]" * 2100 + "]", "a class of more than"),
        ('root ::= "a"{5,2}', "least is above the most"),
        ('root ::= root "a" | "a"', "begins with itself"),
        ('root ::= e? b "c"\ne ::= "a"\nb ::= root', "begins with itself"),
    ],
)  # fmt: skip
def test_what_llama_cpp_comes_to_no_end_of_is_refused(engine, text, because):
    """Before it sees any of it."""
    with pytest.raises(UsageError, match=because) as error:
        engine.grammar(text)
    assert len(error.value.message) < 200


def test_what_may_come_often_or_in_many_ways_is_none_of_it(engine):
    """Up to the bounds; what stands in quotes, classes and comments says nothing."""
    for text in (
        'root ::= ("ab"?){30} | "a"{1000} "b"{0,1000} | ("a" "b"?){1000}',
        "root ::= " + " | ".join(f'"{n}"' for n in range(1000)),
        "root ::= " + "(" * 16 + '"a"' + ")+" * 16,
        'root ::= "(((" ["(+|] | # (((\n  ")*{9,1}\\"" | [[\\]{9,1}]+',
        'root ::= "a" root? | "b" root "c"',
        'root ::= "\ud800"',
    ):
        assert engine.grammar(text)


def test_a_token_that_takes_long_is_the_last(engine, monkeypatch):
    """It is told, as what could be said next would take longer still."""
    grammar = engine.grammar('root ::= "[" root "a" | "[" root "b" | "x"')
    (bracket,) = engine.tokenize("[")
    grammar.accept(bracket)
    monkeypatch.setattr("softchat.engine.grammar.LONGEST_S", 0.0)
    for ask in (grammar.accept, grammar.allows):
        with pytest.raises(DecodeError, match="0 seconds a token"):
            ask(bracket)
    with pytest.raises(DecodeError, match="seconds a token"):
        grammar.mask(np.zeros(engine.info.n_vocab, np.float32))


def test_a_library_asks_for_json_too(engine):
    """`Model.ask(schema=…)`: the answer is that, behind thoughts that are free."""
    model = Model(
        engine=engine, tags=ThinkTags(open="<", close=">", before_close="", after_close="")
    )
    *_, finished = model.ask(
        "a", schema={"enum": ["cat", "dog"]}, max_think=3, max_answer=9, loop_steps=0
    )
    assert json.loads(finished.answer) in ("cat", "dog")


def test_tags_and_stop_strings_are_parts_of_its_strings(engine):
    """To leave them out, or to end there, would leave what is no JSON or not what was asked for."""
    model = Model(
        engine=engine, tags=ThinkTags(open="<", close=">", before_close="", after_close="")
    )
    *_, finished = model.ask("a", schema={"const": "a<b>,c"}, stop=",", max_think=3, loop_steps=0)
    assert finished.answer == '"a<b>,c"'
    assert finished.finish_reason is FinishReason.STOP


def test_a_library_is_told_of_what_is_no_schema(engine):
    """When the events are asked for."""
    model = Model(
        engine=engine, tags=ThinkTags(open="<", close=">", before_close="", after_close="")
    )
    with pytest.raises(UsageError, match="no type"):
        list(model.ask("a", schema={"type": "nonsense"}))


def test_what_would_end_the_process_is_an_error(engine, tmp_path):
    """A token that is not allowed, or is none; a model that was closed before its grammar."""
    grammar = engine.grammar('root ::= "ab"')
    (b,) = engine.tokenize("b", special=False)
    for token in (b, -1, 10**9):
        assert not grammar.allows(token)
        with pytest.raises(UsageError, match=f"does not allow token {token} here"):
            grammar.accept(token)
    (a,) = engine.tokenize("a", special=False)
    grammar.accept(a)
    assert grammar.allows(b)

    path = tiny.write(tmp_path / "m.gguf", letters=SIGNS, chat_template=TEMPLATE)
    with LlamaEngine(path, n_ctx=256, n_threads=1) as other:
        left = other.grammar('root ::= "ab"')
        assert left.allows(a)
    with pytest.raises(SoftchatError, match="the model was closed"):
        left.allows(a)
    with pytest.raises(SoftchatError, match="the model was closed"):
        left.mask(np.zeros(other.info.n_vocab, np.float32))
