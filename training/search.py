"""Look for a rule that ends the thinking early and costs no accuracy.

    python -m training.search record MODEL SET.jsonl OUT.jsonl --adapter ADAPTER.gguf
    python -m training.search rules OUT.jsonl

`record` thinks to the end and asks for the answer at the end of each line of thought: it puts the
closing tag in, takes the likeliest answer, notes how sure each of its tokens was, and forgets it
again. `rules` then tells from the record alone what each rule would have done.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from softchat.engine.batch import run_together
from softchat.engine.protocol import Engine
from softchat.events import Mode
from softchat.settings import Settings, StrategyName
from softchat.thinking.concept import Distribution, mixture
from softchat.thinking.halting.steps import ClosingTag
from softchat.thinking.strategies import TagTokens, make_strategy
from training.engine import open_engine
from training.prompt import CLOSE, TAGS, make_question_prompt
from training.rules import Record, table

LONGEST = 12
"""Tokens of an answer that are looked at."""
_BASE = Settings(
    tau=0.0, patience=8, top_k=0, max_think=128, answer_temperature=0.0, max_answer=48, seed=1
)
WAYS = {
    "hard T 0.6": replace(_BASE, strategy=StrategyName.HARD),
    "hard greedy": replace(_BASE, strategy=StrategyName.HARD, temperature=0.0),
    "soft T 0.6": replace(_BASE, topn=10),
    "soft T 1": replace(_BASE, topn=10, temperature=1.0),
    "hard T 1": replace(_BASE, strategy=StrategyName.HARD, temperature=1.0),
}


def probe(engine: Engine, end: str) -> Record:
    """What the model would answer now: the text, and the entropy (nats) of each of its tokens."""
    start = engine.position
    logits = engine.decode_tokens(engine.tokenize(end, special=True))
    text, entropies = b"", []
    for _ in range(LONGEST):
        p = Distribution(logits)
        token = p.keep(topn=1).argmax
        entropies.append(round(p.entropy, 5))
        if engine.is_end(token):
            break
        text += engine.piece(token, special=False)
        logits = engine.decode_tokens([token])
    engine.rollback(start)
    return {"answer": text.decode("utf-8", "replace").strip(), "entropies": entropies}


def record(engine: Engine, question: str, settings: Settings) -> Record:
    """One question's thoughts to their end, with a probe at the end of each line."""
    prompt = make_question_prompt(engine, question)
    engine.rollback(0)
    logits = engine.decode_tokens(prompt.tokens)
    tags = TagTokens(
        open=tuple(engine.tokenize(TAGS.open)), close=tuple(engine.tokenize(TAGS.close))
    )
    strategy = make_strategy(settings, np.random.default_rng(settings.seed), tags)
    closing, probes, entropies, text = ClosingTag(TAGS.close), [], [], ""
    for index in range(settings.max_think):
        p = Distribution(logits, settings.temperature)
        choice = strategy.choose(p, p.entropy)
        entropies.append(round(p.entropy, 5))
        token, piece = choice.token, engine.piece(choice.token)
        if b"\n" in piece and not text.endswith(TAGS.close):
            probes.append({"steps": index + 1, **probe(engine, CLOSE)})
        text += piece.decode("utf-8", "replace")
        if closing.update(piece):
            engine.decode_tokens([token])
            probes.append({"steps": index + 1, **probe(engine, TAGS.after_close)})
            break
        if engine.is_end(token):
            probes.append({"steps": index + 1, **probe(engine, CLOSE)})
            break
        if choice.mode is Mode.HARD:
            logits = engine.decode_tokens([token])
        else:
            concept = choice.concept
            rows = engine.embedding_rows(concept.ids)
            logits = engine.decode_embedding(mixture(concept.weights, rows))
    else:
        probes.append({"steps": settings.max_think, **probe(engine, CLOSE)})
    return {"probes": probes, "entropies": entropies, "thoughts": text}


def remaining(path: Path, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the questions that a file has no line of yet."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    done = {json.loads(line)["question"] for line in lines}
    return [item for item in asked if item["question"] not in done]


def main() -> None:
    """Record, or compare rules."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("model", type=Path)
    recording.add_argument("questions", type=Path)
    recording.add_argument("out", type=Path)
    recording.add_argument("--adapter", type=Path)
    recording.add_argument("--way", default="soft T 0.6")
    recording.add_argument("--limit", type=int, default=10**6)
    comparing = commands.add_parser("rules")
    comparing.add_argument("out", type=Path)
    options = parser.parse_args()
    if options.command == "record":
        asked = [json.loads(line) for line in options.questions.read_text("utf-8").splitlines()]
        todo = remaining(options.out, asked[: options.limit])
        jobs = (
            lambda e, item=item: record(e, item["question"], WAYS[options.way]) for item in todo
        )
        with (
            open_engine(options.model, options.adapter, sequences=8) as engine,
            options.out.open("a", encoding="utf-8") as out,
        ):
            for number, found in run_together(engine, jobs):
                item = todo[number]
                line = {"question": item["question"], "gold": item["answer"], **found}
                line["family"] = item["family"]
                out.write(json.dumps(line) + "\n")
                out.flush()
    table([json.loads(line) for line in options.out.read_text("utf-8").splitlines()])


if __name__ == "__main__":
    main()
