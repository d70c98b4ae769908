"""What soft thinking costs on models of the sizes that people run, also through `ask` itself.

    python benchmarks/shapes.py FOLDER
    python benchmarks/sizes.py FOLDER/*.gguf [--steps 24] [--repeats 5] [--threads 2]

Of each model, in turns: bare decoding, soft steps, soft steps with the panel, all in one process;
then soft steps of `softchat ask`, into a pipe and with its panel on a terminal. Ratios are taken
within a turn; printed are their median and range. And the memory of a process that thinks, above
one that only decodes.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

from softchat.bench.timing import _memory, _panel
from softchat.engine.bare import BareContext
from softchat.settings import StrategyName
from softchat.talk.pace import EndlessEngine, bench_prompt, step_s, steps_only

QUESTION = "A farmer has 3 fields with 12 cows each. He sells 7 cows. How many are left?"
ENDLESS = ("--tau", "0", "--loop-steps", "0", "--drift-steps", "0", "--max-answer", "1")


def main() -> None:
    """Measure each model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    for model in given.models:
        print(f"{model.name}, load {os.getloadavg()[0]:.1f}", flush=True)
        for name, figure in measured(model, given.steps, given.repeats, given.threads).items():
            print(f"  {name}: {figure}", flush=True)


def measured(model: Path, steps: int, repeats: int, threads: int) -> dict[str, str]:
    """The figures of one model, each with what it is."""
    timed = {name: list[float]() for name in ("bare", "soft", "panel", "ask", "ask panel")}
    soft, n_ctx = steps_only(StrategyName.SOFT, steps), steps + 256
    for _ in range(repeats):
        with (
            closing(BareContext(model, n_ctx=n_ctx, n_threads=threads)) as bare,
            EndlessEngine(model, n_ctx=n_ctx, n_threads=threads) as engine,
            _panel() as panel,
        ):
            tokens = list(bench_prompt(engine).tokens)
            bare.fill(tokens)
            timed["bare"].append(bare.run(tokens[-1], steps) / steps)
            timed["soft"].append(step_s(engine, soft))
            timed["panel"].append(step_s(engine, soft, panel.show))
        timed["ask"].append(asked(model, steps, threads, on_terminal=False))
        timed["ask panel"].append(asked(model, steps, threads, on_terminal=True))
    found = {"bare decode": f"{statistics.median(timed['bare']) * 1e3:.1f} ms a token"}
    for name, base, other in (
        ("soft ÷ bare", "bare", "soft"),
        ("panel ÷ none", "soft", "panel"),
        ("ask ÷ bare", "bare", "ask"),
        ("ask with its panel ÷ without", "ask", "ask panel"),
        ("ask with its panel ÷ bare", "bare", "ask panel"),
    ):
        ratios = sorted(b / o for b, o in zip(timed[base], timed[other], strict=True))
        found[name] = f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
    above = _memory("soft", model, steps) - _memory("bare", model, steps)
    return found | {"memory above bare decoding": f"{above / 2**20:.1f} MB"}


def asked(model: Path, steps: int, threads: int, *, on_terminal: bool) -> float:
    """Seconds a step of `softchat ask`, by its trace."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "t.jsonl"
        command = [
            sys.executable, "-m", "softchat", "ask", "-m", str(model), "--threads", str(threads),
            "--lora", "none", "--max-think", str(steps), "--trace", str(trace), *ENDLESS, QUESTION,
        ]  # fmt: skip
        if on_terminal:
            on_a_terminal(command)
        else:
            subprocess.run(command, check=True, capture_output=True)
        events = [json.loads(line) for line in trace.read_text().splitlines()]
    times = [event["elapsed_s"] for event in events if event["event"] == "step"]
    return float(times[-1] - times[0]) / (len(times) - 1)


def on_a_terminal(command: list[str]) -> None:
    """Run it with a terminal, which somebody reads."""
    ours, its = pty.openpty()
    environ = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environ)
    os.close(its)

    def read() -> None:
        try:
            while os.read(ours, 65536):
                pass
        except OSError:  # the terminal is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    status = process.wait()
    reader.join()
    os.close(ours)
    if status:
        raise SystemExit(f"softchat ended with status {status}")


if __name__ == "__main__":
    main()
