"""`softchat ask --samples` and `--vote`, on the real model, and the counting of votes."""

from __future__ import annotations

import json

import pytest

from softchat.cli.samples import count_votes
from softchat.evaluate.answers import make_reader
from softchat.evaluate.evaluate import Outcome, Result

QUICK = ("--max-think", "6", "--max-answer", "6", "--threads", "1", "--seed", "1")


def answers(*given):
    return [
        Result(run="ask", index=0, seed=0, given=text, correct=None, outcome=Outcome(), sample=n)
        for n, text in enumerate(given)
    ]


def test_votes_are_counted_by_what_is_said():
    """1,000 and 1000 are the same; what was not read has no vote; of equals the first is first."""
    found = answers("7", "1,000", None, "1000", "8", "7.")
    assert count_votes(found, make_reader("number")) == [[0, 5], [1, 3], [4]]
    assert count_votes(answers(None, None), make_reader("number")) == []


def test_several_answers_and_their_winner(softchat):
    """A line for each answer, with seeds of their own, then the votes; --seed repeats all of it."""
    asked = ("ask", "What is 3 times 4?", *QUICK, "--samples", "3", "--vote", "--json")
    done = softchat(*asked)
    assert done.status == 0, done
    *samples, last = map(json.loads, done.out.splitlines())
    assert [one["sample"] for one in samples] == [0, 1, 2]
    assert len({one["seed"] for one in samples}) == 3
    assert sum(vote["votes"] for vote in last["votes"]) == 3
    assert last["winner"] == last["votes"][0]["given"]
    assert softchat(*asked).out == done.out


def test_the_answer_is_that_of_the_majority(softchat):
    """stdout has one answer, or all of them without --vote; stderr who gave which."""
    one = softchat("ask", "What is 3 times 4?", *QUICK, "--samples", "3", "--vote")
    assert one.status == 0, one
    assert len(one.out.splitlines()) == 1
    assert "/3" in one.err
    every = softchat("ask", "What is 3 times 4?", *QUICK, "--samples", "3")
    assert one.out.strip() in every.out
    assert "answer 3 of 3, seed " in every.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--vote",), "--samples 8 --vote"),
        (("--extract", "exact"), "--samples 8 --extract"),
        (("--samples", "2", "--trace", "x.jsonl"), "--trace holds one run"),
        (("--samples", "2", "--vote", "--extract", "poem"), "no way of reading answers"),
        (("--samples", "0"), "0 is not in the range"),
    ],
)
def test_what_cannot_be(softchat, flags, said):
    """One line and a hint."""
    done = softchat("ask", "Why?", *flags)
    assert done.status == 2, done
    assert said in done.err
    assert not done.out
