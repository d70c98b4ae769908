"""How fast a model thinks here: the time of a soft step, beside llama.cpp's bare decode.

What `softchat doctor` measures in two seconds, and `softchat bench` builds on. Prints nothing.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from softchat.engine.bare import BareContext
from softchat.engine.llama import LlamaEngine
from softchat.events import Event, Step
from softchat.prompt.template import make_prompt, single_turn
from softchat.settings import Settings, StrategyName, resolve
from softchat.thinking.prompt import Prompt
from softchat.thinking.think import think

_QUESTION = "A farmer has 3 fields with 12 cows each. He sells 7 cows. How many are left?"
_FEW_STEPS = 8


class EndlessEngine(LlamaEngine):
    """The engine, on a model that never ends its text: every run has the same number of steps."""

    def is_end(self, token: int) -> bool:
        return False


def soft_to_bare(path: Path, name: str, *, seconds: float = 1.0) -> tuple[float, float]:
    """A first look: soft step ÷ bare decode, and bare decodes a second, in about this time.

    Loading comes on top, with the proof that soft thinking is exact. Raises ModelRefusedError.
    """
    n_ctx = 512
    with (
        closing(BareContext(path, n_ctx=n_ctx)) as bare,
        EndlessEngine(path, name=name, n_ctx=n_ctx) as engine,
    ):
        tokens, soft = list(bench_prompt(engine).tokens), steps_only(StrategyName.SOFT, _FEW_STEPS)
        bare.fill(tokens)
        ends = time.perf_counter() + seconds
        floors: list[float] = []
        steps: list[float] = []
        while not steps or time.perf_counter() < ends:
            floors.append(bare.run(tokens[-1], _FEW_STEPS) / _FEW_STEPS)
            steps.append(step_s(engine, soft))
    return speed_ratio(floors, steps), round(1 / statistics.median(floors), 1)


def steps_only(strategy: StrategyName, steps: int) -> Settings:
    """Nothing but thinking steps: nothing ends them early, and the answer is one token long."""
    # The guards look on all the same.
    never = {"tau": 0.0, "loop_steps": 10**9, "drift_steps": 10**9}
    return resolve(never, {"strategy": strategy, "max_think": steps, "max_answer": 1})


def bench_prompt(engine: LlamaEngine) -> Prompt:
    """One short question, with no tag that could end the thinking."""
    tokens = make_prompt(engine, single_turn(_QUESTION)).tokens
    return Prompt(tokens=tokens, close="", inject="\n")


def step_s(
    engine: LlamaEngine,
    settings: Settings,
    show: Callable[[Event], None] | None = None,
    *,
    start: int = 0,
) -> float:
    """Seconds a step of thinking takes, everything included that happens between two steps.

    Args:
        engine: cut back to `start` first.
        settings: see `steps_only`.
        show: told each event, as a view is.
        start: the position to begin at.

    """
    engine.rollback(start)
    times = []
    for event in think(engine, bench_prompt(engine), settings):
        if show is not None:
            show(event)
        if isinstance(event, Step):
            times.append(time.perf_counter())
    return (times[-1] - times[0]) / (len(times) - 1)


def speed_ratio(base: list[float], other: list[float]) -> float:
    """How fast `other` is, as a share of `base`."""
    return round(statistics.median(b / o for b, o in zip(base, other, strict=True)), 3)
