"""Events gathered into runs."""

from __future__ import annotations

from dataclasses import replace

from softchat.events import Error
from softchat.record.runs import Run, split_runs
from tests.recordings import run_of, started, step

FIRST, SECOND = run_of(step(0)), run_of(step(0), step(1), answer=("two",))
FAILED = Error(kind="context", message="too long", hint="")


def test_a_run_has_each_kind_in_its_place():
    """Steps in order, the answer as one text, the whole as it came."""
    run = Run.of(iter(SECOND))
    assert run.events == tuple(SECOND)
    assert (run.started, run.steps, run.halted) == (SECOND[0], (step(0), step(1)), SECOND[4])
    assert (run.answer, run.finished, run.error) == ("two", SECOND[-1], None)


def test_a_run_that_was_cut_off_has_what_there_is():
    """Nothing of it must be there."""
    assert Run.of([]).settings == {}
    assert Run.of(SECOND[:3]).steps == (step(0),)
    assert Run.of(SECOND[:3]).halted is None


def test_runs_begin_where_one_starts():
    """An error that came before any start is a run too."""
    runs = list(split_runs([*FIRST, *SECOND[:2], FAILED, started()]))
    assert [run.events for run in runs] == [
        tuple(FIRST), (*SECOND[:2], FAILED), (started(),),
    ]  # fmt: skip
    assert [run.error for run in split_runs([FAILED, *FIRST])] == [FAILED, None]
    assert list(split_runs([])) == []


def test_adapters_belong_to_the_name():
    """What ran was the model with them."""
    begin = started("tiny")
    assert Run.of([begin]).model_name == "tiny"
    adapted = replace(begin, model=replace(begin.model, loras=("a.gguf", "b.gguf=0.5")))
    assert Run.of([adapted]).model_name == "tiny + a.gguf + b.gguf=0.5"


def test_notable_settings_are_those_that_matter():
    """How it thought always; of the others what is not as built in, and was looked at."""
    notable = Run.of([started(topn=3, temperature=0.6, switch_window=32)]).notable
    assert notable == {
        "strategy": "soft", "temperature": "0.6", "topn": "3", "tau": "0.5", "patience": "3",
    }  # fmt: skip
    hard = Run.of([started(strategy="hard", tau=0.0, switch_window=32)]).notable
    assert {"switch_window", "topn", "patience"}.isdisjoint(hard)


def test_settings_that_no_version_knows_are_all_told():
    """Of a trace from elsewhere it is not known what its run looked at."""
    begin = started()
    begin = replace(begin, settings=begin.settings | {"halo": 3, "tau": "x"})
    notable = Run.of([begin]).notable
    assert notable["halo"] == "3"
    assert notable["tau"] == "x"
