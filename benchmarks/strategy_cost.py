"""What each strategy costs a step beside `soft`, in microseconds: numpy alone, no model.

    python benchmarks/strategy_cost.py

The time of `choose`, once the distribution and its entropy are there: the least over repeats, on
steps that are made up, some sure, some not. The guards are those of every strategy: loop and drift.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from softchat.settings import StrategyName, resolve
from softchat.thinking.concept import Distribution
from softchat.thinking.halting.steps import Drift, Loop
from softchat.thinking.strategies import TagTokens, make_strategy

SIZES = (49_152, 262_144)
STEPS, REPEATS = 40, 15


def main() -> None:
    """Measure every strategy at every size of vocabulary, in turns."""
    print(f"{'':12}" + "".join(f"{size:>12,} tokens" for size in SIZES))
    table = {size: measure(size) for size in SIZES}
    for name in table[SIZES[0]]:
        cells = (f"{table[size][name]:8.1f} {beside(table[size], name):>+10.1f}" for size in SIZES)
        print(f"{name:12}" + "".join(cells))


def beside(times: dict[str, float], name: str) -> float:
    """What it costs more than `soft`; of the guards, all of it."""
    return times[name] - (0.0 if name == "guards" else times["soft"])


def measure(size: int) -> dict[str, float]:
    """Microseconds a step, by name."""
    rng = np.random.default_rng(0)
    steps = []
    for _ in range(STEPS):
        logits = rng.normal(0, 2, size).astype(np.float32)
        logits[rng.integers(size, size=12)] += rng.uniform(4, 14, 12).astype(np.float32)
        p = Distribution(logits, 0.6)
        steps.append((p, p.entropy))
    calls: dict[str, Callable[[], None]] = {}
    for name in StrategyName:
        settings = resolve({"strategy": name, "switch_window": 4})
        tags = TagTokens(open=(1, 2, 3), close=(4, 5, 6))
        strategy = make_strategy(settings, np.random.default_rng(1), tags)
        calls[name] = lambda strategy=strategy: [strategy.choose(*step) for step in steps] and None
    loop, drift = Loop(steps=48), Drift(entropy=2.5, steps=12)
    calls["guards"] = lambda: (
        [(loop.update(7), drift.update(1.0, mixed=True)) for _ in steps] and None
    )
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(REPEATS):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - began) / STEPS * 1e6)
    # The least of them: what the machine does besides only ever adds.
    return {name: min(one) for name, one in times.items()}


if __name__ == "__main__":
    main()
