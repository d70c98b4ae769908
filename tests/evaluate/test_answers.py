"""What a text answers, and whether it is the answer wanted."""

from __future__ import annotations

import importlib.util
import logging
import sys
from types import ModuleType

import pytest

from softchat.errors import UsageError
from softchat.evaluate.answers import make_reader, parse_number, same


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("So 3 + 4 = 7.", "7"),
        ("It costs $1,250.00 in all.", "$1,250.00"),
        ("from 10-4 that leaves 6", "6"),
        ("the change is -5", "-5"),
        ("the change is \u22125 degrees", "\u22125"),
        ("a share of 3/4", "3/4"),
        ("model x2 has none, v1.5 neither", None),
        ("42, of course", "42"),
        ("about 1.5e3 in all", "1.5e3"),
        ("that is 6.02E-23 of them", "6.02E-23"),
        ("5eggs and 3e", "3"),
        ("there are 12 345 of them", "12 345"),
        ("so 1\u00a0234\u202f567.5 it is", "1\u00a0234\u202f567.5"),
        ("in 2019 500 people", "500"),
        ("it takes 3:45", None),
        ("12 of them, at 10:30:15", "12"),
        ("Answer:45", "45"),
        (r"so it is \frac{3}{4}.", "3/4"),
        (r"or -\dfrac{3}{4}", "-3/4"),
        (r"or 1\frac{1}{2}", "3/2"),
        ("9 + 9 = 18\n#### 18\n\nQuestion: 5 boys and 7 girls", "18"),
        ("#### $1,200 #### 7", "$1,200"),
        ("9 #### none", "9"),
        ("about .5", ".5"),
        ("it costs $.50 or -.5.", "-.5"),
        ("#### $.50", "$.50"),
        ("it takes 3 1/2 hours", "7/2"),
        (r"or -3 \frac{1}{2}", "-7/2"),
        ("1,200 1/2.", "2401/2"),
        ("of 5 10/2 is left", "10/2"),
        ("on 3 1/2/2020", "2020"),
        ("1,2,3", "3"),
        ("1, 2, 34", "34"),
        ("1234,567", "567"),
        ("1,2345", "2345"),
        ("12,345,678.", "12,345,678"),
        ("the file is x.50", None),
        ("", None),
    ],
)
def test_the_last_number(text, number):
    """`number` takes the last number, with its sign and separators, and none out of a word."""
    assert make_reader("number").extract(text) == number


@pytest.mark.parametrize(
    ("given", "wanted", "equal"),
    [
        ("1,000", "1000", True),
        ("$5", "5.0", True),
        ("5.", "5", True),
        ("-$3.50", "-3.5", True),
        ("\u22127", "-7", True),
        ("1/2", "0.5", True),
        ("50%", "50", True),
        ("1.5e3", "1500", True),
        ("12 345", "12345", True),
        ("12\u202f345", "12,345", True),
        (r"\frac{3}{4}", "0.75", True),
        (r"-\tfrac{3}{4}", "-3/4", True),
        (r"1\frac{1}{2}", "1.5", True),
        (r"\frac{1}{0}", "1", False),
        ("3:45", "345", False),
        ("3:45", "3:45", True),
        ("0.1", "0.10000001", False),
        ("1/0", "1/0", True),
        ("Paris.", "paris", True),
        ("a  b", "a b", True),
        ("7 cows", "7", False),
        ("12, 3, 4", "1, 2, 34", False),
        ("1, 2", "12", False),
        ("1,2", "12", False),
        ("1 2", "12", False),
        ("1\n000", "1000", False),
        ("12,34", "1234", False),
        ("1234,567", "1234567", False),
        ("1_000", "1000", False),
        ("12,345,678", "12345678", True),
        ("1, 2", "1,  2", True),
        ("3 1/2", "3.5", True),
        ("-3 1/2", "-3.5", True),
        ("1,000 1/2", "1000.5", True),
        ("3 1/2", "15.5", False),
        ("5 10/2", "10", False),
        (r"3 \frac{1}{2}", "3.5", True),
        (".5", "0.5", True),
        ("-$.50", "-.5", True),
        (r"- \frac{1}{2}", "-0.5", True),
        ("$-5", "-5", True),
        ("+5", "5", True),
        ("3 / 4", "0.75", True),
    ],
)
def test_the_same_answer(given, wanted, equal):
    """Numbers are compared as numbers, exactly; all else as text, but for case and a full stop."""
    assert same(given, wanted) is equal


def test_boxed():
    """`boxed` takes what is in the last box, braces and all; an open box holds nothing."""
    extract = make_reader("boxed").extract
    assert extract(r"first \boxed{1}, then \boxed{\frac{1}{2}}") == r"\frac{1}{2}"
    assert extract(r"\boxed{\text{yes}}") == "yes"
    assert extract(r"\boxed{1") is None
    assert extract("1") is None


def test_exact_and_regex():
    """`exact` takes all of it; `regex` the first group of the last match, or all of it."""
    assert make_reader("exact").extract("  Yes. \n") == "Yes."
    assert make_reader("exact").extract(" ") is None
    assert make_reader(r"regex:answer is (\w+)").extract("the answer is A; answer is B.") == "B"
    assert make_reader(r"regex:[A-D]").extract("A or C") == "C"
    assert make_reader(r"regex:x(y)?").extract("x") is None


