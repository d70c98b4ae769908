"""Ordinary questions and the untrained model's answers: `python -m training.distil MODEL OUT`.

Three kinds of question: those of `training.chat` and `training.numbered`, and those that the
untrained model makes up itself when it is given nothing but the beginning of a user's turn
(Xu et al. 2024, Magpie, arXiv:2406.08464). The answers are the likeliest tokens without any
thinking; beside each token stands how likely the model found it and the next likeliest ones, which
is what the adapter learns (Hinton et al. 2015, Distilling the Knowledge in a Neural Network,
arXiv:1503.02531).

Resumable: what OUT holds already is not asked again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np

from softchat.engine.llama import LlamaEngine
from softchat.prompt.template import render
from softchat.thinking.concept import Distribution
from training import numbered
from training.chat import questions
from training.known import FACTS

SYSTEM = "You are a helpful assistant."
INVENTED = 450
"""How many questions the model makes up."""
LIKELY = 16
"""How many tokens of a distribution are kept."""
_BEGINNING = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n"
_LONGEST = 40  # tokens of a question that is made up
_DRAWN_FROM, _TOP_P = 200, 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A question and its answer of T tokens, as a line of OUT has it."""

    question: str
    answer: str
    ended: bool
    """Whether the last token is the one that ends a turn; it is no part of `answer`."""
    tokens: list[int]
    likely: list[list[int]]  # (T, LIKELY), likeliest first
    weights: list[list[float]]  # (T, LIKELY), of sum 1


def answer(engine: LlamaEngine, question: str, most: int) -> Told:
    """The model's answer without thinking, of at most so many tokens."""
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": question},
    ]
    text = render(engine.chat_template or "", messages)
    engine.rollback(0)
    logits = engine.decode_tokens(engine.tokenize(text, special=True))
    said, ended = b"", False
    tokens: list[int] = []
    likely: list[list[int]] = []
    weights: list[list[float]] = []
    while len(tokens) < most and not ended:
        kept = Distribution(logits).keep(topn=LIKELY)
        token = kept.argmax
        tokens.append(token)
        likely.append([int(id_) for id_ in kept.ids])
        weights.append([round(float(weight), 5) for weight in kept.weights])
        ended = engine.is_end(token)
        if not ended:
            said += engine.piece(token, special=False)
            logits = engine.decode_tokens([token])
    return Told(
        question=question,
        answer=said.decode("utf-8", "replace"),
        ended=ended,
        tokens=tokens,
        likely=likely,
        weights=weights,
    )


def invent(engine: LlamaEngine, rng: np.random.Generator) -> str:
    """A question of one line that the model makes up: what it takes for a user's turn."""
    beginning = engine.tokenize(_BEGINNING, special=True)
    while True:
        engine.rollback(0)
        logits, said = engine.decode_tokens(beginning), b""
        for _ in range(_LONGEST):
            kept = Distribution(logits, 0.9).keep(topn=_DRAWN_FROM, top_p=_TOP_P)
            weights = kept.weights.astype(np.float64)
            token = int(rng.choice(kept.ids, p=weights / weights.sum()))
            if engine.is_end(token):
                break
            said += engine.piece(token, special=False)
            logits = engine.decode_tokens([token])
        else:
            continue
        text = said.decode("utf-8", "replace").strip()
        if text.isprintable() and text and text not in FACTS:
            return text


def asked(engine: LlamaEngine, first: int) -> Iterator[str]:
    """All questions from a number on, those of all kinds mixed; the same each time."""
    plan = [*questions(), *numbered.questions(), *[None] * INVENTED]
    Random("mixed").shuffle(plan)
    for number, question in enumerate(plan[first:], first):
        yield question or invent(engine, np.random.default_rng(number))


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask what has not been asked yet, and append the answers to a file of JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, help="of the questions; all of them if not given")
    parser.add_argument("--most", type=int, default=48, help="tokens of an answer")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    done = options.out.read_text("utf-8").count("\n") if options.out.exists() else 0
    with (
        LlamaEngine(options.model, n_ctx=1024, n_threads=options.threads) as engine,
        options.out.open("a", encoding="utf-8") as out,
    ):
        left = None if options.count is None else max(0, options.count - done)
        for question in islice(asked(engine, done), left):
            told = answer(engine, question, options.most)
            out.write(json.dumps(asdict(told)) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
