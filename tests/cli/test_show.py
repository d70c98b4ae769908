"""`softchat show`, on traces made by hand."""

from __future__ import annotations

import re

import pytest

from tests.recordings import run_of, step, write_trace

RUN = run_of(*(step(i, entropy=1.25, **{f"_piece{j}": 0.125 for j in range(8)}) for i in range(60)))
SECOND = run_of(step(0, entropy=0.25, only=1.0), answer=("second",))


@pytest.fixture(autouse=True)
def _traces(tmp_path):
    write_trace(tmp_path / "run.jsonl", RUN)
    write_trace(tmp_path / "two.jsonl", RUN, SECOND)


def test_a_pipe_gets_all_of_it(softchat):
    """A line a step, none folded, no escape, no pager."""
    result = softchat("show", "run.jsonl", PAGER="false", COLUMNS="40")
    assert (result.status, result.err) == (0, "")
    rows = [line for line in result.out.splitlines() if "·piece0 0.12" in line]
    assert len(rows) == 60
    assert all(line.rstrip().endswith("·piece7 0.12") for line in rows)
    assert "\x1b" not in result.out
    assert result.out.rstrip().endswith("four legs")


def test_several_runs_come_one_after_the_other(softchat):
    """Or one of them."""
    out = softchat("show", "two.jsonl").out
    assert out.index("four legs") < out.index("second")
    assert "four legs" not in softchat("show", "two.jsonl", "--turn", "2").out


def test_one_step_in_full(softchat):
    """Every token of it, with its weight and its number; of the run's own τ."""
    result = softchat("show", "run.jsonl", "--step", "59")
    assert result.out.splitlines()[0] == "step 59 · soft · H 1.2500 nats, not under τ 0.5"
    assert sum("0.1250" in line for line in result.out.splitlines()) == 8


@pytest.mark.parametrize(
    ("arguments", "says", "helps"),
    [
        (("run.jsonl", "--step", "60"), "no step 60", "from 0 to 59"),
        (("two.jsonl", "--step", "0"), "2 runs", "--turn"),
        (("run.jsonl", "--turn", "2"), "no run 2", "1 run"),
        (("none.jsonl",), "can't read", "file"),
    ],
)
def test_a_mistake_is_one_line_and_a_hint(softchat, arguments, says, helps):
    """With what there is instead."""
    result = softchat("show", *arguments)
    assert (result.status, result.out) == (2, "")
    error, hint = result.err.splitlines()
    assert says in error
    assert helps in hint


def test_a_terminal_gets_a_pager_for_what_is_longer(terminal, environ, tmp_path):
    """A short one is printed; a long one goes through PAGER, and less is told of the colours."""
    environ.pop("LESS", None)
    environ["PAGER"] = "sed s/^/PAGED/; echo less $LESS"
    long = terminal("show", str(tmp_path / "run.jsonl"), columns=100, lines=24)
    assert long.finish() == 0
    assert "PAGED" in long.text
    assert re.search("less -?[A-Z]*R", long.text)  # ours, or what Python says since 3.13
    short = terminal("show", str(tmp_path / "two.jsonl"), "--turn", "2", columns=100, lines=24)
    assert short.finish() == 0
    assert "PAGED" not in short.text
    assert "only 1.00" in short.text
