"""Numbers of a model that are none, at any moment of a run: a named error, and all goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from softchat.errors import NumericsError
from softchat.evaluate.answers import make_reader
from softchat.evaluate.evaluate import Plan, evaluate, one_by_one
from softchat.evaluate.plan import Run
from softchat.evaluate.questions import Question
from softchat.events import Error, Finished, Step, from_dict, to_json
from softchat.settings import KNOBS, Settings, StrategyName
from softchat.talk.conversation import Conversation
from softchat.testing import FakeEngine
from softchat.thinking.prompt import Prompt
from softchat.thinking.think import think
from tests.faults.soak import times

VOCABULARY = [
    "q",
    "a",
    "b",
    "</think>",
    "<end>",
    "User",
    ": ",
    "\n\n",
    "Assistant",
    ":",
    "<think>",
    "\n",
]
SCRIPT = [{"a": 0.5, "b": 0.5}] * 5 + [{"</think>": 1.0}] + [{"b": 1.0}] * 4 + [{"<end>": 1.0}]
PROMPT = Prompt(tokens=(0,), close="</think>", inject="</think>")
SETTINGS = Settings(tau=0, loop_steps=0, drift_steps=0)


class Bad(FakeEngine):
    """An engine whose logits are no numbers from one decode on, or whose rows are none."""

    def __init__(self, at: int, value: float, *, rows: bool = False) -> None:
        super().__init__(VOCABULARY, SCRIPT)
        self.at, self.value = at, value
        if rows:
            self.embeddings[1] = value

    def _decode(self, items):
        logits = super()._decode(items)
        if self._decodes >= self.at:
            logits[2 if np.isnan(self.value) or self.value > 0 else slice(None)] = self.value
        return logits

    def decode_embedding(self, embedding):
        if not np.isfinite(embedding).all():
            raise NumericsError("an embedding holds NaN or infinity")
        return super().decode_embedding(embedding)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("at", "place"),
    [
        (1, "behind the prompt"),
        (2, "behind thinking step 0, 'a' 0.50, 'b' 0.50"),
        (4, "behind thinking step 2, 'a' 0.50, 'b' 0.50"),
        (7, "behind thinking step 5, '</think>' 1.00"),
        (8, "behind token 1 of the answer, 'b'"),
        (10, "behind token 3 of the answer, 'bbb'"),
    ],
)
def test_the_error_says_where(at, place, value):
    """The step with its concept token, or the word of the answer, behind which it happened."""
    with pytest.raises(NumericsError, match="logits hold") as caught:
        list(think(Bad(at, value), PROMPT, SETTINGS))
    assert caught.value.message.startswith(place)
    assert caught.value.hint


ODD = {
    "nan": [np.nan] * 12,
    "one nan": [0.0, 0.0, np.nan] + [0.0] * 9,
    "infinity": [np.inf] + [0.0] * 11,
    "infinities": [np.inf] * 2 + [0.0] * 10,
    "nothing": [-np.inf] * 12,
    "one left": [-np.inf] * 11 + [0.0],
    "huge": [3e38, -3e38] * 6,
    "the largest": [3.4e38] * 12,
    "the least": [-3.4e38] * 12,
    "tiny": [1e-45] * 12,
    "equal": [0.0] * 12,
    "minus zero": [-0.0] * 12,
}
CASES = list(product(StrategyName, ODD, (1, 3), (0.0, 1e-6, 1.0, 2.0)))


@pytest.mark.parametrize("first", range(8))
def test_any_logits_and_any_settings(first):
    """Each strategy, at any temperature: a run, or an error that is softchat's own."""
    refused = 0
    cases = CASES[first::8]
    for strategy, odd, at, temperature in cases[:: times(8, 1)]:
        engine = FakeEngine(VOCABULARY, SCRIPT)
        plain = engine._decode

        def decode(items, engine=engine, plain=plain, odd=odd, at=at):
            logits = plain(items)
            return np.array(ODD[odd], np.float32) if engine._decodes >= at else logits

        engine._decode = decode
        settings = Settings(
            strategy=strategy, temperature=temperature, answer_temperature=temperature,
            tau=0, max_think=8, max_answer=5,
        )  # fmt: skip
        try:
            assert list(think(engine, PROMPT, settings))
        except NumericsError:
            refused += 1
            assert odd in ("nan", "one nan", "infinity", "infinities", "nothing"), odd
    print(f"{refused} of {len(cases)} refused")


def ends():
    """Each strategy with each of its own numbers at the ends of its range."""
    for name, knob in KNOBS.items():
        low, high = knob.metadata["low"], knob.metadata["high"]
        for strategy in {*StrategyName} & {*knob.metadata["of"]} if low is not None else ():
            most = 2**62 if isinstance(knob.default, int) else 1e308
            for value in (low, most if high is None else high):
                yield strategy, name, type(knob.default)(value)


@pytest.mark.parametrize(("strategy", "name", "value"), sorted(ends()))
def test_the_ends_of_a_range_can_be_told(strategy, name, value):
    """A strategy's settings may be at the ends of their ranges: its events can be read again."""
    settings = replace(SETTINGS, strategy=strategy, temperature=0.6, **{"topn": 10, name: value})
    events = list(think(FakeEngine(VOCABULARY, SCRIPT), PROMPT, settings))
    assert isinstance(events[-1], Finished)
    for event in events:
        assert from_dict(json.loads(to_json(event))) == event


def test_a_mixture_that_is_no_embedding():
    """Rows of the file can be infinite where the proof did not look."""
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(NumericsError, match=r"behind thinking step 0, .*an embedding holds"),
    ):
        list(think(Bad(99, np.inf, rows=True), PROMPT, SETTINGS))


def test_a_conversation_keeps_the_turn():
    """With all that was seen of it, and the error; the next turn is as any."""
    talk = Conversation(Bad(4, np.nan))
    with pytest.raises(NumericsError):
        list(talk.ask("q", SETTINGS))
    (turn,) = talk.turns
    assert turn.failed
    assert isinstance(turn.events[-1], Error)
    assert [event.index for event in turn.events if isinstance(event, Step)] == [0, 1, 2]
    talk.backend._engine.at = 99
    assert list(talk.ask("q", SETTINGS))
    assert [turn.failed for turn in talk.turns] == [True, False]


def test_an_evaluation_goes_on():
    """The question counts as failed, with why; the others are asked."""
    plan = Plan(
        questions=[Question(index=n, text="q", answer="b") for n in range(3)],
        runs=[Run(name="soft", settings=SETTINGS, varied={})],
        reader=make_reader("exact"),
    )
    engine = Bad(4, np.nan)
    results = []
    for result in evaluate(lambda jobs: one_by_one(engine, jobs), plan):
        results.append(result)
        engine.at = 10**6
    assert [bool(result.outcome.error) for result in results] == [True, False, False]
    assert "behind thinking step 2" in results[0].outcome.error
    assert results[0].correct is False


def test_pieces_are_shown_in_short():
    """A file can hold pieces of a megabyte; what they spell is answered in full all the same."""
    vocabulary = [*VOCABULARY, "x" * 10**6, b"\xe7" * 10**6]
    long = {vocabulary[-2]: 0.5, vocabulary[-1]: 0.5}
    script = [long, {"</think>": 1.0}, {vocabulary[-2]: 1.0}, {"<end>": 1.0}]
    events = list(think(FakeEngine(vocabulary, script), PROMPT, SETTINGS))
    step = next(event for event in events if isinstance(event, Step))
    assert sorted(len(entry.piece) for entry in step.concept) == [200, 800]
    assert len(events[-1].answer) == 10**6
