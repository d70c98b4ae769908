"""Answers of the untrained model to ordinary questions: `python -m training.distil MODEL OUT`.

Asked through llama.cpp without thinking, with the likeliest token at each position. Resumable: what
OUT holds already is not asked again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from softchat.engine.llama import LlamaEngine
from softchat.template import render
from training.chat import questions

SYSTEM = "You are a helpful assistant."


def answer(engine: LlamaEngine, question: str, most: int) -> tuple[str, bool]:
    """The model's answer without thinking, of at most so many tokens, and whether it ended."""
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": question},
    ]
    text = render(engine.chat_template or "", messages)
    engine.rollback(0)
    logits = engine.decode_tokens(engine.tokenize(text, special=True))
    said = b""
    for _ in range(most):
        token = int(np.argmax(logits))
        if engine.is_end(token):
            return said.decode("utf-8", "replace"), True
        said += engine.piece(token, special=False)
        logits = engine.decode_tokens([token])
    return said.decode("utf-8", "replace"), False


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask what has not been asked yet, and append the answers to a file of JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--most", type=int, default=80, help="tokens of an answer")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    done = options.out.read_text("utf-8").count("\n") if options.out.exists() else 0
    with (
        LlamaEngine(options.model, n_ctx=1024, n_threads=options.threads) as engine,
        options.out.open("a", encoding="utf-8") as out,
    ):
        for question in questions()[done : options.count]:
            text, ended = answer(engine, question, options.most)
            line = {"question": question, "answer": text, "ended": ended}
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
