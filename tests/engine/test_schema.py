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
        ({**WHOLE, "x-of": "us", "unit": "m", "$comment": ""}, lambda it: type(it) is int),
        (thing({"property": WHOLE, "item": WHOLE}), lambda it: type(it["property"]) is int),
        (
            {"$ref": "#/$defs/a", "maximum": 9, "$defs": {"a": {**WHOLE, "minimum": 7}}},
            lambda it: 7 <= it <= 9,
        ),
        (
            {"type": "string", "format": "date", "minLength": 10, "maxLength": 10},
            lambda it: re.fullmatch(r"\d{4}-\d\d-\d\d", it),
        ),
        ({"type": "string", "format": "email", "maxLength": 2}, lambda it: len(it) <= 2),
        (
            {**WHOLE, "minimum": 3, "maximum": 5, "exclusiveMinimum": True,
             "exclusiveMaximum": True},
            lambda it: it == 4,
        ),
        ({**WHOLE, "minimum": 3, "maximum": 3, "exclusiveMinimum": False}, lambda it: it == 3),
        ({"type": "object", "unevaluatedProperties": False}, lambda it: it == {}),
        ({"unevaluatedProperties": False}, lambda it: it == {}),
        ({"type": "array", "unevaluatedItems": False}, lambda it: it == []),
        (
            {"allOf": [thing({"a": WHOLE})], **thing({"b": WHOLE}), "unevaluatedProperties": False},
            lambda it: set(it) == {"a", "b"},
        ),
        (
            {"$ref": "#/$defs/a", "unevaluatedProperties": False, "$defs": {"a": thing({"b": {}})}},
            lambda it: set(it) == {"b"},
        ),
        (
            {"additionalProperties": WHOLE, "unevaluatedProperties": False, "required": ["a"]},
            lambda it: type(it["a"]) is int,
        ),
        (
            {"allOf": [{"prefixItems": [{}]}, {"items": {**WORDS, "maxLength": 1}, "maxItems": 2}]},
            lambda it: type(it[0]) is str and len(it[0]) <= 1,
        ),
        (
            {"allOf": [{"prefixItems": [WHOLE], "items": WORDS}, {"prefixItems": [{}, {}],
             "items": {"maxLength": 1}, "minItems": 3}]},
            lambda it: type(it[0]) is int and {*map(type, it[1:])} == {str} and len(it[2]) <= 1,
        ),
        ({"allOf": [{"prefixItems": [WHOLE, WHOLE]}, {"prefixItems": [{}], "items": False}]},
         lambda it: len(it) == 1),
        ({"allOf": [{"enum": [1.5, True]}, {"enum": [1.5, True]}]}, lambda it: it in (1.5, True)),
        ({"pattern": r"^\S[^\s]$"}, lambda it: re.fullmatch(r"\S\S", it)),
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
        ({"required": [1]}, "no list of texts"),
        *[(schema, f"the key {key} is no text")
          for key in (1, True, None, 0.5)
          for schema in (
              {"properties": {key: {"const": 2}}},
              {key: 1},
              thing({"a": {"anyOf": [WORDS, {"items": thing({key: WHOLE}, [])}]}}),
              {"const": [{"a": {key: 2}}]},
              {"enum": [1, {key: 2}]},
              {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"b": WHOLE, key: WHOLE}}}},
          )],
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
        *[({"pattern": f"^[{inside}]$"}, "in two ways")
          for inside in ("[:alpha:]", "[a-z", "a-z--b", "a&&b", "a||b", "a~~b")],
        ({"pattern": 1}, "'pattern' is no text"),
        ({"format": 1}, "'format' is no text"),
        ({"enum": [1], "type": None}, "no type null"),
        ({"type": ["string", ["integer"]]}, "no type"),
        ({"type": "string", "format": "date", "maxLength": 9}, "'format' is 'date', and the len"),
        ({"type": "string", "format": "time", "maxLength": 9}, "'format' is 'time', and the len"),
        ({"type": "string", "format": "uuid", "minLength": 37}, "'format' is 'uuid', and the len"),
        ({"allOf": [{"format": "date"}, {"maxLength": 9}]}, "'format' is 'date', and the lengths"),
        ({"type": "string", "format": "date", "pattern": "^2"}, "'format' beside it"),
        *[({**WHOLE, word: wrong}, f"'{word}' is no number")
          for word in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
          for wrong in ("3", None, [3], float("nan"), float("inf"))],
        ({**WHOLE, "minimum": True}, "'minimum' is no number"),
        ({**WHOLE, "exclusiveMinimum": True}, "'exclusiveMinimum' is true, and there is no 'min"),
        ({"allOf": [{"minimum": "a"}, {"minimum": 1}]}, "'minimum' is no number"),
        ({"items": [WHOLE]}, "'items' is no schema"),
        (thing({"a": WHOLE}, additionalProperties="no"), "'additionalProperties' is no schema"),
        *[({word: False}, f"held to '{word}'")
          for word in ("propertyNames", "patternProperties", "maxProperties", "multipleOf")],
        ({"unevaluatedProperties": WHOLE}, "that is not false"),
        ({"required": ["a"], "unevaluatedProperties": False}, "nothing fits"),
        (
            {"allOf": [{**thing({"a": WHOLE}), "unevaluatedProperties": False}, thing({"b": {}})]},
            "forbids",
        ),
        (
            {"allOf": [{"$ref": "#/$defs/a", "unevaluatedProperties": False}, thing({"b": {}})],
             "$defs": {"a": thing({"a": WHOLE})}},
            "a part that has parts",
        ),
        (
            {"allOf": [{"prefixItems": [{"const": 1}]}, {"items": WORDS}]},
            "'type' beside constants|nothing fits",
        ),
        ({"allOf": [{"const": 1}, {"const": True}]}, "'const' is said twice"),
        (thing({"a": {"allOf": [{"const": 0}, {"const": False}]}}), "'const' is said twice"),
        ({"allOf": [thing({"a": {"const": 1}}), thing({"a": {"const": True}})]}, "said twice"),
        *[({"$ref": f"#/prefixItems/{place}", "prefixItems": [WHOLE] * 3}, "which it has not")
          for place in ("-2", "+1", "01", "1_0", " 1", "\u0661", "1\n", "")],
        (
            {"$ref": "#/$defs/a", "$defs": {"b": WORDS, "a": {
                "$id": "https://example.org/a", "$ref": "#/$defs/b", "$defs": {"b": WHOLE}}}},
            "'\\$id'",
        ),
        *[({**WHOLE, **bounds}, "more than 16 digits")
          for bounds in ({"minimum": 10**18, "maximum": 10**18 + 5}, {"minimum": 10**16},
                         {"maximum": -(10**16)}, {"exclusiveMinimum": 10**16 - 1})],
        ({"type": "number", "minimum": 1e300}, "more than 16 digits"),
        ({"enum": ["a" * i for i in range(1, 900)]}, "begins with the one before"),
        ({"pattern": "^(a*)*$"}, "may be empty"),
        ({"pattern": "^(a{1,1000}){1000}$"}, "more than 1000"),
        ({"pattern": r"^(a)\1$"}, "groupref"),
        ({"pattern": "^a$|^b$"}, "a pattern with"),
        ({"pattern": "(?i)a"}, "flags"),
        ({"pattern": "^\x01$"}, "control"),
        *[({word: {}}, f"held to '{word}'") for word in ("not", "if", "contains", "propertyNames")],
        *[({word: 2}, f"held to '{word}'") for word in ("multipleOf", "minProperties")],
        ({"name": "str", "age": "int"}, "is no keyword of a schema"),
        ({"type": "object", "property": {"a": WHOLE}}, "'property' is no keyword"),
        (thing({"a": {"Type": "integer"}}), "'Type' is no keyword"),
    ],
)  # fmt: skip
def test_what_no_answer_is_held_to_is_refused(schema, because):
    """In words, and never passed over in silence."""
    with pytest.raises(UsageError, match=because) as error:
        grammar_of(schema)
    assert error.value.hint


