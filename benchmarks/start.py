"""Where the time of a one-line `softchat ask` goes, from its start to its end.

    python benchmarks/start.py [--model smollm2-135m] [--repeats 9] [QUESTION]

Of what is printed first, in the order of its cost: what its two processes import, which they do at
the same time, each in milliseconds of its own (`python -X importtime`). Then when each event came,
in milliseconds from the start of the process: medians of all repeats, and their range.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence

MOST = 6
"""Packages that are listed of a process."""
PROCESSES = {
    "command line": "softchat.cli.app",
    "worker": "softchat.talk.worker.serve, softchat.engine.llama, softchat.talk.local",
}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("question", nargs="?", default="What is the capital of France?")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    command = [sys.executable, "-m", "softchat", "ask", "-m", given.model, "--json", given.question]
    came_at(command)  # so that files are in the system's memory
    print(f"Python alone: {told([bare() for _ in range(given.repeats)])} ms")
    for name, modules in PROCESSES.items():
        runs = [imported(modules) for _ in range(given.repeats)]
        print(f"imports, {name}: {told([sum(run.values()) for run in runs])} ms")
        packages = {package for run in runs for package in run}
        costs = {p: statistics.median(run.get(p, 0.0) for run in runs) for p in packages}
        for package in sorted(costs, key=lambda p: -costs[p])[:MOST]:
            print(f"  {package}: {costs[package]:.0f}")
    waits = [came_at(command) for _ in range(given.repeats)]
    print("came at, ms:")
    for name in waits[0]:
        print(f"  {name}: {told([wait[name] for wait in waits])}", flush=True)


def bare() -> float:
    """Milliseconds that Python takes for nothing."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return 1e3 * (time.perf_counter() - began)


def imported(modules: str) -> dict[str, float]:
    """Milliseconds that each package takes by itself, of all that these modules import."""
    code = f"import {modules}"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
    )
    costs: dict[str, float] = defaultdict(float)
    for line in done.stderr.splitlines():
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdigit():  # not the heading
            costs[name.strip().partition(".")[0]] += int(own) / 1e3
    return costs


def came_at(command: Sequence[str]) -> dict[str, float]:
    """Milliseconds from the start of the command to its first event of each kind, and its end."""
    came: dict[str, float] = {}
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        for line in process.stdout:
            came.setdefault(json.loads(line)["event"], 1e3 * (time.perf_counter() - began))
    if process.returncode:
        raise SystemExit(f"softchat ended with status {process.returncode}")
    return came | {"end of the process": 1e3 * (time.perf_counter() - began)}


def told(values: Sequence[float]) -> str:
    """The median, and the range."""
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


if __name__ == "__main__":
    main()
