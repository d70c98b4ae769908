"""The lens: what it would answer now, while it thinks; and how sure each token of the answer is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from softchat.events import Answer, Halted, HaltReason, Lens, Step
from softchat.settings import Settings, resolve
from softchat.testing import FakeEngine
from tests.thinking.test_think import END, MIXED, VOCABULARY, only, run

LINE = {"\n": 1.0}
UNSURE = {"c": 0.6, "b": 0.4}


def test_a_look_at_each_lines_end():
    """It tells the likeliest answer, its highest entropy, and that it ends; then it thinks on."""
    script = [MIXED, LINE, {"b": 0.9, "c": 0.1}, UNSURE, END, MIXED, {"a": 1.0}, {"b": 1.0}, END]
    events, engine = run(script, lens=True, max_think=3)
    names = [event.event for event in events]
    assert names[2:8] == ["step", "step", "lens", "step", "halted", "answer"]
    (lens,) = only(events, Lens)
    assert (lens.index, lens.text, lens.whole) == (1, "bc", True)
    assert lens.entropy == pytest.approx(-(0.6 * math.log(0.6) + 0.4 * math.log(0.4)), abs=1e-5)
    assert only(events, Step)[1].elapsed_s < lens.elapsed_s < only(events, Step)[2].elapsed_s
    # What it decoded is told, and forgotten: four tokens of tag, and the answer but for its end.
    halted = only(events, Halted)[0]
    assert (halted.probes, halted.probe_tokens) == (1, 4 + 2)
    assert len([item for item in engine.fed if isinstance(item, np.ndarray)]) == 3
    assert [step.concept[0].piece for step in only(events, Step)] == ["a", "\n", "a"]


def test_an_answer_that_goes_on_is_not_whole():
    """No more than `lens_tokens` of it are decoded."""
    events, _ = run([LINE, {"b": 1.0}], lens=True, lens_tokens=3, max_think=1, max_answer=1)
    (lens,) = only(events, Lens)
    assert (lens.text, lens.whole) == ("bbb", False)
    assert lens.entropy == pytest.approx(0.0, abs=1e-9)
    assert only(events, Halted)[0].probe_tokens == 4 + 2


def test_a_tag_that_leaks_is_no_part_of_it():
    """As it is none of the answer; a stop string ends it."""
    script = [LINE, {"b": 1.0}, {"</think>": 1.0}, {"c": 1.0}, {"a": 1.0}, END]
    for stop, text in (("", "bca"), ("c", "b")):
        events, _ = run(script, lens=True, max_think=1, stop=stop)
        assert only(events, Lens)[0].text == text


def test_every_so_many_steps():
    """`lens_every` alone means the lens, and has nothing to do with lines."""
    events, _ = run([MIXED], lens_every=2, max_think=5, max_answer=1)
    assert [lens.index for lens in only(events, Lens)] == [1, 3]
    assert resolve({}, {"lens_every": 2}).lens
    assert not resolve({}, {"lens_every": 2, "lens": False}).lens


def test_without_room_nothing_is_seen():
    """And the run goes on as it would."""
    engine = FakeEngine(VOCABULARY, [MIXED], n_ctx=24)
    events, _ = run(None, engine=engine, lens_every=1, lens_tokens=20, max_think=3, max_answer=1)
    assert only(events, Lens) == []
    assert only(events, Halted)[0].probes == 0


def test_the_step_that_ends_the_thinking_is_not_looked_from():
    """The answer comes anyway."""
    events, _ = run([END, {"b": 1.0}, END], lens_every=1)
    assert only(events, Lens) == []


def test_it_looks_beside_a_rule_that_halts():
    """Both look, each as often as it is to: `deer_probes` counts its own looks only."""
    looked = {"halt": "deer", "halt_at": "steps", "halt_every": 1, "deer_probes": 2}
    events, _ = run([UNSURE], lens_every=1, lens_tokens=1, max_think=4, **looked)
    assert len(only(events, Lens)) == 4
    assert only(events, Halted)[0].probes == 4 + 2
    events, _ = run([MIXED, LINE, {"b": 1.0}, END, {"b": 1.0}, END], lens=True, sure_entropy=0.1)
    assert only(events, Halted)[0].reason is HaltReason.SURE
    assert only(events, Lens) == []


def test_with_a_cue():
    """The same words stand before the answer as in the look ahead of a rule."""
    events, _ = run([MIXED, LINE, {"b": 1.0}, END, MIXED], lens=True, halt_cue="a", max_think=2)
    assert only(events, Halted)[0].probe_tokens == 4 + 1 + 1
    assert Settings(lens=True).uses("halt_cue")
    assert not Settings().uses("halt_cue")
    assert not Settings().uses("lens_tokens")


def test_each_token_of_the_answer_has_its_entropy():
    """As the model gave it, whatever the answer's temperature and filters make of it."""
    script = [MIXED, {"b": 0.7, "c": 0.2, "a": 0.1}, {"</": 0.6, "c": 0.4}, {"c": 1.0}, END]
    events, _ = run(script, max_think=0, answer_entropy=True)
    said = only(events, Answer)
    assert [event.token.piece for event in said] == ["b", "</", "c"]
    assert "".join(event.text for event in said) == events[-1].answer == "b</c"
    token = said[0].token
    assert token.id == VOCABULARY.index("b")
    assert token.probability == pytest.approx(0.7)
    entropy = -sum(p * math.log(p) for p in (0.7, 0.2, 0.1))
    assert token.entropy == pytest.approx(entropy, abs=1e-5)
    assert [(one.piece, round(one.weight, 5)) for one in token.alternatives] == [
        ("c", 0.2),
        ("a", 0.1),
    ]
    # Half a tag is held back; its token is told when it comes.
    assert [event.text for event in said] == ["b", "", "</c"]


def test_a_token_that_was_drawn_against_the_odds():
    """The likeliest is among what else there was, also where the filters have cut it."""
    events, _ = run([MIXED] * 20, max_think=0, max_answer=20, answer_temperature=2.0,
                    answer_entropy=True, seed=3)  # fmt: skip
    tokens = [event.token for event in only(events, Answer)]
    other = next(token for token in tokens if token.piece != "a")
    assert other.alternatives[0].piece == "a"
    assert other.alternatives[0].weight == pytest.approx(0.55)
    assert other.probability == pytest.approx(MIXED[other.piece])


def test_nothing_is_told_that_nobody_wants():
    """Neither looks nor tokens, and no decode more than before."""
    script = [MIXED, LINE, MIXED, LINE, MIXED, {"b": 1.0}, END]
    events, engine = run(script)
    assert only(events, Lens) == []
    assert [event.token for event in only(events, Answer)] == [None]
    looked, other = run(script, answer_entropy=True)
    assert [e.text for e in only(looked, Answer)] == [e.text for e in only(events, Answer)]
    assert len(engine.fed) == len(other.fed)
