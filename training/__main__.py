"""The whole recipe: `python -m training MODEL.gguf FOLDER`. Killed and run again, it goes on.

FOLDER gets the questions to measure by (sets/), the untrained model's answers to ordinary questions
(chat.jsonl), the training's checkpoint and log, and at the end adapter.gguf.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training import data, distil, export, train, verify


def main() -> int:
    """Each part after the other; what is done is not done again."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("model", type=Path, help="SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", default="150", help="of training at the most")
    parser.add_argument("--threads", default="2")
    options = parser.parse_args()
    model, folder = str(options.model), options.folder
    folder.mkdir(parents=True, exist_ok=True)
    chat, adapter = str(folder / "chat.jsonl"), str(folder / "adapter.gguf")
    checkpoint = str(folder / "checkpoint.pt")
    limits = ["--minutes", options.minutes, "--threads", options.threads]
    data.main([str(folder / "sets")])
    distil.main([model, chat, "--threads", options.threads])
    train.main([model, chat, str(folder), *limits])
    export.main([checkpoint, adapter])
    return verify.main([model, checkpoint, adapter])


if __name__ == "__main__":
    sys.exit(main())
