"""Right answers by ways of thinking: `python -m training.superposition.measure PACK CHECKPOINT`.

In torch, so that what softchat does not do can be measured as well: an answer that must be one of
the two choices, frontiers that are perfect, and rivals whose thoughts are told how long to be. That
softchat finds the same is for `softchat eval` to show, on the very same questions.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from softchat.evaluate.statistics import share_difference, wilson
from training.superposition.model import Model
from training.superposition.pack import Pack
from training.superposition.rows import Encoder, Row, Style
from training.superposition.sets import SETS, questions
from training.superposition.stage import Mixtures, Stage, Way, drawn, likeliest, mixture, spread
from training.superposition.train import make_model

_TOGETHER = 8
VOTES = 8
"""Drawn chains of thought whose answers vote."""
SOFT, ARGMAX, DRAWN, MAJORITY, PERFECT = (
    "soft",
    "argmax",
    "drawn",
    f"majority of {VOTES}",
    "perfect",
)
WAYS = {
    Style.FRONTIER: (SOFT, "soft, T 1.5", ARGMAX, DRAWN, MAJORITY, PERFECT),
    Style.PATH: (ARGMAX, DRAWN, MAJORITY),
    Style.LISTING: (ARGMAX,),
    Style.PAUSE: (ARGMAX,),
    Style.NONE: (ARGMAX,),
}
"""What is measured of an adapter of each style; of `perfect`, the thoughts are the right ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How one way of thinking fared on one question."""

    chosen: bool
    """Whether the right choice was likelier than the wrong one."""
    exact: bool
    """Whether the right choice was the likeliest of all tokens."""
    steps: int
    """Thoughts and tokens of the closing tag; of several chains, all of them."""


class Perfect:
    """The thoughts that are right, whatever the model makes of them."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.thoughts = iter(zip(*(row.branches[0].thoughts for row in rows), strict=True))

    def __call__(self, logits: Tensor) -> Mixtures:
        weights, ids = spread(next(self.thoughts))
        return weights.to(logits.device), ids.to(logits.device)


def measure(
    model: Model, pack: Pack, style: Style, asked: str, count: int
) -> dict[str, list[Judged]]:
    """Every way of the style on the same questions of a set, in their order."""
    encoder, rng = Encoder(pack.vocabulary, style), Random(0)
    torch.manual_seed(0)
    rows = []
    for puzzle, question in islice(questions(asked), count):
        alone = replace(puzzle, questions=(question,))
        rows.append(encoder.row(alone, rng, lookups=0))
    found: dict[str, list[Judged | None]] = {way: [None] * len(rows) for way in WAYS[style]}
    by_length: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        by_length.setdefault(len(row.branches[0].thoughts), []).append(number)
    for length, numbers in by_length.items():
        for first in range(0, len(numbers), _TOGETHER):
            some = numbers[first : first + _TOGETHER]
            batch = [rows[number] for number in some]
            with torch.no_grad():
                stage = Stage(model, pack.vocabulary.prefix, batch)
            for way in found:
                judged = _judge(stage, batch, way, length, pack.vocabulary.close)
                for number, one in zip(some, judged, strict=True):
                    found[way][number] = one
    return {way: [one for one in all_ if one] for way, all_ in found.items()}


def _judge(
    stage: Stage, rows: Sequence[Row], way: str, length: int, close: Sequence[int]
) -> list[Judged]:
    ways: Mapping[str, Way] = {
        SOFT: mixture,
        "soft, T 1.5": partial(mixture, temperature=1.5),
        ARGMAX: likeliest,
        DRAWN: drawn,
        MAJORITY: drawn,
        PERFECT: Perfect(rows),
    }
    chains = VOTES if way == MAJORITY else 1
    votes: list[Counter[bool]] = [Counter() for _ in rows]
    exact = [Counter[bool]() for _ in rows]
    for _ in range(chains):
        logits = stage.answer(stage.think(ways[way], length), close)
        for q, branch in enumerate(stage.branches):
            votes[q][bool(logits[q, branch.answer] > logits[q, branch.other])] += 1
            exact[q][int(logits[q].argmax()) == branch.answer] += 1
    return [
        Judged(
            chosen=votes[q][True] * 2 > chains or (votes[q][True] * 2 == chains and q % 2 == 0),
            exact=exact[q][True] * 2 > chains,
            steps=chains * (length + len(close) - 1),
        )
        for q in range(len(rows))
    ]


def table(found: Mapping[str, Sequence[Judged]], against: Sequence[bool] | None = None) -> str:
    """As Markdown: right answers of each way with intervals, and how much better the first is."""
    lines = [
        "| thinking | right when it must choose (95%) | the likeliest token is right | steps | "
        "soft less this, points |",
        "|---|---|---|---|---|",
    ]
    first = against or [one.chosen for one in next(iter(found.values()))]
    for way, judged in found.items():
        chosen = [one.chosen for one in judged]
        share = wilson(sum(chosen), len(chosen))
        exact = sum(one.exact for one in judged) / len(judged)
        steps = sum(one.steps for one in judged) / len(judged)
        gap = share_difference([float(c) for c in chosen], [float(c) for c in first])
        less = f"{gap.value:+.1%} ({gap.low:+.1%} to {gap.high:+.1%})".replace("%", "")
        lines.append(
            f"| {way} | {share.value:.1%} ({share.low:.1%} to {share.high:.1%}) | {exact:.1%} | "
            f"{steps:.1f} | {'' if chosen == list(first) else less} |"
        )
    return "\n".join(lines)


def load(pack: Pack, checkpoint: Path, device: str = "cpu") -> tuple[Model, Style]:
    """The model as a checkpoint has it."""
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    model = make_model(pack, state["rank"], state["first"], device)
    model.load(state["adapter"])
    return model, Style(state["style"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--sets", default="search-dev", help=f"of {', '.join(SETS)}")
    parser.add_argument("--count", type=int, default=10**6, help="questions of each set")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    pack = Pack.read(options.pack)
    model, style = load(pack, options.checkpoint, options.device)
    for name in options.sets.split(","):
        found = measure(model, pack, style, name, options.count)
        print(
            f"{name}, {len(next(iter(found.values())))} questions\n\n{table(found)}\n", flush=True
        )


if __name__ == "__main__":
    main()
