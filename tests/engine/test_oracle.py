"""Soft thinking through llama.cpp against an oracle that shares no code with it.

Tolerance: llama.cpp keeps keys and values as float16 (a relative error of 5e-4 each), the oracle is
float64. The largest difference seen over these traces is 2e-3; 1e-2 is allowed, and each of the
deliberate faults below is beyond it.
"""

from __future__ import annotations

import numpy as np
import pytest

from softchat.events import Mode, Step
from softchat.settings import resolve
from softchat.thinking.prompt import Prompt
from softchat.thinking.think import think
from tests import oracle, tiny

PROMPT = [1, 17, 42, 5]
TOLERANCE = 1e-2
STEPS = 24


def trace_of(engine, **flags):
    never = {"tau": 0.0, "loop_steps": 0, "drift_steps": 0}
    base = never | {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temperature": 0.8, "topn": 5}
    settings = resolve({}, base | {"max_think": STEPS, "max_answer": 1} | flags)
    engine.is_end = lambda token: False  # a random model ends its text at random
    prompt = Prompt(tokens=tuple(PROMPT), close="", inject="一")
    return [event for event in think(engine, prompt, settings) if isinstance(event, Step)]


def fed_by(steps):
    return [
        ([entry.id for entry in step.concept], np.array([entry.weight for entry in step.concept]))
        for step in steps
    ]


def worst_difference(steps, expected):
    """The largest difference in weight or entropy; a token that one side lacks is at its least."""
    worst = 0.0
    for step, (ids, weights, entropy) in zip(steps, expected, strict=True):
        mine = {entry.id: entry.weight for entry in step.concept}
        theirs = dict(zip(ids, weights.tolist(), strict=True))
        for token in mine.keys() | theirs.keys():
            # Of two nearly equal tokens either may be the n-th: then their weights are equal.
            weight = mine.get(token, min(mine.values()))
            worst = max(worst, abs(weight - theirs.get(token, min(theirs.values()))))
        worst = max(worst, abs(step.entropy - entropy))
    return worst


@pytest.mark.parametrize(("topn", "temperature"), [(5, 0.8), (1, 1.0), (3, 0.5), (96, 1.0)])
def test_a_whole_soft_trace_is_the_oracles(engine, topn, temperature):
    """Tokens, weights and entropies of 24 steps agree, each fed what the one before mixed."""
    steps = trace_of(engine, topn=topn, temperature=temperature)
    expected = oracle.soft_trace(
        tiny.weights(), PROMPT, fed_by(steps), topn=topn, temperature=temperature
    )
    assert len(steps) == STEPS
    assert {step.mode for step in steps} == {Mode.SOFT}
    assert worst_difference(steps, expected) < TOLERANCE


@pytest.mark.parametrize("fault", ["renormalise", "topn", "temperature", "row", "weight"])
def test_the_oracle_would_see_a_fault(engine, fault):
    """A missing renormalisation, another n or T, one wrong row, one wrong tensor: all are seen."""
    weights = tiny.weights()
    asked = {"topn": 5, "temperature": 0.8}
    steps = trace_of(engine)
    if fault == "renormalise":
        asked["renormalise"] = False
    elif fault == "topn":
        asked["topn"] = 4
    elif fault == "temperature":
        asked["temperature"] = 0.85
    elif fault == "row":
        heaviest = steps[0].concept[0].id
        weights["token_embd.weight"][heaviest] = weights["token_embd.weight"][heaviest - 1]
    else:
        weights["blk.1.ffn_up.weight"] *= 1.05
    assert (
        worst_difference(steps, oracle.soft_trace(weights, PROMPT, fed_by(steps), **asked))
        > TOLERANCE
    )


def test_logits_are_the_oracles(engine):
    """All logits behind a prompt agree to 1e-2, where they spread over several units."""
    logits = engine.decode_tokens(PROMPT)
    rows = tiny.weights()["token_embd.weight"][PROMPT]
    expected = oracle.forward(tiny.weights(), rows)
    np.testing.assert_allclose(logits, expected, atol=1e-2)
    assert np.ptp(expected) > 3
