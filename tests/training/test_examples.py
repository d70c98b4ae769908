"""What is trained on, as tokens."""

from __future__ import annotations

import json
import string

import pytest

from softchat.testing import FakeEngine
from training.chat import THOUGHT
from training.examples import make_examples
from training.prompt import CLOSE, END


@pytest.fixture(scope="module")
def engine() -> FakeEngine:
    """Each character is a token."""
    return FakeEngine([*string.printable, END], [{"a": 1.0}], end=[END])


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    """One ordinary question with its answer."""
    path = tmp_path_factory.mktemp("chat") / "chat.jsonl"
    line = {"question": "Why?", "answer": "Because.", "ended": True}
    path.write_text(json.dumps(line) + "\n", "utf-8")
    return path


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


def test_a_seed_gives_the_same_examples(engine, chat):
    """And the first ones do not depend on how many are made, so a plan can be cut short."""
    assert make_examples(engine, chat, 30, seed=2) == make_examples(engine, chat, 60, seed=2)[:30]
