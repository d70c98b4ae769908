"""The adapter that ships."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest

import softchat
from softchat.engine.llama import LlamaEngine
from softchat.engine.protocol import Lora
from softchat.events import Finished, Halted, HaltReason, Step
from softchat.settings import Settings
from softchat.thinking.think import think
from training.prompt import make_question_prompt

ADAPTER = Path(softchat.__file__).parent / "adapters" / "smollm2-135m.gguf"


def test_it_is_what_its_card_says():
    """Rank 32 beside all seven linear layers of 30 blocks, alpha 64, float16."""
    reader = gguf.GGUFReader(ADAPTER)
    assert reader.fields["adapter.type"].contents() == "lora"
    assert reader.fields["adapter.lora.alpha"].contents() == 64.0
    assert len(reader.tensors) == 30 * 7 * 2
    assert {t.tensor_type.name for t in reader.tensors} == {"F16"}
    assert {int(min(t.shape)) for t in reader.tensors} == {32}


@pytest.fixture(scope="module")
def engine(real_model):
    """The default model with it."""
    with LlamaEngine(real_model, n_ctx=512, loras=[Lora(path=ADAPTER)]) as engine:
        yield engine


def test_a_word_problem_is_thought_through_and_right(engine):
    """Two steps, written out in the thoughts; the model closes them itself and is right."""
    question = "Tom has 12 apples. He buys 9 more and gives away 5. How many has he now?"
    settings = Settings(tau=0.0, answer_temperature=0.0)
    events = list(think(engine, make_question_prompt(engine, question), settings))
    pieces = [max(e.concept, key=lambda c: c.weight).piece for e in events if isinstance(e, Step)]
    assert "".join(pieces).startswith("12 + 9 = 21\n21 - 5 = 16\n</think")
    assert [e.reason for e in events if isinstance(e, Halted)] == [HaltReason.CLOSED]
    assert [e.answer for e in events if isinstance(e, Finished)] == ["16"]
