"""Leaked tags, stop strings, loops and the repeat penalty of answers."""

from __future__ import annotations

import numpy as np
import pytest

from softchat.events import Answer, FinishReason
from softchat.thinking.answer_rules import AnswerText, RepeatPenalty, stop_strings
from tests.thinking.test_think import END, MIXED, run


def shown(pieces, *, tags=("</think>", "<think>"), stops=()):
    """What is shown of an answer that comes in these pieces, and whether it was stopped."""
    text = AnswerText(tags, stops)
    return "".join([*map(text.feed, pieces), text.finish()]), text.stopped


@pytest.mark.parametrize(
    "pieces",
    [["a</think>b"], ["a", "</th", "ink", ">b"], list("a</think>b"), ["a<think>", "</think>b"]],
)
def test_a_tag_is_taken_out_however_it_comes(pieces):
    """A thinking tag is never shown, in one piece or many."""
    assert shown(pieces) == ("ab", False)


def test_what_only_looks_like_a_tag_stays():
    """What was held back because a tag might come is shown when none does."""
    assert shown(["1 <", " 2 and </th"]) == ("1 < 2 and </th", False)


def test_a_stop_string_ends_the_text():
    """The first stop string and all behind it are not shown."""
    assert shown(["one\n", "\nHuman", ": two"], stops=["Human:", "\n\n"]) == ("one", True)
    assert stop_strings(r"\n\n|Human:") == ("\n\n", "Human:")
    assert stop_strings("") == ()


def test_nothing_is_said_after_the_stop():
    """A text that was stopped stays so."""
    text = AnswerText([], ["x"])
    assert text.feed("axb") == "a"
    assert text.feed("c") + text.finish() == ""


def test_the_penalty_is_llama_cpps():
    """A positive logit of a token that was said is divided, a negative one multiplied."""
    penalty = RepeatPenalty(2.0)
    logits = np.array([4.0, -4.0, 4.0], np.float32)
    for token in (0, 1) * 16:
        assert penalty.apply(logits) is logits  # a short answer is left alone
        penalty.add(token)
    np.testing.assert_array_equal(penalty.apply(logits), [2.0, -8.0, 4.0])
    np.testing.assert_array_equal(logits, [4.0, -4.0, 4.0])  # the engine's own stay
    off = RepeatPenalty(1.0)
    for token in (0, 1) * 16:
        off.add(token)
    assert off.apply(logits) is logits


def said(events):
    return "".join(event.text for event in events if isinstance(event, Answer)), events[-1]


def test_an_answer_that_writes_the_closing_tag_does_not_show_it():
    """Neither the pieces nor the whole answer have it."""
    script = [MIXED] * 5 + [{p: 1.0} for p in ["a", "</", "think", ">", "b"]] + [END]
    text, finished = said(run(script)[0])
    assert text == finished.answer == "ab"
    assert finished.finish_reason is FinishReason.STOP


def test_an_answer_in_circles_is_ended_by_name():
    """The same block for `answer_loop` tokens ends it; 0 lets it go on to its limit."""
    script = [MIXED] * 5 + [{"a": 1.0}]
    _, finished = said(run(script, max_answer=40, answer_loop=12)[0])
    assert (finished.finish_reason, finished.answer_tokens) == (FinishReason.LOOP, 12)
    _, finished = said(run(script, max_answer=40, answer_loop=0)[0])
    assert (finished.finish_reason, finished.answer_tokens) == (FinishReason.LENGTH, 40)


def test_a_stop_setting_ends_the_answer():
    """`stop` is not part of the answer, and the answer counts as complete."""
    script = [MIXED] * 5 + [{p: 1.0} for p in ["a", "\n", "\n", "b"]] + [END]
    text, finished = said(run(script, stop=r"\n\n|c")[0])
    assert text == "a"
    assert finished.finish_reason is FinishReason.STOP


def test_the_penalty_changes_what_is_drawn():
    """With a penalty the likeliest token that was said gives way, once the answer is long."""
    script = [MIXED] * 5 + [{"a": 0.5, "b": 0.4, "c": 0.1}]
    limits = {"max_answer": 33, "answer_loop": 0}
    assert said(run(script, **limits)[0])[0] == "a" * 33
    assert said(run(script, answer_repeat=1.5, **limits)[0])[0] == "a" * 32 + "b"
