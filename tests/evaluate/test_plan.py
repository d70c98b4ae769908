"""Which runs there are, and what they are called."""

from __future__ import annotations

import pytest

from softchat.errors import UsageError
from softchat.evaluate.plan import make_runs, parse_run, same_runs
from softchat.settings import parse

DEFAULTS = {"tau": 0.05, "topn": 5, "seed": 0}


def test_a_grid():
    """Every combination is a run, named by what varies; what does not vary holds for all."""
    runs = make_runs(DEFAULTS, {"tau": [0.1, 0.2], "topn": [1, 5], "patience": [3]})
    assert [run.name for run in runs] == [
        "tau=0.1 topn=1", "tau=0.1 topn=5", "tau=0.2 topn=1", "tau=0.2 topn=5",
    ]  # fmt: skip
    assert [run.settings.topn for run in runs] == [1, 5, 1, 5]
    assert {run.settings.patience for run in runs} == {3}
    assert runs[1].varied == {"tau": 0.1, "topn": 5}


def test_strategies():
    """Hard is the baseline without a cold stop, unless somebody gives it a τ."""
    hard, soft = make_runs(DEFAULTS, {"strategy": ["hard", "soft"]})
    assert (hard.name, hard.settings.tau) == ("hard", 0.0)
    assert (soft.name, soft.settings.tau) == ("soft", 0.05)
    hard, soft = make_runs(DEFAULTS, {"strategy": ["hard", "soft"], "tau": [0.2]})
    assert hard.settings.tau == soft.settings.tau == 0.2


def test_named_runs():
    """A run can be written out; what the flags say holds for it unless it says otherwise."""
    runs = make_runs(
        DEFAULTS, {"tau": [0.3], "max_think": [9]}, ["hard", "cool: soft tau=0.1", "top-k=7 soft"]
    )
    assert [run.name for run in runs] == ["hard", "cool", "top_k=7 soft"]
    assert [run.settings.tau for run in runs] == [0.3, 0.1, 0.3]
    assert {run.settings.max_think for run in runs} == {9}
    assert runs[2].settings.top_k == 7


def test_runs_that_are_the_same():
    """They differ in what they don't look at alone."""
    runs = make_runs({}, {"strategy": ["soft", "hard"], "topn": [1, 2]})
    assert same_runs(runs) == ("hard topn=1", "hard topn=2")
    assert same_runs(make_runs({}, {"strategy": ["soft", "hard"]})) is None


def test_no_zero_is_another_one():
    """-0.0 is the same number, so the same run."""
    values = [parse("tau", text) for text in ("0", "-0.0")]
    with pytest.raises(UsageError, match="two runs are called"):
        make_runs({}, {"tau": values})


def test_the_grid_with_nothing_varied():
    """One run is called after its strategy."""
    assert [run.name for run in make_runs(DEFAULTS, {"strategy": ["hard"]})] == ["hard"]
    assert [run.name for run in make_runs(DEFAULTS, {})] == ["soft"]


@pytest.mark.parametrize(
    "text",
    ["a: tua=1", "a: tau", "soft tau=x", ":", "", "a: tau=-1", "hard soft", "a: top-k=1 top_k=2"],
)
def test_a_run_that_says_nothing(text):
    """A word that is no setting, a value that it can't have, and two values are refused."""
    with pytest.raises(UsageError):
        parse_run(text)


def test_names_are_unique():
    """Two runs under one name could not be told apart."""
    with pytest.raises(UsageError, match="called 'soft'"):
        make_runs(DEFAULTS, {}, ["soft", "soft: tau=0.1"])
    with pytest.raises(UsageError, match="--run"):
        make_runs(DEFAULTS, {"tau": [0.1, 0.2]}, ["soft"])


def test_more_runs_than_anybody_reads():
    """The number is told, before any of them is made."""
    with pytest.raises(UsageError, match="10,000,000,000 runs"):
        make_runs(DEFAULTS, {name: range(1, 100_001) for name in ("topn", "patience")})
