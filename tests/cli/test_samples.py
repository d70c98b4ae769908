"""`softchat ask --samples` and `--vote`, on the real model, and the counting of votes."""

from __future__ import annotations

import json

import pytest

from softchat.cli.samples import count_votes
from softchat.evaluate.answers import make_reader
from softchat.evaluate.evaluate import Outcome, Result
from softchat.views.wording import cut_notes
from tests import tiny

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


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([("stop", 8), ("stop", 3)], []),
        ([("length", 8)] * 2, ["2 of 2 answers were cut: max_answer 8"]),
        (
            [("length", 5), ("loop", 7), ("length", 8), ("stop", 1), ("length", 4)],
            [
                "2 of 5 answers were cut: the context is full",
                "1 of 5 answers was cut: max_answer 8",
                "1 of 5 answers was ended, going in circles",
            ],
        ),
    ],
)
def test_what_was_cut_is_told(answers, said):
    """How many of several answers, and by what."""
    assert cut_notes(answers, 8) == said


def test_a_vote_that_nobody_has(softchat):
    """Is an error, with the way to see the answers; the JSON has them, and no winner."""
    asked = ("ask", "What is 3 times 4?", *QUICK, "--samples", "3", "--vote", "--extract", "boxed")
    done = softchat(*asked)
    assert (done.status, done.out) == (1, "")
    *_, error, hint = done.err.splitlines()
    assert error == "error: none of 3 answers could be read as boxed"
    assert "without --vote" in hint
    done = softchat(*asked, "--json")
    assert done.status == 1
    *samples, vote, told = map(json.loads, done.out.splitlines())
    assert [one["given"] for one in samples] == [None] * 3
    assert vote == {"extract": "boxed", "votes": [], "winner": None}
    assert told["kind"] == "runtime"


def test_what_one_answer_is_told_of_several_are(softchat, tmp_path):
    """That they were cut, and that the model is none that answers; but with --quiet or --json."""
    base = tiny.write(tmp_path / "tiny.gguf", letters=tiny.ASCII)
    asked = ("ask", "Why?", *QUICK, "-m", str(base), "--samples", "2")
    done = softchat(*asked)
    assert done.status == 0, done
    assert done.err.startswith("note: no chat template: a base model")
    assert done.err.endswith("\n2 of 2 answers were cut: max_answer 6\n")
    assert softchat(*asked, "--quiet").err == softchat(*asked, "--json").err == ""


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
def test_what_cannot_be(softchat, tmp_path, flags, said):
    """One line and a hint; nothing is written."""
    done = softchat("ask", "Why?", *flags)
    assert done.status == 2, done
    assert not (tmp_path / "x.jsonl").exists()
    assert said in done.err
    assert not done.out
