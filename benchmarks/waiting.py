"""What a person waits for before the first step: a long text again, a session again, a prompt.

    python benchmarks/waiting.py [--model NAME] [--tokens 3000] [--repeats 5] [--threads 2]

In turns, with the prompt cache and without it: a second `softchat ask -f FILE` on the same file,
with another question; and a session that is taken up again, as `ask -c` does it. Seconds are from
the start of the process to its first step, and those that reading the prompt took of them; ratios
are of neighbours, printed are their median and range. Then a prompt of 2,000 tokens, read by `ask`
and by llama.cpp alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from softchat.engine.bare import BareContext
from softchat.engine.llama import LlamaEngine
from softchat.models import find_model

WORDS = "The carrier brought parcel {} to house {} in the street of the {} lamps, and went on.\n"
LIMITS = ("--max-think", "2", "--max-answer", "1", "--json")
PROMPT = 2000


@dataclass(frozen=True)
class Wait:
    """What an `ask` took."""

    first_step_s: float
    """From the start of its process."""
    reading_s: float
    """Of that, decoding the prompt."""
    tokens: int
    """Of the prompt that were decoded."""


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--tokens", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    found = find_model(given.model)
    with LlamaEngine(found.path, n_ctx=512) as engine:
        text = text_of(engine, given.tokens)
        short = text_of(engine, PROMPT)
    room = str(max(given.tokens, PROMPT) + 1024)
    common = ("-m", given.model, "--threads", str(given.threads), "--ctx", room)
    print(f"{found.name}, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "text.txt"
        file.write_text(text)
        for name, again in (
            ("ask -f FILE again", ("-f", str(file), "Who brought the last one?")),
            ("ask -c", ("-c", "And then?")),
        ):
            report(name, *both(common, file, again, given.repeats))
        report_prompt(short, Path(folder), common, found.path, given)


def text_of(engine: LlamaEngine, tokens: int) -> str:
    """A text of about so many tokens, no line of which is like another."""
    text = ""
    for number in range(tokens):
        text += WORDS.format(number * 7 + 1, number % 89, number * 3)
        if len(engine.tokenize(text)) >= tokens:
            return text
    return text


def both(
    common: tuple[str, ...], file: Path, again: tuple[str, ...], repeats: int
) -> tuple[list[Wait], list[Wait]]:
    """Waits without the cache and with it; before each, the text has been asked about once."""
    without: list[Wait] = []
    kept: list[Wait] = []
    for _ in range(repeats):
        for waits, flags in ((without, ("--no-prompt-cache",)), (kept, ())):
            with tempfile.TemporaryDirectory() as home:
                environ = os.environ | {"SOFTCHAT_HOME": home}
                link_models(Path(home))
                asked((*common, *flags, *LIMITS, "-f", str(file), "What is this?"), environ)
                waits.append(asked((*common, *flags, *LIMITS, *again), environ))
    return without, kept


def link_models(home: Path) -> None:
    """What was fetched once need not be fetched for each measurement."""
    ours = Path(os.environ.get("SOFTCHAT_HOME", "")) / "models"
    if os.environ.get("SOFTCHAT_HOME") and ours.is_dir():
        (home / "models").symlink_to(ours)


def asked(arguments: tuple[str, ...], environ: dict[str, str]) -> Wait:
    """Run `softchat ask`; what it took to its first step."""
    command = [sys.executable, "-m", "softchat", "ask", *arguments]
    began, first, reading, tokens = time.perf_counter(), 0.0, 0.0, 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "prefill":
                reading, tokens = event["elapsed_s"], event["tokens"]
            if event["event"] == "step" and not first:
                first = time.perf_counter() - began
    if process.returncode or not first:
        raise SystemExit(f"softchat ended with status {process.returncode}")
    return Wait(first, reading, tokens)


def report(name: str, without: list[Wait], kept: list[Wait]) -> None:
    """One line a figure."""
    print(f"{name}: {without[0].tokens} tokens read without the cache, {kept[0].tokens} with it")
    for what in ("reading_s", "first_step_s"):
        before = [getattr(wait, what) for wait in without]
        after = [getattr(wait, what) for wait in kept]
        print(f"  {what}: {statistics.median(before):.2f} s, then {statistics.median(after):.2f} s")
        print(f"  with ÷ without: {spread(after, before)}", flush=True)


def report_prompt(
    text: str, folder: Path, common: tuple[str, ...], path: Path, given: argparse.Namespace
) -> None:
    """A prompt through `ask`, beside llama.cpp's own decoding of as many tokens."""
    (folder / "short.txt").write_text(text)
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(given.repeats):
        flags = ("--no-prompt-cache", "--no-log", *LIMITS, "-f", str(folder / "short.txt"), "Who?")
        wait = asked((*common, "--lora", "none", *flags), dict(os.environ))
        ours.append(wait.reading_s)
        with closing(BareContext(path, n_ctx=PROMPT + 1024, n_threads=given.threads)) as own:
            own.fill([1])
            began = time.perf_counter()
            own.fill([*range(1, wait.tokens + 1)])
            own.run(1, 1)
            bare.append(time.perf_counter() - began)
    print(f"a prompt of {wait.tokens} tokens, speed ÷ llama.cpp's own: {spread(bare, ours)}")


def spread(some: list[float], others: list[float]) -> str:
    """The median of ratios, and their range."""
    ratios = sorted(a / b for a, b in zip(some, others, strict=True))
    return f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"


if __name__ == "__main__":
    main()
