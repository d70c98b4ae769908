"""Every rival, trained and measured alike: `python -m training.superposition.controls PACK OUT`.

Five adapters with the same base, problems, seeds, time and kind of lookups: thoughts that are
frontiers, single states of a path, all states breadth first, pauses, or none. All must choose one
of the two answers, so that a path that came to a dead end falls back on a choice; all are told how
many thoughts to think. Prints the tables of the model card; goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from training.superposition.measure import load, measure, table
from training.superposition.pack import Pack
from training.superposition.rows import Style
from training.superposition.sets import SETS
from training.superposition.train import parser_of, run


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is not trained yet, and print a table of each set."""
    parser = argparse.ArgumentParser(description=__doc__, parents=[parser_of()])
    parser.add_argument("pack", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--styles", default=",".join(Style), help="which of them")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--count", type=int, default=10**6, help="questions of each set")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    pack = Pack.read(options.pack)
    styles = [Style(name) for name in options.styles.split(",")]
    for style in styles:
        options.style = str(style)
        run(pack, options.out / style, options)
    models = {s: load(pack, options.out / s / "checkpoint.pt", options.device)[0] for s in styles}
    for name in options.sets.split(","):
        first: list[bool] | None = None
        for style, model in models.items():
            found = measure(model, pack, style, name, options.count)
            first = first or [one.chosen for one in next(iter(found.values()))]
            print(f"{name}, {style}\n\n{table(found, first)}\n", flush=True)


if __name__ == "__main__":
    main()
