"""Halting rules, tried on records of thinking that went to its end. Knows no engine.

A record holds the entropy of each step, and a probe for the end of each line of thought: after how
many steps, what the model would have answered there, and the entropy (nats, T 1) of each token of
that answer. The last probe is the answer that was given in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from softchat.evaluate.answers import same
from softchat.evaluate.statistics import wilson

Record = dict[str, Any]
Rule = Callable[[Record], tuple[int, str, int]]
"""From a record to the step it stops at, the answer there, and the tokens decoded for probes."""

_CLOSE = 5  # tokens of the closing tag with the white space around it


def to_the_end(r: Record) -> tuple[int, str, int]:
    """The model closes its thinking itself."""
    return r["probes"][-1]["steps"], r["probes"][-1]["answer"], 0


def sure(tau: float, from_line: int = 1) -> Rule:
    """Stop at a line's end when no token of the probed answer has an entropy of tau or more."""

    def rule(r: Record) -> tuple[int, str, int]:
        cost = 0
        for line, p in enumerate(r["probes"][:-1], 1):
            if line < from_line:
                continue
            cost += _CLOSE + _until(p["entropies"], tau)
            if max(p["entropies"]) < tau:
                return p["steps"], p["answer"], cost
        return (*to_the_end(r)[:2], cost)

    return rule


def first_sure(tau: float) -> Rule:
    """Stop at a line's end when the first token of the probed answer has less entropy than tau."""

    def rule(r: Record) -> tuple[int, str, int]:
        cost = 0
        for p in r["probes"][:-1]:
            cost += _CLOSE
            if p["entropies"][0] < tau:
                return p["steps"], p["answer"], cost
        return (*to_the_end(r)[:2], cost)

    return rule


def stable(times: int) -> Rule:
    """Stop when so many line ends in a row gave the same answer."""

    def rule(r: Record) -> tuple[int, str, int]:
        cost, before = 0, []
        for p in r["probes"][:-1]:
            cost += _CLOSE + len(p["entropies"])
            before.append(p["answer"])
            if len(before) >= times and len(set(before[-times:])) == 1:
                return p["steps"], p["answer"], cost
        return (*to_the_end(r)[:2], cost)

    return rule


def cold_line(tau: float) -> Rule:
    """Stop at the end of a line all of whose steps were under tau, without any probe."""

    def rule(r: Record) -> tuple[int, str, int]:
        began = 0
        for p in r["probes"][:-1]:
            if max(r["entropies"][began : p["steps"]]) < tau:
                return p["steps"], p["answer"], 0
            began = p["steps"]
        return (*to_the_end(r)[:2], 0)

    return rule


def cold_stop(tau: float, patience: int) -> Rule:
    """Soft Thinking's own rule, but the answer is that of the next line's end (a kind estimate)."""

    def rule(r: Record) -> tuple[int, str, int]:
        below = 0
        for index, entropy in enumerate(r["entropies"], 1):
            below = below + 1 if entropy < tau else 0
            if below >= patience:
                after = next(p for p in r["probes"] if p["steps"] >= index)
                return index, after["answer"], 0
        return (*to_the_end(r)[:2], 0)

    return rule


def _until(entropies: list[float], tau: float) -> int:
    """How many answer tokens a probe decodes until one is too unsure."""
    for count, entropy in enumerate(entropies):
        if entropy >= tau:
            return count
    return len(entropies) - 1


def rules() -> Iterator[tuple[str, Rule]]:
    """All that are compared."""
    yield "to the end", to_the_end
    for tau in (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7):
        yield f"answer sure, tau {tau}", sure(tau)
    for tau in (0.03, 0.1, 0.3):
        yield f"answer sure from line 2, tau {tau}", sure(tau, 2)
    for tau in (0.01, 0.03, 0.1, 0.3):
        yield f"first token sure, tau {tau}", first_sure(tau)
    for times in (2, 3):
        yield f"answer stable {times} times", stable(times)
    for tau in (0.01, 0.05):
        yield f"a cold line, tau {tau}", cold_line(tau)
    for patience in (8, 16, 32):
        yield f"cold stop 0.05, patience {patience}", cold_stop(0.05, patience)


def table(records: list[Record]) -> None:
    """Print what each rule would have done."""
    base = np.array([same(to_the_end(r)[1], r["gold"]) for r in records])
    base_steps = np.mean([to_the_end(r)[0] for r in records])
    for name, rule in rules():
        done = [rule(r) for r in records]
        right = np.array(
            [same(answer, r["gold"]) for (_, answer, _), r in zip(done, records, strict=True)]
        )
        steps, cost = np.mean([d[0] for d in done]), np.mean([d[2] for d in done])
        share = wilson(int(right.sum()), len(records))
        change = right.astype(int) - base.astype(int)
        half = 1.96 * change.std() / np.sqrt(len(records))
        print(
            f"{name:36} {right.mean():.3f} [{share.low:.3f}, {share.high:.3f}] "
            f"difference {change.mean():+.3f} ± {half:.3f} "
            f"steps {steps:5.1f} ({steps / base_steps - 1:+.0%}) probe tokens {cost:.1f}"
        )
