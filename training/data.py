"""Write the sets of questions to measure by: `python -m training.data FOLDER`.

One JSON object a line: question, answer, family. The same each time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from training.examples import SPLITS, split


def main(arguments: Sequence[str] | None = None) -> None:
    """Write FOLDER/dev.jsonl and the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in SPLITS:
        lines = [
            json.dumps({"question": p.question, "answer": p.answer, "family": family})
            for family, p in split(name)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
