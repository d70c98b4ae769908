"""The adapter that softchat loads: `python -m training.superposition.release PACK CHECKPOINT OUT`.

Puts the adapter that was there already and the new low-rank layers together into one GGUF. With
--scale and --start they are drawn back towards what was there before, which loses less of it than
of what was learned (Wortsman et al. 2022, Robust fine-tuning of zero-shot models,
arXiv:2109.01903).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from training.superposition.adapters import apart, mean, read_adapter, together, write_adapter


def main(arguments: Sequence[str] | None = None) -> None:
    """Write OUT.gguf."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", type=Path, help="what training.superposition.pack made")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="of the new layers")
    parser.add_argument("--start", type=Path, help="the released adapter that training began with")
    parser.add_argument(
        "--share", type=float, default=0.75, help="of the learned one in both's mean"
    )
    options = parser.parse_args(arguments)
    beneath = torch.load(options.pack / "adapter.pt", weights_only=True)
    learned = torch.load(options.checkpoint, weights_only=True, map_location="cpu")["adapter"]
    if options.start:
        learned = mean(apart(read_adapter(options.start), beneath), learned, options.share)
    scaled = {key: (a, b * options.scale) for key, (a, b) in learned.items()}
    write_adapter(together(beneath, scaled), options.out)


if __name__ == "__main__":
    main()
