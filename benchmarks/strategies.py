"""What each strategy does on a real model: how its thinking ends, how often it goes in circles.

    python benchmarks/strategies.py MODEL.gguf [--strategies soft,hard] [--seeds 3] [--steps 224]
        [--set adaptive_peak=0.6]...

One line a strategy, over all questions and seeds: how many runs ended as a loop or as drift; steps
a run; of the steps, the share that mix several tokens, and in these the weight of the heaviest and
the cosine between the mixture and its row; the share of runs of 4 tokens that stood there before;
the longest row of mixtures above `drift_entropy`. With --bins also how mixtures lie to the row of
their heaviest token: by its weight, the cosine, and the mixture's length as a share of the mean
length of its rows.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from softchat.engine.llama import LlamaEngine
from softchat.events import Halted, HaltReason, Step
from softchat.prompt.template import make_prompt, single_turn
from softchat.settings import StrategyName, parse, resolve
from softchat.thinking.concept import mixture
from softchat.thinking.think import think

SYSTEM = (
    "You are a helpful assistant. First think about the question inside <think> and </think>, "
    "then write the answer."
)
QUESTIONS = (
    "What is the capital of France, and what is it known for?",
    "A shop sells 3 apples for 2 dollars. How much do 12 apples cost?",
    "How many legs have three spiders and a dog?",
    "Write a short story about a fox.",
    "Why is the sky blue?",
    "List the planets of the solar system with one fact each.",
    "Prove that the square root of 2 is irrational.",
    "Write a Python function that reverses a list.",
)


def main() -> None:
    """Run all questions with all seeds under each strategy."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--strategies", default=",".join(StrategyName))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=224)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--bins", action="store_true")
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    knobs = {
        name: parse(name, value) for name, _, value in (one.partition("=") for one in given.set)
    }
    fixed = {"tau": 0.0, "max_think": given.steps, "max_answer": 1}
    with LlamaEngine(given.model, n_ctx=1024, n_threads=given.threads) as engine:
        print(f"{'strategy':12} runs  loop drift  steps  soft  heaviest  cosine  repeats  unsure")
        for name in given.strategies.split(","):
            shapes = line(engine, name, given.seeds, fixed | knobs)
            if given.bins:
                bins(shapes)


def line(
    engine: LlamaEngine, name: str, seeds: int, knobs: dict[str, object]
) -> list[tuple[float, float, float]]:
    """Run one strategy and print what came of it; the shape of each of its mixtures."""
    ends: Counter[HaltReason] = Counter()
    steps = 0
    shapes: list[tuple[float, float, float]] = []
    repeats: list[float] = []
    unsure = 0  # the longest row of mixtures that count as drift
    deterministic = name == "soft"
    for question in QUESTIONS:
        prompt = make_prompt(engine, single_turn(question, SYSTEM))
        for seed in range(1 if deterministic else seeds):
            engine.rollback(0)
            tokens: list[int] = []
            above = 0
            settings = resolve(knobs, {"strategy": name, "seed": seed})
            for event in think(engine, prompt, settings):
                if isinstance(event, Halted):
                    ends[event.reason] += 1
                if isinstance(event, Step):
                    steps += 1
                    tokens.append(event.concept[0].id)
                    drifts = len(event.concept) > 1 and event.entropy > settings.drift_entropy
                    above = above + 1 if drifts else 0
                    unsure = max(unsure, above)
                    if len(event.concept) > 1:
                        shapes.append(_shape(engine, event))
            repeats.append(_repeated(tokens))
    weight, cosine, _ = np.mean(shapes, axis=0) if shapes else (1.0, 1.0, 1.0)
    print(
        f"{name:12} {ends.total():4d}  {ends[HaltReason.LOOP]:4d} {ends[HaltReason.DRIFT]:5d}"
        f"  {steps / ends.total():5.0f}  {len(shapes) / steps:4.2f}  {weight:8.2f}"
        f"  {cosine:6.3f}  {np.mean(repeats):7.2f}  {unsure:6d}",
        flush=True,
    )
    return shapes


def bins(shapes: list[tuple[float, float, float]]) -> None:
    """Print the mixtures by the weight of their heaviest token."""
    table = np.array(shapes).reshape(-1, 3)
    for low in np.arange(0, 1, 0.1):
        inside = table[(table[:, 0] >= low) & (table[:, 0] < low + 0.1)]
        if len(inside):
            share, (_, cosine, length) = len(inside) / len(table), inside.mean(axis=0)
            print(f"  {low:.1f}  {share:4.2f} of them  cosine {cosine:.3f}  length {length:.3f}")


def _shape(engine: LlamaEngine, step: Step) -> tuple[float, float, float]:
    """Of a mixture: its heaviest weight, its cosine to that row, and its length."""
    rows = engine.embedding_rows([entry.id for entry in step.concept])
    weights = np.array([entry.weight for entry in step.concept], np.float32)
    fed, lengths = mixture(weights, rows), np.linalg.norm(rows, axis=1)
    length = float(np.linalg.norm(fed))
    cosine = float(fed @ rows[0]) / (length * lengths[0])
    return step.concept[0].weight, cosine, length / float(weights @ lengths)


def _repeated(tokens: list[int]) -> float:
    """The share of runs of 4 tokens that stood there before."""
    runs = [tuple(tokens[i : i + 4]) for i in range(len(tokens) - 3)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


if __name__ == "__main__":
    main()