def test_an_expression_without_an_end():
    """What matches for ever is ended after a second of processor time, in one line."""
    reader = make_reader("regex:(x+x+)+y")
    with pytest.raises(UsageError, match="longer than a second") as caught:
        reader.extract("x" * 40)
    assert caught.value.hint
    assert reader.extract("xxxy") == "xxx"


@pytest.mark.parametrize(
    "text",
    [
        *("1e401", "1e-401", "1E+9999", "1e0401", "1e9_9_9", "9" * 1001, "1/" + "9" * 1001),
        *(
            "1e999999999",
            "-1e-999999999",
            "$1e9999999999999999999",
            "1e٩٩٩٩٩٩٩٩٩",
            "1e" + "9" * 999,
        ),
    ],
)
def test_numbers_have_a_bound(text):
    """Beyond it they are text: Python would work them out to the last digit."""
    assert parse_number(text) is None
    assert same(text, text)
    assert not same(text, "1")
    assert not make_reader("number").can_be(text)


def test_numbers_that_floats_have_are_numbers():
    """The bound takes nothing away that can be an answer."""
    assert parse_number("1.7976931348623157e308") == parse_number("17976931348623157e292")
    assert parse_number("1e-300") is not None
    assert parse_number("9" * 1000) is not None


@pytest.mark.parametrize("name", ["numbers", "number:", "regex:", "regex:(", ""])
def test_a_way_that_does_not_exist(name):
    """A name that means nothing is refused, with what there is."""
    with pytest.raises(UsageError):
        make_reader(name)


@pytest.mark.parametrize("inside", ["[a-z", "[:alpha:]", "a--b", "a&&b", "a||b", "a~~b"])
def test_an_expression_that_python_warns_of_is_refused(inside, recwarn):
    """In one line, and no warning of Python's on the terminal; an escape makes it plain."""
    with pytest.raises(UsageError, match="in two ways") as error:
        make_reader(f"regex:[{inside}]")
    assert "\\[" in error.value.hint
    assert not recwarn.list
    assert make_reader(r"regex:[\[a-z]+").extract("see [x") == "[x"


def test_numbers_only():
    """A question whose answer is a word can't be judged by numbers."""
    can_be = make_reader("number").can_be
    assert can_be("1,000")
    assert not can_be("yes")
    assert parse_number("1/0") is None


@pytest.mark.parametrize(
    "wanted",
    [
        *(".5", "$.50", "-.5", "-$3.50", "$-5", "+5", "$ 5", "5 %", "5€", "7.", "1/2", "3 / 4"),
        *("3 1/2", r"3\frac{1}{2}", r"-\frac{3}{4}", "1 000", "1,000.5", "1e3", "\u22127"),
        *("9" * 1000, "1,000 1/2", "%5"),
    ],
)
def test_what_can_be_wanted_can_be_said(wanted):
    """A number that a question's answer may be is read as that one where an answer says it."""
    reader = make_reader("number")
    assert reader.can_be(wanted)
    assert reader.same(reader.extract(f"So 7 and 8 give {wanted}."), wanted)
    assert reader.same(reader.extract(f"7 ... 8\n#### {wanted}"), wanted)


@pytest.mark.parametrize(
    "text",
    ["1, 2", "1 2", "12,34", "1_000", "- 5", "1.5/2", "1/0", "5 10/2", "x", "1" * 99 + " 1/"],
)
def test_what_no_answer_can_say_is_refused(text):
    """Several numbers, or what the reader reads otherwise, are no number."""
    assert not make_reader("number").can_be(text)


def test_a_long_mixed_number_is_text():
    """However long its parts are, it takes no time and breaks nothing."""
    for text in ("9" * 5000 + " 1/2", "1" + ",000" * 5000 + " 1/2", "1 1/" + "9" * 5000):
        assert parse_number(text) is None
        make_reader("number").extract(text)


def test_mathematics_is_an_extra():
    """Without math-verify, `math` is refused with the way to get it; with it, ½ is 0.5."""
    if importlib.util.find_spec("math_verify") is None:
        with pytest.raises(UsageError) as raised:
            make_reader("math")
        assert "math-verify[antlr4-13-2]" in raised.value.hint
        return
    reader = make_reader("math")
    given = reader.extract(r"so it is $\frac{1}{2}$")
    assert given is not None
    assert reader.same(given, "0.5")
    assert not reader.same(given, "0.25")


def test_what_a_model_says_is_not_logged_as_it_is(monkeypatch, capfd):
    """math-verify's own warnings hold it, with whatever it would do to a terminal."""

    def parse(text):
        logging.getLogger("math_verify.parser").warning("Timeout during parsing: %s", text)
        return []

    package = ModuleType("math_verify")
    package.parse = parse
    monkeypatch.setitem(sys.modules, "math_verify", package)
    assert make_reader("math").extract("\x1b]0;title\x07") is None
    assert capfd.readouterr() == ("", "")
