"""Measuring: the thinking loop against the bare one, and what comes before the first step.

Knows engines and views, prints nothing.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from io import StringIO
from pathlib import Path

import numpy as np

from softchat.bench.others import TransformersLoop, ask_to_llm
from softchat.bench.report import Report
from softchat.engine.bare import BareContext, ChatCompletion
from softchat.engine.embeddings import EmbeddingTable
from softchat.engine.gguf import find_matrix, open_header
from softchat.engine.llama import LlamaEngine
from softchat.engine.protocol import Lora
from softchat.events import Started, Step
from softchat.provenance import command, machine, sha256_of, versions
from softchat.settings import StrategyName
from softchat.talk.pace import EndlessEngine, bench_prompt, speed_ratio, step_s, steps_only
from softchat.thinking.concept import Distribution, mixture
from softchat.thinking.prompt import Prompt
from softchat.thinking.think import think
from softchat.views import View

_VOCABULARIES = (32_000, 49_152, 151_936, 262_144)


def measure(
    path: Path,
    name: str,
    *,
    loras: Sequence[Lora] = (),
    steps: int,
    repeats: int,
    positions: Sequence[int] = (),
    others: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Measure the model at `path`, the adapters on both sides.

    Args:
        path: the model's file.
        name: what it is called in the report.
        loras: LoRA adapters; the bare loop has them too.
        steps: of one measurement.
        repeats: of each measurement, interleaved.
        positions: where in the context soft steps are measured too; not before the prompt's end.
        others: whether to measure other programs and libraries that are installed.
        progress: told what is measured now.

    Raises:
        ModelError: it can't be loaded.

    """
    # What can't be loaded is refused here, with the reason: processes of their own have none.
    EndlessEngine(path, name=name, n_ctx=8, loras=loras).close()
    progress("memory")
    memory = _memory("soft", path, steps) - _memory("bare", path, steps)
    progress("load")
    n_ctx = max(positions, default=0) + steps + 512
    began = time.perf_counter()
    bare = BareContext(path, n_ctx=n_ctx, loras=loras)
    bare_load_s = time.perf_counter() - began
    began = time.perf_counter()
    engine = EndlessEngine(path, name=name, n_ctx=n_ctx, loras=loras)
    load_s = time.perf_counter() - began
    with closing(bare), engine:
        tokens = list(bench_prompt(engine).tokens)
        by_strategy, panel, proof, bare_s = _loops(engine, bare, tokens, steps, repeats, progress)
        progress("by position")
        by_position = dict(_by_position(engine, bare, positions, steps, repeats))
        first = _first_step_s(engine)
    streaming = transformers = llm = None
    if others:
        progress("others")
        streaming, transformers = _others(path, tokens, steps, repeats)
        llm = ask_to_llm(repeats)
    return Report(
        model=name,
        sha256=sha256_of(path),
        loras=tuple(map(str, loras)),
        steps=steps,
        repeats=repeats,
        bare_steps_per_s=round(1 / bare_s, 1),
        soft_to_bare=by_strategy[StrategyName.SOFT],
        panel_to_none=panel,
        by_strategy=by_strategy,
        by_position=by_position,
        maths_us={size: _maths_us(size) for size in _VOCABULARIES},
        load_s=round(load_s, 3),
        bare_load_s=round(bare_load_s, 3),
        proof_steps=proof,
        table_open_s=round(_table_open_s(path), 4),
        first_step_s=round(first, 3),
        memory_above_bare_mb=round(memory / 2**20, 1),
        ask_to_llm=llm,
        streaming_to_bare=streaming,
        transformers_to_bare=transformers,
        machine=machine(),
        versions=versions(),
        command=command(),
    )


def _loops(
    engine: LlamaEngine,
    bare: BareContext,
    tokens: list[int],
    steps: int,
    repeats: int,
    progress: Callable[[str], None],
) -> tuple[dict[str, float], float, float, float]:
    """Speed by strategy, with the panel, of the proof, and seconds of a bare step."""
    timed: dict[str, list[float]] = {key: [] for key in ("bare", "panel", "proof", *StrategyName)}
    for repeat in range(repeats):
        progress(f"repeat {repeat + 1} of {repeats}")
        bare.fill(tokens)
        timed["bare"].append(bare.run(tokens[-1], steps) / steps)
        for strategy in StrategyName:
            timed[strategy].append(step_s(engine, steps_only(strategy, steps)))
        timed["panel"].append(_step_with_panel_s(engine, steps))
        engine.rollback(0)
        began = time.perf_counter()
        engine.prove()
        timed["proof"].append(time.perf_counter() - began)
    proof = statistics.median(p / b for p, b in zip(timed["proof"], timed["bare"], strict=True))
    return (
        {str(name): speed_ratio(timed["bare"], timed[name]) for name in StrategyName},
        speed_ratio(timed[StrategyName.SOFT], timed["panel"]),
        round(proof, 2),
        statistics.median(timed["bare"]),
    )


