"""The figures of one benchmark run. Measures nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Ratios are speeds against the bare loop, unless they say otherwise."""

    model: str
    sha256: str
    loras: tuple[str, ...]
    steps: int
    repeats: int
    bare_steps_per_s: float
    soft_to_bare: float
    panel_to_none: float
    """A soft step with the panel, against one without."""
    by_strategy: Mapping[str, float]
    by_position: Mapping[int, float]
    """Soft steps behind so many tokens, against bare ones there."""
    maths_us: Mapping[int, float]
    """What the arrays of a soft step take at a vocabulary of so many tokens, in microseconds."""
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
    streaming_to_bare: float | None
    """llama-cpp-python's own streamed chat."""
    transformers_to_bare: float | None
    """The same soft loop on transformers, float32; None where that isn't installed or can't."""
    machine: str
    versions: str
    command: str

    def to_json(self) -> str:
        """All of it as one line."""
        return json.dumps(asdict(self))

    def rows(self) -> list[tuple[str, str]]:
        """What each figure is, and the figure, ratios first."""
        rows = [
            ("soft step ÷ bare decode", f"{self.soft_to_bare:.3f}"),
            *((f"  {name}", f"{ratio:.3f}") for name, ratio in self.by_strategy.items()),
            *((f"  soft at position {n}", f"{r:.3f}") for n, r in self.by_position.items()),
            ("panel ÷ no panel", f"{self.panel_to_none:.3f}"),
        ]
        others = {
            "ask ÷ llm, time of a one-line answer": self.ask_to_llm,
            "llama-cpp-python's chat ÷ bare decode": self.streaming_to_bare,
            "soft on transformers ÷ bare decode": self.transformers_to_bare,
        }
        rows += [(name, f"{ratio:.3f}") for name, ratio in others.items() if ratio is not None]
        rows += [
            ("exactness proof, in decode steps", f"{self.proof_steps:.2f}"),
            ("memory above bare llama.cpp", f"{self.memory_above_bare_mb:.1f} MB"),
            ("load (bare)", f"{self.load_s:.3f} s ({self.bare_load_s:.3f} s)"),
            ("open the embedding table", f"{self.table_open_s * 1000:.0f} ms"),
            ("time to the first step", f"{self.first_step_s:.3f} s"),
        ]
        rows += [(f"arrays of a step, V = {v}", f"{us:.0f} µs") for v, us in self.maths_us.items()]
        return [*rows, ("bare decode", f"{self.bare_steps_per_s:.1f} steps/s")]
