"""What it costs that the model is in another process: a message, and a step.

    python benchmarks/wire.py [MODEL.gguf] [--steps 256] [--repeats 9]

Messages: microseconds of processor time to write a step with so many tokens into a pipe, which the
worker does between two steps, and to read one, which its parent does meanwhile; the least over
repeats. With a model also steps a second in this process and in a worker, in turns: the median of
each, and of the ratio of neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from softchat.events import ConceptEntry, Finished, Mode, Step, from_dict, to_dict
from softchat.settings import resolve
from softchat.talk.backend import Backend, ChatRequest
from softchat.talk.load import Load
from softchat.talk.local import LocalBackend
from softchat.talk.worker.process import Worker
from softchat.talk.worker.remote import WorkerBackend
from softchat.talk.worker.wire import line_of

QUESTION = "Why is the sky blue?"
LONG = {"tau": 0.0, "loop_steps": 0, "drift_steps": 0, "temperature": 1.0, "seed": 1}
CALLS, REPEATS = 50, 100


def main() -> None:
    """Measure messages, and steps if there is a model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    for tokens in (1, 3, 10):
        written, read = message_costs(tokens)
        print(f"a step of {tokens:2} tokens: written in {written:.1f} µs, read in {read:.1f} µs")
    if given.model:
        compare(given.model, given.steps, given.repeats)


def message_costs(tokens: int) -> tuple[float, float]:
    """Microseconds to write and to read a step of so many tokens."""
    entry = ConceptEntry(id=12345, piece=" word", weight=1 / tokens)
    step = Step(
        index=7, entropy=1.23456789, concept=(entry,) * tokens, below=0, mode=Mode.SOFT,
        elapsed_s=1.23456789,
    )  # fmt: skip
    line = line_of(to_dict(step))
    down, up = os.pipe()

    def write() -> None:
        os.write(up, line_of(to_dict(step)))

    def read() -> None:
        from_dict(json.loads(os.read(down, len(line))))

    # In turns: more than fits into the pipe would wait for ever.
    costs = [(cost(write), cost(read)) for _ in range(REPEATS)]
    os.close(down)
    os.close(up)
    return min(one[0] for one in costs), min(one[1] for one in costs)


def cost(call: Callable[[], None]) -> float:
    """Microseconds of processor time a call."""
    began = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - began) / CALLS * 1e6


def compare(model: Path, steps: int, repeats: int) -> None:
    """Steps a second here and in a worker, in turns."""
    load = Load(path=model, name=model.stem, n_ctx=2 * steps + 256)
    here_s, there_s = [], []
    with (
        closing(LocalBackend(load.engine(cancelled=lambda: False))) as here,
        closing(WorkerBackend(Worker(), load)) as there,
    ):
        for _ in range(repeats):
            here_s.append(step_s(here, steps))
            there_s.append(step_s(there, steps))
    ratios = [b / a for a, b in zip(here_s, there_s, strict=True)]
    print(f"a step in this process: {statistics.median(here_s) * 1e3:.3f} ms")
    print(f"a step in a worker:     {statistics.median(there_s) * 1e3:.3f} ms")
    print(f"ratio: {statistics.median(ratios):.4f} ({min(ratios):.4f} to {max(ratios):.4f})")


def step_s(backend: Backend, steps: int) -> float:
    """Seconds a step of a run, as who looks at it sees it."""
    settings = resolve({}, {**LONG, "max_think": steps, "max_answer": 1})
    *_, last = backend.ask(ChatRequest(text=QUESTION, fresh=True), settings)
    assert isinstance(last, Finished)
    return last.think_s / last.steps


if __name__ == "__main__":
    main()
