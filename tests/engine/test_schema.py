"""JSON schemas as grammars: what random logits say in each is JSON, and fits the schema."""

from __future__ import annotations

import json
import re
import string

import numpy as np
import pytest

from softchat.engine.llama import LlamaEngine
from softchat.engine.schema import grammar_of
from softchat.errors import UsageError
from softchat.settings import Settings
from softchat.thinking.answer import draw
from tests import tiny

SIGNS = string.digits + string.ascii_letters + "{}[]\":,.-+!#$%&()*/;<=>?@_|' \\\n"
WORDS = {"type": "string"}
WHOLE = {"type": "integer"}


NEAR = ("a", "ab", "abc", 'ab"', "\ud800", "")


def thing(properties, required=None, **more):
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names, **more}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    path = tiny.write(tmp_path_factory.mktemp("signs") / "m.gguf", letters=SIGNS)
    with LlamaEngine(path, n_ctx=256, n_threads=1) as engine:
        yield engine


def said(engine, schema, seed):
    """What logits at random say in the schema's grammar; they lean to the end of what is begun."""
    grammar = engine.grammar(grammar_of(schema))
    rng = np.random.default_rng(seed)
    pieces = [engine.piece(token) for token in range(engine.info.n_vocab)]
    lean = np.array([3.0 if piece in b'"}]' else 0.0 for piece in pieces], np.float32)
    settings = Settings(answer_temperature=1.0, answer_top_k=0, answer_top_p=1.0)
    text = b""
    for _ in range(2000):
        noise = 2 * rng.standard_normal(engine.info.n_vocab).astype(np.float32)
        token = draw(noise + lean, settings, rng, grammar)
        if engine.is_end(token):
            return json.loads(text)
        grammar.accept(token)
        text += pieces[token]
    raise AssertionError(f"no end: {text!r}")


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        ({}, lambda _: True),
        ({"const": 'a"b\\c\nd\x00'}, lambda it: it == 'a"b\\c\nd\x00'),
        ({"const": "\ud800"}, lambda it: it == "\ud800"),
        ({"enum": [None, 1.5, [{"a": '"'}]]}, lambda it: it in (None, 1.5, [{"a": '"'}])),
        ({"enum": [1, "a", None], "type": ["string", "null"]}, lambda it: it in ("a", None)),
        ({"enum": [1, 10, 101, -1, 1]}, lambda it: it in (1, 10, 101, -1)),
        ({"enum": ["a", "ab", "abc", 'ab"', "\ud800", ""]}, lambda it: it in NEAR),
        ({"anyOf": [{"enum": ["a", "ab"]}, {"$ref": "#/b"}, {"const": "\ud800"}, {"const": ""}],
          "b": {"const": "abc", "type": "string"}}, lambda it: it in NEAR),
        ({"anyOf": [{"const": "a"}, {"enum": [], "type": "string"}, WHOLE]},
         lambda it: it == "a" or type(it) is int),
        (
            thing({'a"b': WHOLE, "c\\d\n": WHOLE, "": WHOLE}),
            lambda it: set(it) == {'a"b', "c\\d\n", ""},
        ),
        (
            thing({"space": {"enum": [1]}, "string": WHOLE, "date_time": WHOLE, "char": WORDS}),
            lambda it: it["space"] == 1 and isinstance(it["string"], int),
        ),
        (
            {"$defs": {"a": WHOLE}, **thing({"a": {"enum": ["x"]}, "b": {"$ref": "#/$defs/a"}})},
            lambda it: it["a"] == "x" and isinstance(it["b"], int),
        ),
        ({"$defs": {"a/b~_": WHOLE}, "$ref": "#/$defs/a~1b~0_"}, lambda it: isinstance(it, int)),
        ({**WHOLE, "minimum": -5, "maximum": 120}, lambda it: -5 <= it <= 120),
        ({**WHOLE, "minimum": 99, "maximum": 1001}, lambda it: 99 <= it <= 1001),
        ({**WHOLE, "minimum": 13, "maximum": 13}, lambda it: it == 13),
        ({**WHOLE, "exclusiveMinimum": 0, "exclusiveMaximum": 3}, lambda it: it in (1, 2)),
        ({**WHOLE, "maximum": -7}, lambda it: it <= -7),
        ({"minimum": 0, "maximum": 1}, lambda it: 0 <= it <= 1),
        ({"type": "number", "minimum": -3, "maximum": 20}, lambda it: -3 <= it <= 20),
        ({"minLength": 2.0, "maxLength": 2e0}, lambda it: len(it) == 2),
        ({"pattern": "^" + "a?" * 100 + "$"}, lambda it: len(it) <= 100),
        ({"minLength": 2, "maxLength": 4}, lambda it: 2 <= len(it) <= 4),
        ({"pattern": "^[^a]{3}$"}, lambda it: len(it) == 3 and "a" not in it),
        ({"pattern": r"^\d{3}-(x|\W)?$"}, lambda it: re.fullmatch(r"\d{3}-(x|\W)?", it)),
        ({"pattern": r'^["\\].$'}, lambda it: re.fullmatch(r'["\\].', it)),
        ({"pattern": "b|q"}, lambda it: "b" in it or "q" in it),
        ({"pattern": "^(a+)+b$"}, lambda it: re.fullmatch("a+b", it)),
        ({"type": "string", "format": "date"}, lambda it: re.fullmatch(r"\d{4}-\d\d-\d\d", it)),
        ({"minItems": 2, "maxItems": 3, "items": WHOLE}, lambda it: 2 <= len(it) <= 3),
        ({"type": "array", "items": {}, "maxItems": 0}, lambda it: it == []),
        (
            {"prefixItems": [WHOLE, {"const": "x"}], "items": {"type": "null"}, "maxItems": 4},
            lambda it: it[1] == "x" and it[2:] in ([], [None], [None, None]),
        ),
        (thing({"a": WHOLE, "b": WHOLE, "c": WHOLE}, []), lambda it: set(it) <= {*"abc"}),
        (thing({"a": WHOLE, "b": WHOLE, "c": WHOLE}, ["b"]), lambda it: "b" in it),
        (thing({"a": WHOLE}, ["z"], additionalProperties={"enum": [1]}), lambda it: it["z"] == 1),
        ({"additionalProperties": WHOLE}, lambda it: all(type(one) is int for one in it.values())),
        ({"allOf": [{"type": "string"}, {"maxLength": 2}]}, lambda it: len(it) <= 2),
        ({"allOf": [thing({"a": WHOLE}), thing({"b": WHOLE}, [])]}, lambda it: "a" in it),
        (
            {**thing({"c": {"enum": [1]}}), "anyOf": [thing({"a": WHOLE}), thing({"b": WORDS})]},
            lambda it: it["c"] == 1 and ("a" in it or "b" in it),
        ),
        ({"anyOf": [False, WHOLE], "default": None, "title": "T"}, lambda it: type(it) is int),
        (
            {"$ref": "#/$defs/a", "maximum": 9, "$defs": {"a": {**WHOLE, "minimum": 7}}},
            lambda it: 7 <= it <= 9,
        ),
    ],
)  # fmt: skip
def test_what_is_said_fits_the_schema(engine, schema, fits):
    """Whatever the logits want."""
    for seed in range(4):
        found = said(engine, schema, seed)
        assert fits(found), found