def test_a_way_out_fits_what_is_wrong():
    """Constants are not said to have too many levels, nor brackets to be too hard."""
    for schema, hint in (
        ({"enum": ["a" * i for i in range(1, 900)]}, "fewer such constants"),
        ({**WHOLE, "minimum": 10**16}, "nearer to 0"),
        ({"pattern": "^[[:alpha:]]$"}, "[A-Za-z]"),
        ({"type": "array", "item": WHOLE}, "did you mean 'items'?"),
        ({"name": "str"}, 'as in {"type": "object", '),
    ):
        with pytest.raises(UsageError) as error:
            grammar_of(schema)
        assert hint in error.value.hint
    assert grammar_of({"enum": ["a" * i for i in range(1, 401)]})
    assert grammar_of({"pattern": r"^[\[a-z\-\-\&\&]$"})


def test_a_pattern_warns_of_nothing(recwarn):
    """What Python only warns of is refused; a warning would be lines on the terminal."""
    with pytest.raises(UsageError, match="two ways"):
        grammar_of({"pattern": "[[:digit:]]"})
    assert not recwarn.list


@pytest.mark.parametrize("sign", ["\xa0", "\u2003", "\u3000", "\ufeff", "\u2028"])
def test_what_is_a_space_to_others_is_none_that_is_no_space(sign):
    """Nor is a line's end of theirs any sign, as `.` has it."""
    spaces, lines = (_allowed(f"^{pattern}$") for pattern in (r"\S", "."))
    assert not spaces(sign)
    assert not _allowed(r"^[^\s]$")(sign)
    assert lines(sign) == (sign != "\u2028")
    assert all(_allowed(f"^{pattern}$")("é") for pattern in (r"\S", r"[^\s]", "."))


def _allowed(pattern):
    """Whether a character is in a class of the grammar's rule for this pattern of one."""
    root = re.search("^root.*$", grammar_of({"pattern": pattern}), re.MULTILINE)[0]
    spans = re.findall(r"\\U([0-9A-F]{8})-\\U([0-9A-F]{8})", root)
    return lambda sign: any(int(low, 16) <= ord(sign) <= int(high, 16) for low, high in spans)


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
