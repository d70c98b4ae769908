"""Problems of reasoning-gym: which come, and who judges them."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from softchat.errors import UsageError
from softchat.evaluate.answers import make_reader
from softchat.evaluate.evaluate import Outcome, Plan, judge
from softchat.evaluate.gym import gym_questions
from softchat.evaluate.plan import make_runs


class Kind:
    """A stand-in for a dataset: its problems tell their name, seed and number."""

    def __init__(self, name, size, seed):
        self.name, self.size, self.seed = name, size, seed

    def __getitem__(self, place):
        if place >= self.size:
            raise IndexError(place)
        return {"question": f"{self.name} {self.seed} {place}?", "answer": "7 or 8"}

    def score_answer(self, given, entry):
        """Both 7 and 8 are right, 9 is half right, and words make it fail, as some verifiers do."""
        assert entry["answer"] == "7 or 8"
        return {7: 1.0, 8: 1.0, 9: 0.5}.get(int(given), 0.0)


@pytest.fixture
def gym(monkeypatch):
    """A reasoning-gym of two kinds, whether or not the real one is installed."""
    package, factory = ModuleType("reasoning_gym"), ModuleType("reasoning_gym.factory")
    package.create_dataset = lambda name, *, size, seed: Kind(name, size, seed)
    factory.DATASETS = {"sums": None, "gcd": None}
    monkeypatch.setitem(sys.modules, "reasoning_gym", package)
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", factory)


@pytest.mark.usefixtures("gym")
def test_kinds_come_in_turn():
    """As many problems as are wanted, of one kind after the other; another seed, other ones."""
    found = gym_questions("gym:sums, gcd", limit=3, seed=5)
    assert [q.text for q in found.questions] == ["sums 5 0?", "gcd 5 0?", "sums 5 1?"]
    assert [q.index for q in found.questions] == [0, 1, 2]
    assert found.sha256 == gym_questions("gym:sums,gcd", limit=3, seed=5).sha256
    assert found.sha256 != gym_questions("gym:sums,gcd", limit=3, seed=6).sha256
    assert len(gym_questions("gym:gcd", limit=0, seed=1).questions) == 100


@pytest.mark.usefixtures("gym")
@pytest.mark.parametrize(
    ("answer", "right"), [("8", True), ("9", False), ("5", False), ("well", False), ("", False)]
)
def test_the_verifier_judges(answer, right):
    """What the verifier scores 1 is right, whatever the answer on file; if it fails, it is not."""
    (question,) = gym_questions("gym:gcd", limit=1, seed=1).questions
    (run,) = make_runs({"seed": 0}, {}, ["soft"])
    plan = Plan(questions=[question], runs=[run], reader=make_reader("exact"))
    assert judge(plan, run, question, 0, Outcome(answer=answer)).correct is right


@pytest.mark.usefixtures("gym")
def test_unknown_kinds_are_refused():
    """A kind that is not there is told, with one that looks like it."""
    with pytest.raises(UsageError, match="no problems 'sum'") as raised:
        gym_questions("gym:gcd,sum", limit=2, seed=1)
    assert raised.value.hint == "did you mean 'sums'?"
    with pytest.raises(UsageError, match="names no kind"):
        gym_questions("gym:", limit=2, seed=1)


def test_the_gym_is_an_extra(monkeypatch):
    """Without reasoning-gym, the way to get it is told."""
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(UsageError) as raised:
        gym_questions("gym:gcd", limit=1, seed=1)
    assert "softchat[gym]" in raised.value.hint


def test_the_real_gym():
    """The real reasoning-gym, where it is installed: its own answers are right, others wrong."""
    pytest.importorskip("reasoning_gym")
    found = gym_questions("gym:chain_sum,gcd", limit=6, seed=1)
    assert all(q.verify(q.answer) for q in found.questions)
    assert not any(q.verify("none") for q in found.questions)