def _by_position(
    engine: LlamaEngine, bare: BareContext, positions: Sequence[int], steps: int, repeats: int
) -> Iterator[tuple[int, float]]:
    prompt = bench_prompt(engine).tokens
    token = prompt[-1]
    for position in positions:
        if position <= len(prompt):  # some chat templates write hundreds of tokens of their own
            continue
        filler = [token] * (position - len(prompt))
        bare.fill([token] * position)
        engine.rollback(0)
        engine.decode_tokens(filler)
        ours, theirs = [], []
        for _ in range(repeats):
            theirs.append(bare.run(token, steps) / steps)
            ours.append(step_s(engine, steps_only(StrategyName.SOFT, steps), start=len(filler)))
        yield position, speed_ratio(theirs, ours)


def _others(
    path: Path, tokens: list[int], steps: int, repeats: int
) -> tuple[float | None, float | None]:
    """Speeds against the bare loop: llama-cpp-python's streaming, and transformers.

    None of the three has an adapter, as transformers reads none of these.
    """
    floors: list[float] = []
    streaming: list[float | None] = []
    transformers: list[float | None] = []
    loop = TransformersLoop.of(path)
    with (
        closing(BareContext(path, n_ctx=len(tokens) + steps)) as bare,
        closing(ChatCompletion(path, n_ctx=1024)) as chat,
    ):
        for _ in range(repeats):
            bare.fill(tokens)
            floors.append(bare.run(tokens[-1], steps) / steps)
            streaming.append(chat.run("Tell me about the history of Rome.", steps))
            transformers.append(loop.step_s(tokens, min(steps, 32)) if loop else None)
    return _ratio_if_all(floors, streaming), _ratio_if_all(floors, transformers)


def _first_step_s(engine: LlamaEngine) -> float:
    engine.rollback(0)
    began = 0.0
    for event in think(engine, bench_prompt(engine), steps_only(StrategyName.SOFT, 8)):
        if isinstance(event, Started):
            began = time.perf_counter()
        elif isinstance(event, Step):
            break
    return time.perf_counter() - began


def _maths_us(size: int) -> float:
    """Microseconds of a soft step's arrays on logits that are as wide as a model's."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((10, 576)).astype(np.float32)
    samples = [(rng.standard_normal(size) * 3).astype(np.float32) for _ in range(8)]
    times = []
    for logits in samples * 25:
        began = time.perf_counter()
        p = Distribution(logits, 0.6)
        kept = p.keep(topn=10, top_k=30, top_p=0.95, min_p=0.001)
        _ = p.entropy, mixture(kept.weights, rows[: len(kept.weights)])
        times.append(time.perf_counter() - began)
    return round(statistics.median(times) * 1e6, 1)


def _step_with_panel_s(engine: LlamaEngine, steps: int) -> float:
    view = _panel()
    try:
        return step_s(engine, steps_only(StrategyName.SOFT, steps), view.show)
    finally:
        view.__exit__(None, None, None)


def _panel() -> View:
    from rich.console import Console

    from softchat.views.panel import PanelView
    from softchat.views.plain import AnswerView

    sink = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # lives as long as the view
    console = Console(file=sink, force_terminal=True, width=100, height=30)
    return PanelView(console, AnswerView(StringIO())).__enter__()


def _ratio_if_all(base: list[float], other: list[float | None]) -> float | None:
    known = [one for one in other if one is not None]
    return speed_ratio(base, known) if len(known) == len(base) else None


def _table_open_s(path: Path) -> float:
    began = time.perf_counter()
    with open_header(path) as header:
        EmbeddingTable(find_matrix(header)).close()
    return time.perf_counter() - began


def _memory(kind: str, path: Path, steps: int) -> int:
    """Peak resident bytes of a process of its own that loads the model and takes these steps."""
    code = f"from softchat.bench.timing import {kind}_child; {kind}_child({str(path)!r}, {steps})"
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    return int(child.stdout)


def bare_child(path: str, steps: int) -> None:
    """Print the peak memory of this process after bare decoding."""
    context = BareContext(Path(path), n_ctx=2048)
    context.fill([1] * 64)
    context.run(1, steps)
    print(_peak())


def soft_child(path: str, steps: int) -> None:
    """Print the peak memory of this process after soft thinking."""
    with EndlessEngine(Path(path), n_ctx=2048) as engine:
        prompt = Prompt(tokens=(1,) * 64, close="", inject="\n")
        for _ in think(engine, prompt, steps_only(StrategyName.SOFT, steps)):
            pass
    print(_peak())


def _peak() -> int:
    """Peak resident bytes of this process."""
    with suppress(OSError):  # on Linux ru_maxrss is no less than that of whoever started it
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
