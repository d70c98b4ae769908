"""Problems of reasoning-gym: which come, and who judges them."""

from __future__ import annotations

import sys

import pytest

from softchat.errors import UsageError
from softchat.evaluate.answers import make_reader
from softchat.evaluate.evaluate import Outcome, Plan, judge
from softchat.evaluate.gym import gym_questions
from softchat.evaluate.harmless import is_harmless
from softchat.evaluate.plan import make_runs

PACKAGE = {
    "__init__.py": """
from reasoning_gym.factory import DATASETS

def create_dataset(name, *, size, seed):
    return DATASETS[name](name, size, seed)
""",
    "factory.py": """
from reasoning_gym.careful import Kind
from reasoning_gym.careless import Careless

def fussy(name, size, seed):
    assert False, "wants more\\nthan a name"

DATASETS = {"sums": Kind, "gcd": Kind, "careless": Careless, "fussy": fussy}
""",
    "careful.py": '''
class Kind:
    """A stand-in for a dataset: its problems tell their name, seed and number."""

    def __init__(self, name, size, seed):
        self.name, self.size, self.seed = name, size, seed

    def __getitem__(self, place):
        if place >= self.size:
            raise IndexError(place)
        text = f"{self.name} {self.seed} {place}?"
        return {"question": text, "answer": "7 or 8", "metadata": {("not", "json"): {1}}}

    def score_answer(self, given, entry):
        """Both 7 and 8 are right, 9 is half right, and words make it fail, as some verifiers do."""
        print("judging")
        assert entry["answer"] == "7 or 8"
        assert entry["metadata"] == {("not", "json"): {1}}
        return {7: 1.0, 8: 1.0, 9: 0.5}.get(int(given), 0.0)
''',
    "careless.py": """
from reasoning_gym.careful import Kind

class Careless(Kind):
    def score_answer(self, given, entry):
        return float(eval(given) == 7)
""",
}


@pytest.fixture
def gym(monkeypatch, tmp_path):
    """A reasoning-gym of three kinds, whether or not the real one is installed."""
    for name in [one for one in sys.modules if one.partition(".")[0] == "reasoning_gym"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "gym" / "reasoning_gym").mkdir(parents=True)
    for name, text in PACKAGE.items():
        (tmp_path / "gym" / "reasoning_gym" / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "gym")
    yield
    for name in [one for one in sys.modules if one.partition(".")[0] == "reasoning_gym"]:
        del sys.modules[name]


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


@pytest.mark.usefixtures("gym")
def test_kinds_that_ask_for_more_are_told():
    """As reasoning-gym's `composite` does, which wants other kinds; and numbers without end."""
    with pytest.raises(UsageError, match="'fussy' can't be made: wants more␊than a name"):
        gym_questions("gym:gcd,fussy", limit=2, seed=1)
    with pytest.raises(UsageError, match="no more than 100000 problems"):
        gym_questions("gym:gcd", limit=10**12, seed=1)


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


@pytest.mark.usefixtures("gym")
def test_an_answer_is_not_run(tmp_path):
    """Nine verifiers of reasoning-gym run what the model says as Python; here it does nothing."""
    (question,) = gym_questions("gym:careless", limit=1, seed=1).questions
    assert question.verify("3 + 4")
    assert not question.verify("3 + 5")
    told = tmp_path / "told"
    for said in (
        f"__import__('os').mkdir({str(told)!r})",
        f"exec('import os; os.mkdir({str(told)!r})') or 7",
        f"[__import__('os').mkdir({str(told)!r}), 7][1]",
    ):
        assert not question.verify(said)
        assert not told.exists()
    assert question.verify("7")


@pytest.mark.usefixtures("gym")
def test_an_answer_that_never_ends_is_ended():
    """The next one is judged all the same."""
    (question,) = gym_questions("gym:careless", limit=1, seed=1).questions
    assert not question.verify("9**9**9**9")
    assert not question.verify("[0] * 10**10")
    assert question.verify("7")


@pytest.mark.parametrize(
    "text",
    ["7", "-1.5e3", "[[0, 1], [1, 0]]", "['a', 'b']", "('a',)", "x**2/2 + C",
     "2*sin(3*x) - exp(x)/4",
     "sqrt(2)*(x + 1)", "0 1 0\n1 0 1", "_ Q _ _\n_ _ _ Q", "a word",
     "Anna is a knight", "(1 + 2) * 3 = 9",
     "3x + 2", "9**9**9", "yes.", "{1: 2}", "x == 3", "", "None", "12:30", "#.@\n..#"],
)  # fmt: skip
def test_data_and_formulas_are_harmless(text):
    """What answers look like."""
    assert is_harmless(text)


@pytest.mark.parametrize(
    "text",
    ["exec('1')", "f()", "x.y", "x.y()", "(exec)('1')", "[exec][0]('1')", "exec\\\n('1')",
     "(exec # it\n ('1'))", "sin('exec(1)')", "'exec(1)'", "'exec\\x281\\x29'", "'%c' % 40",
     "'a' + 'b'", "f'{exec(1)}'", "f'{x}'", "lambda: 1", "[x for x in y]", "__import__",
     "sin(__x__)",
     "x[0]", "sin(x, y=1)", "ｅｘｅｃ(1)", "(yield)", "(x := 1)", "b'exec(1)'", "x if y else z",
     "exec(1)!", "S('1')!", "exec (1) 2", "don't (do) it", "1" * 20_000],
)  # fmt: skip
def test_programs_are_not(text):
    """What calls, reads an attribute, or has text that could be read as a formula in its turn."""
    assert not is_harmless(text)
