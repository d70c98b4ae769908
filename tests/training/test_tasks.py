"""The problems that are trained on: true, seeded, and apart from those that are asked."""

from __future__ import annotations

import re
from itertools import islice, pairwise

import pytest

from training import numbered
from training.chat import questions
from training.examples import SPLITS, split
from training.known import FACTS
from training.tasks import EVERYDAY, HELD_OUT, TRAINED, problems

FAMILIES = {**TRAINED, **EVERYDAY, **HELD_OUT}


def some_of(family, count=60):
    """Problems of one family."""
    return [p for _, p in islice(problems({family: FAMILIES[family]}, "test"), count)]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_sum_in_the_steps_is_right(family):
    """`a + b = c` is so, and so are differences, products and divisions without a rest."""
    for problem in some_of(family):
        for a, sign, b, c in re.findall(
            r"(?<!:)\b(\d+) ([-+*/]) (\d+) = (\d+)", str(problem.steps)
        ):
            true = {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}
            assert int(c) == (true[sign] if sign in true else int(a) / int(b)), problem


@pytest.mark.parametrize("family", FAMILIES)
def test_a_problem_is_short_and_complete(family):
    """A few steps of a line each, a number below 1000 or a few words for an answer."""
    for problem in some_of(family):
        assert 1 <= len(problem.steps) <= 9
        assert all(step and "\n" not in step for step in problem.steps)
        assert "  " not in problem.question
        assert problem.question[-1] in "?.", problem.question
        assert problem.answer
        assert all(int(number) < 1000 for number in re.findall(r"\d+", problem.answer))


@pytest.mark.parametrize(
    "family", ["gain_loss", "groups", "shopping", "moves", "bus", "seats", "tank", *EVERYDAY]
)
def test_the_last_step_gives_the_answer(family):
    """Where the steps are sums, the last result is the answer."""
    for problem in some_of(family):
        assert problem.steps[-1].endswith(f"= {problem.answer}")


def test_roads_are_followed_rightly():
    """`yes` if and only if the closure of the roads in the question holds start and goal."""
    for family, road in (
        ("reachability", r"from (\w+) to (\w+)\."),
        ("rumour", r"(\w+) tells all news to (\w+)\."),
    ):
        answers = set()
        for problem in some_of(family):
            reached = set(re.findall(road, problem.question))
            for _ in range(8):
                reached |= {(a, d) for a, b in reached for c, d in reached if b == c}
            asked = re.search(
                r"from (\w+) to (\w+)\?|(\w+) hears some news\. Will (\w+) hear", problem.question
            )
            start_and_goal = tuple(name for name in asked.groups() if name)
            assert problem.answer == ("yes" if start_and_goal in reached else "no")
            answers.add(problem.answer)
        assert answers == {"yes", "no"}


def test_kinds_follow_rightly():
    """`yes` if and only if the chain of kinds in the question leads from the name to the kind."""
    for problem in some_of("kinds"):
        fact = r"(?:Every|Each|All) (\w+?)s? (?:is|are) (?:a )?(\w+?)s?\."
        is_a = set(re.findall(fact, problem.question))
        name, first = re.search(r"\b([A-Z]\w+) is a (\w+)\.", problem.question).groups()
        wanted = re.search(rf"{name} (?:is )?a (\w+)\?", problem.question)[1]
        known = {first}
        for _ in range(8):
            known |= {b for a, b in is_a if a in known}
        assert problem.answer == ("yes" if wanted in known else "no"), problem


def test_a_coin_is_turned_by_who_turns_it():
    """Heads or tails by the number of those who flip it."""
    for problem in some_of("coin"):
        turns = len(re.findall(r"(?:flips|turns) (?:it|the coin)", problem.question))
        heads = ("heads up. " in problem.question) == (turns % 2 == 0)
        assert problem.answer in (("yes", "heads") if heads else ("no", "tails"))


@pytest.mark.parametrize("family", ["ordering", "queue"])
def test_the_order_is_that_of_the_pairs(family):
    """The steps hold the pairs told, the last of them all names in one row."""
    for problem in some_of(family):
        row = problem.steps[-1].split(" > ")
        assert [f"{a} > {b}" for a, b in pairwise(row)] == list(problem.steps[:-1])
        assert problem.answer in row


def test_a_seed_gives_the_same_problems():
    """Anyone makes the same ones again; another seed gives others."""
    first = list(islice(problems(TRAINED, "a"), 54))
    assert first == list(islice(problems(TRAINED, "a"), 54))
    assert first != list(islice(problems(TRAINED, "b"), 54))


def test_no_question_is_in_two_sets():
    """What is asked is in one set only, and what is trained on leaves all of them out."""
    asked = [p.question for name in SPLITS for _, p in split(name)]
    assert len(set(asked)) == len(asked)
    trained = problems({**TRAINED, **EVERYDAY}, "train", without=asked)
    assert not set(asked) & {p.question for _, p in islice(trained, 2000)}


def test_the_sets_are_large_enough_and_their_families_apart():
    """At least 500 questions a test set; no held-out family is trained on."""
    assert not {*TRAINED, *EVERYDAY} & set(HELD_OUT)
    assert {family for family, _ in split("test-seeds")} == set(TRAINED)
    assert {family for family, _ in split("test-families")} == set(HELD_OUT)
    tests = ("test-seeds", "test-families", "test-more")
    assert all(len(list(split(name))) >= 500 for name in tests)


def test_ordinary_questions_are_many_and_differ():
    """Enough for what is trained on and for what is measured by."""
    assert len(set(questions())) == len(questions()) > 500


def test_ordinary_questions_with_numbers_are_others():
    """They hold none of the other ordinary questions, and none of the facts that are asked."""
    made = numbered.questions()
    assert len(set(made)) == len(made) > 200
    assert not set(made) & {*questions(), *FACTS}
