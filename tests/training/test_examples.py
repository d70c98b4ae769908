"""What is trained on, as tokens."""

from __future__ import annotations

import json
import string
from dataclasses import asdict

import numpy as np
import pytest

from softchat.testing import FakeEngine
from training.chat import THOUGHT
from training.distil import Told
from training.examples import CHAT_HELD_OUT, make_examples
from training.prompt import CLOSE, END
from training.targets import targets


@pytest.fixture(scope="module")
def engine() -> FakeEngine:
    """Each character is a token."""
    return FakeEngine([*string.printable, *"€£", END], [{"a": 1.0}], end=[END])


@pytest.fixture(scope="module")
def chat(engine, tmp_path_factory):
    """One ordinary question to train on, and those that are held out."""
    path = tmp_path_factory.mktemp("chat") / "chat.jsonl"
    told = [_told(engine, "Why?"), *[_told(engine, "Held out?")] * CHAT_HELD_OUT]
    path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in told), "utf-8")
    return path


def _told(engine, question):
    tokens = engine.tokenize("Because." + END, special=True)
    return Told(
        question=question,
        answer="Because.",
        ended=True,
        tokens=tokens,
        likely=[[token, 0] for token in tokens],
        weights=[[0.75, 0.25] for _ in tokens],
    )


@pytest.fixture(scope="module")
def texts(engine, chat):
    """Examples as (prompt, what counts, what may be mixed, the whole)."""

    def text(tokens):
        return b"".join(engine.piece(t) for t in tokens).decode()

    return [
        (
            text(e.tokens),
            text(t for t, counted in zip(e.tokens, e.counts, strict=True) if counted),
            text(e.tokens[i] for i in e.thinking),
        )
        for e in make_examples(engine, chat, 400, seed=1)
    ]


def test_the_model_learns_to_think_close_and_answer(texts):
    """All behind the open tag counts: steps, closing tag, answer, end."""
    whole = [(all_, counted) for all_, counted, _ in texts if CLOSE in counted]
    assert len(whole) > 200
    assert all(counted == all_.split("<think>\n")[-1] for all_, counted in whole)
    assert all(counted.endswith(END) for _, counted in whole)


def test_thinking_that_is_cut_is_not_taught_to_close(texts):
    """The tag that softchat would put in does not count; the answer behind it does."""
    cut = [(all_, counted) for all_, counted, _ in texts if CLOSE not in counted]
    assert len(cut) > 40
    for all_, counted in cut:
        thoughts, answer = all_.split("<think>\n")[-1].split(CLOSE)
        assert counted == thoughts + answer


def test_only_thoughts_are_mixed(texts):
    """From behind the open tag up to the closing tag's last token, which softchat feeds hard."""
    for all_, counted, mixed in texts:
        thoughts = all_.split("<think>\n")[-1].split(CLOSE)[0]
        closed = CLOSE in counted
        assert mixed == thoughts + ("\n</think" if closed else "")


def test_ordinary_questions_get_no_steps(texts):
    """Their thought is always the same, and the answer the untrained model's."""
    chats = [counted for all_, counted, _ in texts if "Why?" in all_]
    assert len(chats) > 20
    assert set(chats) == {THOUGHT + CLOSE + "Because." + END}


def test_what_is_held_out_is_not_trained_on(texts):
    """The last ordinary questions are to measure by."""
    assert not any("Held out?" in all_ for all_, _, _ in texts)


def test_of_ordinary_answers_the_distributions_are_learned(engine, chat):
    """At the answer's positions alone; all else that counts is its token with weight 1."""
    examples = make_examples(engine, chat, 60, seed=3)
    ids, weights = targets(examples)
    assert len(ids) == sum(sum(e.counts) for e in examples)
    np.testing.assert_array_equal(weights.sum(1), 1)
    end = 0
    for example in examples:
        begin, end = end, end + sum(example.counts)
        told = [t for t, counted in zip(example.tokens, example.counts, strict=True) if counted]
        assert ids[begin:end, 0].tolist() == told
        soft = weights[begin:end, 0] < 1
        is_chat = "Why?" in b"".join(map(engine.piece, example.tokens)).decode()
        assert soft.tolist() == [is_chat and place >= len(told) - 9 for place in range(len(told))]
    assert (weights == 0.75).any()


def test_a_seed_gives_the_same_examples(engine, chat):
    """And the first ones do not depend on how many are made, so a plan can be cut short."""
    assert make_examples(engine, chat, 30, seed=2) == make_examples(engine, chat, 60, seed=2)[:30]
