"""What the adapter does to ordinary questions: `python -m training.ordinary MODEL CHAT ADAPTER`.

Of the questions that `training.distil` asked and training left out: how likely the untrained
model's own answers are, to itself without thinking and to the adapter behind the thought that it
learnt for such questions; and how the adapter's own runs go. Prints pairs of answers, to be read.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from softchat.engine.batch import run_together
from softchat.engine.protocol import Engine
from softchat.events import Finished, Halted
from softchat.prompt.template import render
from softchat.settings import Settings
from softchat.thinking.think import think
from training.chat import THOUGHT
from training.distil import SYSTEM as PLAIN
from training.engine import open_engine
from training.examples import CHAT_HELD_OUT
from training.prompt import CLOSE, make_question_prompt
from training.search import WAYS


def surprise(engine: Engine, before: list[int], said: list[int]) -> float:
    """Mean nats a token of a text behind another."""
    engine.rollback(0)
    logits, total = engine.decode_tokens(before), 0.0
    for token in said:
        peak = float(logits.max())
        total += peak + float(np.log(np.exp(logits - peak).sum())) - float(logits[token])
        logits = engine.decode_tokens([token])
    return total / len(said)


def plain_prompt(engine: Engine, question: str) -> list[int]:
    """The question as the untrained model was asked it: without a thought."""
    messages = [{"role": "system", "content": PLAIN}, {"role": "user", "content": question}]
    return engine.tokenize(render(engine.chat_template or "", messages), special=True)


def thought_prompt(engine: Engine, question: str) -> list[int]:
    """The question as softchat asks it, behind the thought for ordinary questions."""
    before = make_question_prompt(engine, question).tokens
    return [*before, *engine.tokenize(THOUGHT), *engine.tokenize(CLOSE, special=True)]


def ask(engine: Engine, question: str, settings: Settings) -> Any:  # noqa: ANN401
    """How one run went."""
    prompt = make_question_prompt(engine, question)
    engine.rollback(0)
    line: dict[str, Any] = {}
    for event in think(engine, prompt, settings):
        if isinstance(event, Halted):
            line["reason"] = str(event.reason)
        if isinstance(event, Finished):
            line |= {"answer": event.answer, "steps": event.steps, "tokens": event.answer_tokens}
    return line


def main() -> None:
    """Print the figures, and a few answers beside each other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("chat", type=Path)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--show", type=int, default=12)
    options = parser.parse_args()
    lines = [json.loads(line) for line in options.chat.read_text("utf-8").splitlines()]
    lines = [line for line in lines[-CHAT_HELD_OUT:] if line["answer"].strip()]
    figures: dict[str, list[float]] = {}
    for name, adapter in (("without", None), ("with", options.adapter)):
        make = thought_prompt if adapter else plain_prompt
        jobs = (
            lambda e, line=line, make=make: surprise(
                e, make(e, line["question"]), e.tokenize(line["answer"])[:64]
            )
            for line in lines
        )
        with open_engine(options.model, adapter, sequences=8) as engine:
            found = dict(run_together(engine, jobs))
            figures[name] = [found[number] for number in range(len(lines))]
            if adapter:
                runs = (
                    lambda e, line=line: ask(e, line["question"], WAYS["soft T 0.6"])
                    for line in lines
                )
                asked = dict(run_together(engine, runs))
    for name, nats in figures.items():
        print(f"{name} the adapter: {np.mean(nats):.3f} nats a token of its untrained answers")
    closed = sum(run["reason"] == "closed" for run in asked.values())
    short = sum(run["steps"] <= 12 for run in asked.values())
    print(f"of {len(lines)} runs {closed} closed their thinking, {short} within 12 steps")
    for number in range(min(options.show, len(lines))):
        print(f"\n? {lines[number]['question']}")
        print(f"- {lines[number]['answer'][:200]!r}")
        print(f"+ {asked[number]['answer'][:200]!r} ({asked[number]['steps']} steps)")


if __name__ == "__main__":
    main()
