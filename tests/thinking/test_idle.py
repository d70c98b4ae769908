"""Settings that a run does not look at: what is said to be without effect has none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softchat.errors import UsageError
from softchat.settings import KNOBS, Settings, choices, resolve
from tests.thinking.test_think import END, MIXED, SURE, run

CHOSEN = {
    "strategy": st.sampled_from(choices("strategy")),
    "halt": st.sampled_from(choices("halt")),
    "halt_at": st.sampled_from(choices("halt_at")),
    "lens": st.booleans(),
    **{name: st.sampled_from([0.0, 0.5]) for name in ("temperature", "answer_temperature", "tau")},
    "drift_steps": st.sampled_from([0, 2]),
    "think": st.booleans(),
    "max_think": st.sampled_from([0, 8]),
}
"""The settings that leave others without effect."""
DEPENDENT = sorted(set(KNOBS) - {"max_answer"})  # it counts always, and runs are short
SCRIPT = [MIXED, {"\n": 0.6, "a": 0.4}, SURE, SURE, MIXED, {"\n": 1.0}, *[MIXED] * 4, END]


def values_of(name):
    """Any value that this setting can have, none of them large."""
    if choices(name):
        return st.sampled_from(choices(name))
    knob = KNOBS[name]
    if str(knob.type) == "str":
        return st.sampled_from(["", "a", "b"])
    low, high = knob.metadata["low"] or 0, min(knob.metadata["high"] or 9, 9)
    return st.integers(low, high) if str(knob.type) == "int" else st.floats(low, high)


@given(data=st.data(), chosen=st.fixed_dictionaries(CHOSEN), name=st.sampled_from(DEPENDENT))
def test_what_is_idle_changes_nothing(data, chosen, name):
    """Whatever its value, the run is the same, event for event."""
    settings = resolve({}, chosen)
    if name in CHOSEN or settings.uses(name):
        return
    value = data.draw(values_of(name))
    before, _ = run(SCRIPT, **chosen)
    after, _ = run(SCRIPT, **chosen, **{name: value})
    assert after[1:] == before[1:]


@pytest.mark.parametrize(
    ("chosen", "name", "beside", "unlike"),
    [
        ({"strategy": "hard"}, "topn", "strategy hard", "strategy soft, gumbel, dirichlet"),
        ({}, "selar_k", "strategy soft", "strategy selar"),
        ({"strategy": "hard"}, "patience", "tau 0", "tau above 0"),
        ({"temperature": 0.0}, "top_k", "temperature 0", "temperature above 0"),
        ({"answer_temperature": 0.0}, "answer_min_p", "answer_temperature 0", "answer_temperature"),
        ({"drift_steps": 0}, "drift_entropy", "drift_steps 0", "drift_steps above 0"),
        ({"strategy": "hard", "drift_steps": 3}, "drift_steps", "strategy hard", "strategy soft"),
        ({"halt": "sure"}, "eat_alpha", "halt sure", "halt eat"),
        ({}, "halt_cue", "halt none", "halt sure, eat, deer or agree, or with lens on"),
        ({"halt": "eat"}, "halt_word", "halt_at own", "halt_at word"),
        ({"halt": "deer", "halt_at": "line"}, "halt_every", "halt_at line", "halt_at steps"),
        ({}, "lens_every", "lens off", "lens on"),
        ({"think": False}, "topn", "think off", "think on"),
        ({"think": False, "strategy": "hard"}, "strategy", "think off", "think on"),
        ({"think": False}, "max_think", "think off", "think on"),
        ({"max_think": 0}, "temperature", "max_think 0", "max_think above 0"),
    ],
)
def test_it_is_told_what_leaves_it_idle(chosen, name, beside, unlike):
    """And what would not, in one line each."""
    with pytest.raises(UsageError, match=f"--x does nothing with {beside}$") as caught:
        resolve({}, chosen).refuse_idle(["seed", name], shown=lambda _: "--x")
    assert caught.value.hint.startswith(f"it does with {unlike}")


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        ({}, "topn"),
        ({"strategy": "hard", "tau": 0.1}, "patience"),
        ({"halt": "deer"}, "halt_word"),
        ({"halt": "agree"}, "halt_every"),
        ({"halt": "sure", "halt_at": "word"}, "halt_word"),
        ({"sure_entropy": 0.2}, "sure_entropy"),
        ({"lens_every": 4}, "lens_tokens"),
        ({"strategy": "hard", "drift_steps": 0}, "drift_steps"),
        ({"halt": "deer", "sure_entropy": 0}, "sure_entropy"),
        ({"lens": True}, "halt_cue"),
        ({"think": False}, "answer_temperature"),
        ({"think": False, "answer_temperature": 0.0}, "seed"),
        ({"max_think": 0}, "closing"),
    ],
)
def test_what_counts_is_not_refused(chosen, name):
    """Also where a setting alone has chosen the rule, or the lens, that it is of; 0 for never."""
    resolve({}, chosen).refuse_idle([*chosen, name])


def test_each_setting_counts_for_some_run():
    """None is idle whatever one does."""
    runs = [
        Settings(strategy=strategy, halt=halt, halt_at=at, lens=True)
        for strategy in choices("strategy")
        for halt in choices("halt")
        for at in choices("halt_at")
    ]
    assert all(any(run.uses(name) for run in runs) for name in KNOBS)