def test_what_constants_begin_with_alike_is_one_way(engine):
    """So few ways are tried with each token; and each constant can be said, nothing else can."""
    words = [f"{'a' * (i % 7)}{i:x}" for i in range(1000)]
    halves = [{"enum": words[:500]}, *({"const": word} for word in words[500:])]
    for schema in ({"enum": words}, {"anyOf": halves}):
        (root,) = (line for line in grammar_of(schema).split("\n") if line.startswith("root"))
        assert max(part.count("|") for part in re.split(r"[()]", root)) < 17
        for word in (*words[::97], words[0] + "x", words[5][:-1], "b"):
            grammar = engine.grammar(grammar_of(schema))
            fits = []
            for token in engine.tokenize(json.dumps(word)):
                fits.append(grammar.allows(token))
                if not fits[-1]:
                    break
                grammar.accept(token)
            assert all(fits) == (word in words), word


def test_a_part_may_hold_itself(engine):
    """A list of lists, as deep as the model likes."""
    node = thing({"v": WHOLE, "next": {"$ref": "#/$defs/my_node"}}, ["v"])
    found = said(engine, {"$defs": {"my_node": node}, "$ref": "#/$defs/my_node"}, 3)
    while found:
        assert isinstance(found["v"], int)
        found = found.get("next")


