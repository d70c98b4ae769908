"""What a thinking step costs today beside an earlier commit: the loop alone, no model.

    python benchmarks/step_cost.py e378482

The commit is read from git; e378482 is the last one before forks, keys for each step and the lens.
Both run in processes of their own, in turns, on logits that were made before. Told is the least
over rounds of the processor's time, in microseconds a step: what a machine does besides only adds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROUNDS = 5
HERE = Path(__file__).resolve().parent.parent
STRATEGIES = ("soft", "hard", "adaptive")
# Run in either tree, so it knows only what both have.
CODE = """
import sys, time
import numpy as np
from softchat.events import Step
from softchat.settings import resolve
from softchat.testing import FakeEngine
from softchat.thinking.think import Prompt, think

SIZE, STEPS, KINDS = 49_152, 250, 100  # more kinds than a loop has tokens
rng = np.random.default_rng(0)
logits = []
for _ in range(KINDS):
    one = rng.normal(0, 2, SIZE).astype(np.float32)
    one[rng.integers(SIZE, size=12)] += rng.uniform(4, 14, 12).astype(np.float32)
    logits.append(one)

class Engine(FakeEngine):
    count = 0
    def _decode(self, items):
        self.count += 1
        return logits[self.count % KINDS]

pieces = ["<end>", "</think>", *(f"w{i}" for i in range(SIZE - 2))]
settings = {"strategy": sys.argv[1], "tau": 0.0, "max_think": STEPS, "max_answer": 1, "seed": 1}
least, began = 1e9, 0.0
for _ in range(8):
    engine = Engine(pieces, [{"w1": 1.0}], n_ctx=4096)
    prompt = Prompt(tokens=(5,), close="</think>", inject="</think>")
    run = think(engine, prompt, resolve({}, settings))
    for event in run:
        if isinstance(event, Step) and event.index in (0, STEPS - 1):  # to ask takes long itself
            began, ended = began if event.index else time.process_time(), time.process_time()
    assert event.steps == STEPS, event
    least = min(least, (ended - began) / (STEPS - 1) * 1e6)
print(least)
"""


def main(commit: str) -> None:
    """Measure each strategy in both trees, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder, "then.tar")
        archive = ["git", "-C", str(HERE), "archive", "-o", str(packed), commit, "softchat"]
        subprocess.run(archive, check=True)
        with tarfile.open(packed) as files:
            files.extractall(folder, filter="data")
        print(f"{'':10}{commit:>12}{'today':>10}{'ratio':>8}   microseconds a step")
        for strategy in STRATEGIES:
            least = {folder: float("inf"), str(HERE): float("inf")}
            for _ in range(ROUNDS):
                for tree in least:
                    least[tree] = min(least[tree], measured(tree, strategy))
            then, now = least.values()
            print(f"{strategy:10}{then:12.1f}{now:10.1f}{now / then:8.3f}")


def measured(tree: str, strategy: str) -> float:
    """Microseconds a step of the softchat in this folder."""
    command = [sys.executable, "-c", CODE, strategy]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": tree}, cwd=tree, capture_output=True, check=True
    )
    return float(done.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
