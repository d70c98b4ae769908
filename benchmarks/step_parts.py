"""Where a soft step goes: microseconds between two decodes, and of what.

    python benchmarks/step_parts.py FILE.gguf [--steps 96] [--repeats 4] [--threads 2]

Steps of one process, medians. A decode empties the processor's caches, so that all of it takes
twice what it takes alone; timing it adds a microsecond or less to each part.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from softchat.engine.decoder import Decoder
from softchat.engine.llama import LlamaEngine
from softchat.engine.native import Context
from softchat.settings import StrategyName
from softchat.talk.pace import EndlessEngine, step_s, steps_only
from softchat.thinking import concept, feed, stepper
from softchat.thinking.concept import Distribution
from softchat.thinking.halting import Halting

PARTS: tuple[tuple[Any, str, str], ...] = (
    (Context, "logits", "the logits' address"),
    (Distribution, "__init__", "softmax, with its sums and the groups' maxima"),
    (Distribution, "keep", "what is kept of it"),
    (concept, "_heaviest", "  of that: the heaviest tokens"),
    (Halting, "count", "halting rules"),
    (stepper, "concept_entries", "the step as it is told"),
    (feed.Feed, "item", "rows and mixture"),
    (LlamaEngine, "embedding_rows", "  of that: the rows"),
    (Decoder, "check_embedding", "the mixture is finite"),
    (Context, "add", "the batch"),
)
_P, _T = ParamSpec("_P"), TypeVar("_T")
_times: dict[str, list[float]] = defaultdict(list)
_decodes: list[tuple[float, float]] = []


def main() -> None:
    """Measure a model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    for where, name, what in PARTS:
        setattr(where, name, timed(getattr(where, name), what))
    Context.process = noted(Context.process)
    between = []
    with EndlessEngine(given.model, n_ctx=given.steps + 256, n_threads=given.threads) as engine:
        for _ in range(given.repeats):
            _decodes.clear()
            step_s(engine, steps_only(StrategyName.SOFT, given.steps))
            steps = _decodes[-given.steps :]
            between += [after[0] - before[1] for before, after in pairwise(steps)]
    decode = statistics.median(end - began for began, end in _decodes)
    print(f"{given.model.name}: a decode takes {decode * 1e3:.1f} ms, and between two there are")
    print(f"{statistics.median(between) * 1e6:6.0f} µs, of which")
    for _, _, what in PARTS:
        print(f"{statistics.median(_times[what]) * 1e6:6.0f} {what}")


def timed(function: Callable[_P, _T], what: str) -> Callable[_P, _T]:
    """The function; how long it takes is noted."""

    def call(*values: _P.args, **named: _P.kwargs) -> _T:
        began = time.perf_counter()
        try:
            return function(*values, **named)
        finally:
            _times[what].append(time.perf_counter() - began)

    return call


def noted(process: Callable[[Context], int]) -> Callable[[Context], int]:
    """The decode; when it begins and ends is noted."""

    def call(context: Context) -> int:
        began = time.perf_counter()
        code = process(context)
        _decodes.append((began, time.perf_counter()))
        return code

    return call


if __name__ == "__main__":
    main()