@pytest.mark.parametrize(
    ("schema", "because"),
    [
        ({"type": "nonsense"}, "no type"),
        ({"enum": [1], "type": "x"}, "no type"),
        ({"enum": 1}, "no list"),
        ({"type": "value"}, "no type"),
        ({"type": ["null", "value"]}, "no type"),
        ({"required": "ab"}, "'required' is no list"),
        ({"prefixItems": {"a": 1}}, "'prefixItems' is no list"),
        ({"properties": [["a", {}]]}, "'properties' is no object"),
        ({"minLength": True}, "'minLength' is no whole number"),
        ({"minLength": "5"}, "'minLength' is no whole number"),
        ({"maxItems": -1}, "'maxItems' is no whole number"),
        ({"maxLength": 1.5}, "'maxLength' is no whole number"),
        ({"maxLength": float("nan")}, "can't be used"),
        ({"pattern": "a?" * 101}, "more than 100 parts"),
        ({"pattern": "^" + "(a|)" * 101 + "$"}, "more than 100 parts"),
        ({"enum": []}, "nothing fits"),
        ({"enum": ["aa"], "minLength": 3}, "'minLength' beside constants"),
        ({"enum": list(range(1001))}, "more than 1000"),
        ({"anyOf": [thing({f"p{i}": WHOLE}) for i in range(201)]}, "more than 200 ways"),
        ({"anyOf": [{"const": i} for i in range(4001)]}, "too large"),
        ({"anyOf": [{"enum": [], "type": "string"}]}, "nothing fits"),
        ({"const": float("nan")}, "can't be used"),
        ({"anyOf": []}, "nothing fits"),
        ({"properties": {"a": 1}}, "1 is no schema"),
        ({"properties": [1]}, "can't be used"),
        ({"required": [1]}, "no text"),
        (thing({"a": WHOLE}, ["z"], additionalProperties=False), "nothing fits"),
        (thing({f"p{i}": WHOLE for i in range(201)}, []), "may be left out"),
        ({"$ref": "https://example.org/x"}, "no part of it"),
        ({"$ref": "#/nowhere"}, "which it has not"),
        ({"$ref": 1}, "no part of it"),
        ({"allOf": [{"$ref": "#"}, WHOLE]}, "refers to itself|too large"),
        ({"allOf": [WHOLE, WORDS]}, "'type' is said twice"),
        (
            {"allOf": [thing({"a": WHOLE}, additionalProperties=False), thing({"b": WHOLE})]},
            "forbids",
        ),
        ({"type": "array", "items": WORDS, "minItems": 10**9}, "a count is above"),
        ({"type": "array", "items": WORDS, "maxItems": 10**400}, "a count is above"),
        ({"minItems": 3, "maxItems": 2}, "larger than the most"),
        ({"minLength": 3, "maxLength": 2}, "larger than the most"),
        ({**WHOLE, "minimum": 3, "maximum": 2}, "larger than the most"),
        ({"type": "number", "minimum": 0.5}, "must be whole"),
        ({"type": "number", "minimum": float("inf")}, "can't be used"),
        ({"pattern": "("}, "can't be read"),
        ({"pattern": 1}, "no text"),
        ({"pattern": "^(a*)*$"}, "may be empty"),
        ({"pattern": "^(a{1,1000}){1000}$"}, "more than 1000"),
        ({"pattern": r"^(a)\1$"}, "groupref"),
        ({"pattern": "^a$|^b$"}, "a pattern with"),
        ({"pattern": "(?i)a"}, "flags"),
        ({"pattern": "^\x01$"}, "control"),
        *[({word: {}}, f"held to '{word}'") for word in ("not", "if", "contains", "propertyNames")],
        *[({word: 2}, f"held to '{word}'") for word in ("multipleOf", "minProperties")],
    ],
)  # fmt: skip
def test_what_no_answer_is_held_to_is_refused(schema, because):
    """In words, and never passed over in silence."""
    with pytest.raises(UsageError, match=because) as error:
        grammar_of(schema)
    assert error.value.hint


def test_a_schema_in_a_schema_in_a_schema_is_refused():
    """Deeper than Python goes; and one that doubles at each of its references."""
    schema: dict = {"type": "integer"}
    for _ in range(100_000):
        schema = {"type": "array", "items": schema}
    with pytest.raises(UsageError, match="too large"):
        grammar_of(schema)
    twice = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)}
    with pytest.raises(UsageError, match=r"too large|itself"):
        grammar_of({"$defs": {**twice, "d40": WHOLE}, "$ref": "#/$defs/d0"})
