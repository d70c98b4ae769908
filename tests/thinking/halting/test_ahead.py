"""Rules that halt: where they look, and what they make of the answer, by hand."""

from __future__ import annotations

import pytest

from softchat.events import HaltReason
from softchat.settings import resolve
from softchat.testing import FakeEngine
from softchat.thinking.halting.ahead import (
    Agree,
    AtText,
    AtWord,
    Deer,
    Eat,
    EverySteps,
    Sure,
    make_rule,
)
from softchat.thinking.probe import Guess, Probe

END = Guess(token=0, entropy=0.0, peak=1.0, is_end=True)


def guesses(*entropies, peaks=(), end=True):
    """An answer whose tokens have these entropies, or these probabilities."""
    values = [(h, 0.9) for h in entropies] + [(0.5, p) for p in peaks]
    made = [Guess(token=n, entropy=h, peak=p, is_end=False) for n, (h, p) in enumerate(values, 1)]
    return iter([*made, END] if end else made)


# -- triggers ----------------------------------------------------------------------------------


def told(trigger, *pieces):
    return [trigger.update(piece.encode()) for piece in pieces]


def test_lines_and_paragraphs():
    """A line ends at each line break; a paragraph at two in a row, in one token or two."""
    assert told(AtText("\n"), "a", ".\n", "\n", "b\nc") == [False, True, True, True]
    assert told(AtText("\n\n"), "a\n", "\n", "\n", "b\n\n", "\n") == [
        False, True, False, True, False,
    ]  # fmt: skip


def test_a_word_is_found_whole():
    """In one token or several, once; not within another word."""
    assert told(AtWord("Wait"), "a ", "Wait", ",", " Wa", "it", ".") == [
        False, True, False, False, True, False,
    ]  # fmt: skip
    assert told(AtWord("Wait"), "aWait", " Waiting", " wait") == [False] * 3
    assert told(AtWord("Wait"), "x" * 500, " Wait") == [False, True]


def test_steps_are_counted():
    """Every third."""
    assert told(EverySteps(3), *"abcdefg") == [False, False, True, False, False, True, False]


# -- verdicts ----------------------------------------------------------------------------------


def test_an_answer_that_is_sure_to_its_end_is_settled():
    """Every token under the limit, not at it, and an end that is seen."""
    assert Sure(entropy=0.1).judge(guesses(0.05, 0.09))
    assert not Sure(entropy=0.1).judge(guesses(0.05, 0.1))
    assert not Sure(entropy=0.1).judge(guesses(0.05, 0.05, end=False))
    assert not Sure(entropy=0.0).judge(guesses())


def test_one_unsure_token_is_enough():
    """What comes behind it is not read."""
    answer = guesses(0.05, 0.9, 0.05)
    assert not Sure(entropy=0.1).judge(answer)
    assert next(answer).token == 3


def test_eat_by_hand():
    """α ½ on 1, 0, 0: M is 1, ½, ¼ and V is 0, ⅛, 3/32; it halts under the bound."""
    for bound, expected in ((0.095, True), (0.09, False)):
        rule = Eat(alpha=0.5, variance=bound, probes=3)
        assert [rule.judge(guesses(x)) for x in (1.0, 0.0, 0.0)] == [False, False, expected]


def test_eat_waits():
    """An entropy at rest from the first is no reason before it has looked often enough."""
    rule = Eat(alpha=0.5, variance=0.1, probes=4)
    assert [rule.judge(guesses(0.3)) for _ in range(5)] == [False] * 3 + [True] * 2


def test_deer_by_hand():
    """(1 + 0.9) / 2 reaches 0.95; the end of the answer does not count, and no answer is none."""
    assert Deer(confidence=0.95).judge(guesses(peaks=(1.0, 0.9)))
    assert not Deer(confidence=0.95).judge(guesses(peaks=(1.0, 0.89)))
    assert not Deer(confidence=0.0).judge(guesses())
    assert Deer(confidence=0.95).judge(guesses(peaks=(0.96,) * 20, end=False))


def agreeing(*answers, count=2):
    words = dict(enumerate(answers, 1))
    rule = Agree(count=count, text_of=lambda tokens: "".join(words[t] for t in tokens))

    def one(number):
        return iter([Guess(token=number, entropy=0, peak=1, is_end=False), END])

    return [rule.judge(one(number)) for number in words]


def test_agreement_is_of_the_last_answers():
    """Two in a row, whatever the case and the spaces; another one starts it anew."""
    assert agreeing("12", " 12 ", "13", "12", "12") == [False, True, False, False, True]
    assert agreeing("7", "7", "7", count=3) == [False, False, True]


@pytest.mark.parametrize("doubt", ["Wait, 12", "12? No.", "hmm 12", "", "  "])
def test_doubt_and_silence_do_not_agree(doubt):
    """What doubts, or is nothing, agrees with nothing; a word that only holds one is no doubt."""
    assert agreeing("12", doubt, "12") == [False] * 3
    assert agreeing("another knot", "another knot") == [False, True]


# -- both --------------------------------------------------------------------------------------


def made(script=(), **knobs):
    engine = FakeEngine(["<end>", "a", "\n", "Wait"], script or [{"a": 1.0}, {"<end>": 1.0}])
    return make_rule(resolve(knobs), Probe(engine, [1]), lambda tokens: "a" * len(tokens))


def test_no_rule_is_the_default():
    """Nothing looks ahead unless a rule is named, or the limit of `sure` is set."""
    assert made() is None
    assert made(sure_entropy=0.1).reason is HaltReason.SURE
    assert made(sure_entropy=0.0) is None
    assert made(sure_entropy=0.1, halt="none") is None


@pytest.mark.parametrize(
    ("rule", "piece", "knobs"),
    [
        ("sure", b"\n", {}),
        ("eat", b"\n\n", {"eat_probes": 1}),
        ("deer", b"Wait", {}),
        ("agree", b"x", {"agree_count": 1, "halt_every": 1}),
    ],
)
def test_each_rule_has_a_trigger_of_its_own(rule, piece, knobs):
    """Lines, paragraphs, words, steps; and any can have another's."""
    own = made(halt=rule, **knobs)
    assert own.update(piece)
    other = made(halt=rule, halt_at="line", **knobs)
    assert not other.update(b"x")
    assert other.update(b"\n")


def test_deer_looks_so_often_at_the_most():
    """Ten times as its authors have it; 0 is any number."""
    script = [{"a": 0.5, "Wait": 0.5}] * 40
    for most, looks in ((2, 2), (0, 6)):
        engine = FakeEngine(["<end>", "a", "\n", "Wait"], script)
        probe = Probe(engine, [1])
        rule = make_rule(resolve({"halt": "deer", "deer_probes": most}), probe, lambda _: "")
        assert not any(rule.update(b" Wait") for _ in range(6))
        assert probe.looks == looks


def test_looks_of_steps_that_were_made_before_count():
    """A fork goes on where its run was: with as many of them left."""
    engine = FakeEngine(["<end>", "a", "\n", "Wait"], [{"a": 0.5, "\n": 0.5}])
    probe = Probe(engine, [1])
    rule = make_rule(resolve({"halt": "deer", "deer_probes": 3}), probe, lambda _: "")
    for piece in (b" Wait", b" a", b" Wait"):
        rule.follow(piece)
    assert probe.looks == 0  # they were taken then
    assert not any(rule.update(b" Wait") for _ in range(6))
    assert probe.looks == 1
