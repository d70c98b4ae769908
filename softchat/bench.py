"""What soft thinking costs, against llama.cpp's own bare decoding on the same machine.

Knows engines and views, prints nothing. All times are medians of interleaved repeats, and ratios
are taken within a repeat, so that a machine that slows down slows both sides.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path

from softchat.engine.bare import BareContext
from softchat.engine.embeddings import EmbeddingTable, find_matrix
from softchat.engine.gguf import open_header
from softchat.engine.llama import LlamaEngine
from softchat.events import Started, Step
from softchat.provenance import command, machine, sha256_of, versions
from softchat.settings import Settings, resolve
from softchat.template import make_prompt, single_turn
from softchat.think import Prompt, think
from softchat.views import View

_QUESTION = "A farmer has 3 fields with 12 cows each. He sells 7 cows. How many are left?"
_N_CTX = 2048
_ONE_LINE = "What is the capital of France?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures of one run. Ratios are against the bare loop unless they say otherwise."""

    model: str
    sha256: str
    steps: int
    repeats: int
    bare_steps_per_s: float
    soft_to_bare: float
    hard_to_bare: float
    panel_to_none: float
    load_s: float
    bare_load_s: float
    proof_steps: float
    """What the exactness proof at load costs, in bare decode steps."""
    table_open_s: float
    first_step_s: float
    """Prefill and the first concept token."""
    memory_above_bare_mb: float
    ask_to_llm: float | None
    """Wall time of a one-line answer against `llm -m SmolLM2`; None where that isn't installed."""
    machine: str
    versions: str
    command: str

    def to_json(self) -> str:
        """All of it as one line."""
        return json.dumps(asdict(self))


class _Endless(LlamaEngine):
    """The engine, on a model that never ends its text: every run has the same number of steps."""

    def is_end(self, token: int) -> bool:
        return False


def measure(
    path: Path,
    name: str,
    *,
    steps: int,
    repeats: int,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Measure the model at `path`.

    Raises:
        ModelError: it can't be loaded.

    """
    progress("memory")
    memory = _memory("soft", path, steps) - _memory("bare", path, steps)
    progress("ask against llm")
    ask_to_llm = _ask_to_llm(repeats)
    progress("load")
    began = time.perf_counter()
    bare = BareContext(path, n_ctx=_N_CTX)
    bare_load_s = time.perf_counter() - began
    began = time.perf_counter()
    engine = _Endless(path, name=name, n_ctx=_N_CTX)
    load_s = time.perf_counter() - began
    with engine:
        prompt = _endless_prompt(engine)
        tokens = list(prompt.tokens)
        soft, hard = _settings("soft", steps), _settings("hard", steps)
        first = _first_step_s(engine, prompt, soft)
        timed: dict[str, list[float]] = {name: [] for name in ("bare", "soft", "hard", "panel")}
        proofs = []
        for repeat in range(repeats):
            progress(f"repeat {repeat + 1} of {repeats}")
            timed["bare"].append(bare.run(tokens, steps) / steps)
            timed["soft"].append(_step_s(engine, prompt, soft))
            timed["hard"].append(_step_s(engine, prompt, hard))
            timed["panel"].append(_step_s(engine, prompt, soft, _panel()))
            engine.rollback(0)
            began = time.perf_counter()
            engine.prove()
            proofs.append((time.perf_counter() - began) / timed["bare"][-1])
        bare.close()
    return Report(
        model=name,
        sha256=sha256_of(path),
        steps=steps,
        repeats=repeats,
        bare_steps_per_s=round(1 / statistics.median(timed["bare"]), 1),
        soft_to_bare=_ratio(timed["bare"], timed["soft"]),
        hard_to_bare=_ratio(timed["bare"], timed["hard"]),
        panel_to_none=_ratio(timed["soft"], timed["panel"]),
        load_s=round(load_s, 3),
        bare_load_s=round(bare_load_s, 3),
        proof_steps=round(statistics.median(proofs), 2),
        table_open_s=round(_table_open_s(path), 4),
        first_step_s=round(first, 3),
        memory_above_bare_mb=round(memory / 2**20, 1),
        ask_to_llm=ask_to_llm,
        machine=machine(),
        versions=versions(),
        command=command(),
    )


def _settings(strategy: str, steps: int) -> Settings:
    # One token of answer, and nothing ends the thinking early: nothing but thinking steps.
    never = {"tau": 0.0, "loop_steps": 0, "drift_steps": 0}
    return resolve(never, {"strategy": strategy, "max_think": steps, "max_answer": 1})


def _endless_prompt(engine: LlamaEngine) -> Prompt:
    tokens = make_prompt(engine, single_turn(_QUESTION)).tokens
    return Prompt(tokens=tokens, close="", inject="\n")


def _step_s(
    engine: LlamaEngine, prompt: Prompt, settings: Settings, view: View | None = None
) -> float:
    """Seconds a step of thinking takes, everything included that happens between two steps."""
    engine.rollback(0)
    times = []
    for event in think(engine, prompt, settings):
        if view is not None:
            view.show(event)
        if isinstance(event, Step):
            times.append(time.perf_counter())
    if view is not None:
        view.__exit__(None, None, None)
    return (times[-1] - times[0]) / (len(times) - 1)


def _first_step_s(engine: LlamaEngine, prompt: Prompt, settings: Settings) -> float:
    engine.rollback(0)
    began = 0.0
    for event in think(engine, prompt, settings):
        if isinstance(event, Started):
            began = time.perf_counter()
        elif isinstance(event, Step):
            break
    return time.perf_counter() - began


def _panel() -> View:
    from rich.console import Console

    from softchat.views.panel import PanelView
    from softchat.views.plain import AnswerView

    sink = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # lives as long as the view
    console = Console(file=sink, force_terminal=True, width=100, height=30)
    return PanelView(console, AnswerView(StringIO())).__enter__()


def _ratio(base: list[float], other: list[float]) -> float:
    """How fast `other` is, as a share of `base`."""
    return round(statistics.median(b / o for b, o in zip(base, other, strict=True)), 3)


def _table_open_s(path: Path) -> float:
    began = time.perf_counter()
    with open_header(path) as header:
        EmbeddingTable(find_matrix(header)).close()
    return time.perf_counter() - began


def _memory(kind: str, path: Path, steps: int) -> int:
    """Peak resident bytes of a process of its own that loads the model and takes these steps."""
    code = f"from softchat.bench import {kind}_child; {kind}_child({str(path)!r}, {steps})"
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    return int(child.stdout)


def bare_child(path: str, steps: int) -> None:
    """Print the peak memory of this process after bare decoding."""
    context = BareContext(Path(path), n_ctx=_N_CTX)
    context.run([1] * 64, steps)
    print(_peak())


def soft_child(path: str, steps: int) -> None:
    """Print the peak memory of this process after soft thinking."""
    with _Endless(Path(path), n_ctx=_N_CTX) as engine:
        prompt = Prompt(tokens=(1,) * 64, close="", inject="\n")
        for _ in think(engine, prompt, _settings("soft", steps)):
            pass
    print(_peak())


def _peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _ask_to_llm(repeats: int) -> float | None:
    llm = shutil.which("llm")
    if llm is None:
        return None
    softchat = [sys.executable, "-m", "softchat", "ask", "--quiet", _ONE_LINE]
    pairs = [
        (_wall_s(softchat), _wall_s([llm, "-m", "SmolLM2", _ONE_LINE])) for _ in range(repeats)
    ]
    return round(statistics.median(ours / theirs for ours, theirs in pairs), 3)


def _wall_s(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL, timeout=600)
    return time.perf_counter() - began
