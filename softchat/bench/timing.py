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
from contextlib import closing
from io import StringIO
from pathlib import Path

import numpy as np

from softchat.bench.others import TransformersLoop, ask_to_llm
from softchat.bench.report import Report
from softchat.concept import Distribution, mixture
from softchat.engine.bare import BareContext, ChatCompletion
from softchat.engine.embeddings import EmbeddingTable
from softchat.engine.gguf import find_matrix, open_header
from softchat.engine.llama import LlamaEngine
from softchat.engine.protocol import Lora
from softchat.events import Started, Step
from softchat.provenance import command, machine, sha256_of, versions
from softchat.settings import Settings, StrategyName, resolve
from softchat.template import make_prompt, single_turn
from softchat.think import Prompt, think
from softchat.views import View

_QUESTION = "A farmer has 3 fields with 12 cows each. He sells 7 cows. How many are left?"
_FEW_STEPS = 8
_VOCABULARIES = (32_000, 49_152, 151_936, 262_144)


class _Endless(LlamaEngine):
    """The engine, on a model that never ends its text: every run has the same number of steps."""

    def is_end(self, token: int) -> bool:
        return False


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
    _Endless(path, name=name, n_ctx=_FEW_STEPS, loras=loras).close()
    progress("memory")
    memory = _memory("soft", path, steps) - _memory("bare", path, steps)
    progress("load")
    n_ctx = max(positions, default=0) + steps + 512
    began = time.perf_counter()
    bare = BareContext(path, n_ctx=n_ctx, loras=loras)
    bare_load_s = time.perf_counter() - began
    began = time.perf_counter()
    engine = _Endless(path, name=name, n_ctx=n_ctx, loras=loras)
    load_s = time.perf_counter() - began
    with closing(bare), engine:
        tokens = list(_prompt(engine).tokens)
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


def soft_to_bare(path: Path, name: str, *, seconds: float = 1.0) -> tuple[float, float]:
    """A first look: soft step ÷ bare decode, and bare decodes a second, in about this time.

    Loading comes on top, with the proof that soft thinking is exact. Raises ModelRefusedError.
    """
    n_ctx = 512
    with (
        closing(BareContext(path, n_ctx=n_ctx)) as bare,
        _Endless(path, name=name, n_ctx=n_ctx) as engine,
    ):
        tokens, soft = list(_prompt(engine).tokens), _settings(StrategyName.SOFT, _FEW_STEPS)
        bare.fill(tokens)
        ends = time.perf_counter() + seconds
        floors: list[float] = []
        steps: list[float] = []
        while not steps or time.perf_counter() < ends:
            floors.append(bare.run(tokens[-1], _FEW_STEPS) / _FEW_STEPS)
            steps.append(_step_s(engine, soft))
    return _ratio(floors, steps), round(1 / statistics.median(floors), 1)


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
            timed[strategy].append(_step_s(engine, _settings(strategy, steps)))
        timed["panel"].append(_step_s(engine, _settings(StrategyName.SOFT, steps), _panel()))
        engine.rollback(0)
        began = time.perf_counter()
        engine.prove()
        timed["proof"].append(time.perf_counter() - began)
    proof = statistics.median(p / b for p, b in zip(timed["proof"], timed["bare"], strict=True))
    return (
        {str(name): _ratio(timed["bare"], timed[name]) for name in StrategyName},
        _ratio(timed[StrategyName.SOFT], timed["panel"]),
        round(proof, 2),
        statistics.median(timed["bare"]),
    )


def _by_position(
    engine: LlamaEngine, bare: BareContext, positions: Sequence[int], steps: int, repeats: int
) -> Iterator[tuple[int, float]]:
    prompt = _prompt(engine).tokens
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
            ours.append(_step_s(engine, _settings(StrategyName.SOFT, steps), start=len(filler)))
        yield position, _ratio(theirs, ours)


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


def _settings(strategy: StrategyName, steps: int) -> Settings:
    # One token of answer, and nothing ends the thinking early: nothing but thinking steps. The
    # guards look on all the same.
    never = {"tau": 0.0, "loop_steps": 10**9, "drift_steps": 10**9}
    return resolve(never, {"strategy": strategy, "max_think": steps, "max_answer": 1})


def _prompt(engine: LlamaEngine) -> Prompt:
    tokens = make_prompt(engine, single_turn(_QUESTION)).tokens
    return Prompt(tokens=tokens, close="", inject="\n")


def _step_s(
    engine: LlamaEngine, settings: Settings, view: View | None = None, *, start: int = 0
) -> float:
    """Seconds a step of thinking takes, everything included that happens between two steps."""
    engine.rollback(start)
    times = []
    for event in think(engine, _prompt(engine), settings):
        if view is not None:
            view.show(event)
        if isinstance(event, Step):
            times.append(time.perf_counter())
    if view is not None:
        view.__exit__(None, None, None)
    return (times[-1] - times[0]) / (len(times) - 1)


def _first_step_s(engine: LlamaEngine) -> float:
    engine.rollback(0)
    began = 0.0
    for event in think(engine, _prompt(engine), _settings(StrategyName.SOFT, 8)):
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


def _ratio_if_all(base: list[float], other: list[float | None]) -> float | None:
    known = [one for one in other if one is not None]
    return _ratio(base, known) if len(known) == len(base) else None


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
    with _Endless(Path(path), n_ctx=2048) as engine:
        prompt = Prompt(tokens=(1,) * 64, close="", inject="\n")
        for _ in think(engine, prompt, _settings(StrategyName.SOFT, steps)):
            pass
    print(_peak())


def _peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
