"""Write the sets of questions to measure by: `python -m training.data FOLDER`.

One JSON object a line: question, answer, family. The same each time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from training.examples import SPLITS, split
from training.superposition.sets import SETS, questions


def main(arguments: Sequence[str] | None = None) -> None:
    """Write FOLDER/dev.jsonl and the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, asked in _sets():
        lines = [
            json.dumps({"question": question, "answer": answer, "family": family})
            for question, answer, family in asked
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


def _sets() -> Iterator[tuple[str, Iterator[tuple[str, str, str]]]]:
    """Question, answer and family of each set: sums and the like, then problems of search."""
    for name in SPLITS:
        yield name, ((p.question, p.answer, family) for family, p in split(name))
    for name in SETS:
        yield name, ((f"{p.told} {q.ask}", q.answer, p.family) for p, q in questions(name))


if __name__ == "__main__":
    main()
