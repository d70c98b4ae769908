"""Which runs an evaluation compares: settings, each set of them under a name. Knows no flags."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from softchat.errors import UsageError
from softchat.settings import Settings, choices, parse, resolve

Grid = Mapping[str, Sequence[object]]
_MOST_RUNS = 1000  # each is a row of every table


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One way of thinking."""

    name: str
    settings: Settings
    varied: Mapping[str, object]
    """What it does not share with every other run of the grid; empty for one that stands alone."""


def make_runs(defaults: Mapping[str, object], grid: Grid, named: Sequence[str] = ()) -> list[Run]:
    """The runs of a grid, and those that are named beside it.

    Args:
        defaults: the model's own settings.
        grid: values by setting. Without `named`, each combination is a run; with them, each setting
            has one value, which they all share.
        named: runs as users write them, see `parse_run`.

    Raises:
        UsageError: two runs have the same name, there are more than a thousand, or a setting can't
            have its value.

    """
    varied = [name for name, values in grid.items() if len(values) > 1]
    if named and varied:
        raise UsageError(
            f"both --run and several values of {varied[0]}", hint="write the value into each --run"
        )
    count = math.prod(len(values) for values in grid.values())
    if count > _MOST_RUNS:
        raise UsageError(
            f"{count:,} runs in one command", hint=f"{_MOST_RUNS:,} are the most; name fewer values"
        )
    runs = []
    for values in itertools.product(*grid.values()):
        shared = dict(zip(grid, values, strict=True))
        for text in named:
            name, own = parse_run(text)
            runs.append(_run(name, defaults, shared | own, own))
        if not named:
            own = {name: shared[name] for name in varied}
            name = run_name(own) or str(shared.get("strategy", defaults.get("strategy", "soft")))
            runs.append(_run(name, defaults, shared, own))
    refuse_same_names(runs)
    return runs


def refuse_same_names(runs: Sequence[Run]) -> None:
    """Raise UsageError if two of some runs have the same name."""
    [(name, count)] = Counter(run.name for run in runs).most_common(1)
    if count > 1:
        raise UsageError(f"two runs are called '{name}'", hint="--run 'NAME: tau=0.1' names one")


def same_runs(runs: Sequence[Run]) -> tuple[str, str] | None:
    """The names of two runs that differ in nothing that they look at; None: there are none."""
    seen: dict[str, str] = {}
    for run in runs:
        used = {name: value for name, value in run.varied.items() if not run.settings.idle(name)}
        if (first := seen.setdefault(run_name(used), run.name)) != run.name:
            return first, run.name
    return None


def parse_run(text: str) -> tuple[str, dict[str, object]]:
    """Name and settings of a run written as `NAME: strategy=soft tau=0.1`.

    The name can be left out, and `strategy=` too: `soft tau=0.1` says the same.

    Raises:
        UsageError: it is written otherwise, or there is no such setting or value.

    """
    name, colon, rest = text.partition(":")
    settings: dict[str, object] = {}
    for word in (rest if colon else text).split():
        key, equals, value = word.partition("=")
        if not equals and word in choices("strategy"):
            key, value = "strategy", word
        elif not equals:
            raise UsageError(
                f"'{word}' in --run '{text}' is no setting", hint="as in --run 'cool: soft tau=0.1'"
            )
        key = key.replace("-", "_")
        if key in settings:
            raise UsageError(f"{key} twice in --run '{text}'", hint="which of the two is meant?")
        settings[key] = parse(key, value)
    name = name.strip() if colon else run_name(settings)
    if not name:
        raise UsageError("a run without a name or a setting", hint="as in --run 'cool: soft tau=1'")
    return name, settings


def run_name(settings: Mapping[str, object]) -> str:
    """What a run with these settings is called: `soft tau=0.1`."""
    return " ".join(
        str(value) if name == "strategy" else f"{name}={value}" for name, value in settings.items()
    )


def _run(
    name: str,
    defaults: Mapping[str, object],
    settings: Mapping[str, object],
    varied: Mapping[str, object],
) -> Run:
    return Run(name=name, settings=resolve(defaults, settings), varied=varied)
