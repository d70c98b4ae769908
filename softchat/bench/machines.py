"""What it costs that layers of a model are on RPC servers, against all of them here.

Prints nothing. Times are taken in turns, here and there, and ratios within a turn.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from softchat.engine.llama import LlamaEngine
from softchat.engine.placement import Placement
from softchat.engine.protocol import Lora
from softchat.engine.rpc import bytes_carried
from softchat.events import Event, Step
from softchat.provenance import command, machine, sha256_of, versions
from softchat.settings import Settings, StrategyName
from softchat.talk.pace import EndlessEngine, bench_prompt, speed_ratio, step_s, steps_only

_PROMPT = 256  # tokens
_ROOM = 1024  # positions for a prompt, in whatever chat template


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The figures of a model on so many servers."""

    step_to_local: float
    """Speed of a soft step, as a share of the speed here."""
    prompt_to_local: float
    """The same of reading a prompt."""
    step_ms: float
    bytes_a_step: int | None
    """Over all connections, both ways; None where the system does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinesReport:
    """The figures by how many servers were used."""

    model: str
    sha256: str
    servers: tuple[str, ...]
    steps: int
    repeats: int
    local_step_ms: float
    by_servers: Mapping[int, Spread]
    machine: str
    versions: str
    command: str

    def to_json(self) -> str:
        """All of it as one line."""
        return json.dumps(asdict(self))

    def rows(self) -> Iterator[tuple[str, str]]:
        """What each figure is, and the figure."""
        yield "a step here", f"{self.local_step_ms:.2f} ms"
        for count, one in self.by_servers.items():
            servers = "1 server" if count == 1 else f"{count} servers"
            yield f"on {servers}: a step", f"{one.step_ms:.2f} ms"
            yield "  its speed ÷ here", f"{one.step_to_local:.3f}"
            yield "  a prompt's speed ÷ here", f"{one.prompt_to_local:.3f}"
            if one.bytes_a_step is not None:
                yield "  bytes over the wire a step", f"{one.bytes_a_step:,}"


def measure_machines(
    path: Path,
    name: str,
    servers: Sequence[str],
    *,
    loras: Sequence[Lora] = (),
    steps: int,
    repeats: int,
    n_threads: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> MachinesReport:
    """Measure the model on the first 1, 2, 4 … and on all of these servers.

    Args:
        path: the model's file.
        name: what it is called in the report.
        servers: each HOST:PORT.
        loras: LoRA adapters.
        steps: of one measurement.
        repeats: of each measurement, interleaved.
        n_threads: of this machine; 0: its cores.
        progress: told what is measured now.

    Raises:
        ModelError: it can't be loaded.
        ServerError: a server does not answer.

    """
    counts = [count for count in (1, 2, 4, 8, 16) if count < len(servers)] + [len(servers)]
    soft, n_ctx = steps_only(StrategyName.SOFT, steps), steps + _ROOM
    found: dict[int, Spread] = {}
    local: list[float] = []
    for count in counts:
        progress(f"{count} of {len(servers)} servers")
        used = tuple(servers[:count])
        timed: dict[str, list[float]] = {
            key: [] for key in ("step", "prompt", "step here", "prompt here")
        }
        with (
            EndlessEngine(
                path,
                n_ctx=n_ctx,
                n_threads=n_threads,
                placement=Placement(gpu_layers=0),
                loras=loras,
            ) as here,
            EndlessEngine(
                path,
                n_ctx=n_ctx,
                n_threads=n_threads,
                placement=Placement(servers=used),
                loras=loras,
            ) as there,
        ):
            for _ in range(repeats):
                timed["prompt here"].append(_prompt_s(here))
                timed["prompt"].append(_prompt_s(there))
                timed["step here"].append(step_s(here, soft))
                timed["step"].append(step_s(there, soft))
            carried = _bytes_a_step(there, soft, used)
        local += timed["step here"]
        found[count] = Spread(
            step_to_local=speed_ratio(timed["step here"], timed["step"]),
            prompt_to_local=speed_ratio(timed["prompt here"], timed["prompt"]),
            step_ms=round(statistics.median(timed["step"]) * 1e3, 3),
            bytes_a_step=carried,
        )
    return MachinesReport(
        model=name,
        sha256=sha256_of(path),
        servers=tuple(servers),
        steps=steps,
        repeats=repeats,
        local_step_ms=round(statistics.median(local) * 1e3, 3),
        by_servers=found,
        machine=machine(),
        versions=versions(),
        command=command(),
    )


def _bytes_a_step(engine: LlamaEngine, settings: Settings, servers: Sequence[str]) -> int | None:
    """What goes over the wire between the second step and the last, by the step.

    With the first one the compute graph is sent, which is used again then.
    """
    seen: list[int | None] = []

    def look(event: Event) -> None:
        if isinstance(event, Step):
            seen.append(bytes_carried(servers))

    step_s(engine, settings, look)
    first, last = seen[1], seen[-1]
    if first is None or last is None:
        return None
    return (last - first) // (len(seen) - 2)


def _prompt_s(engine: LlamaEngine) -> float:
    """Seconds to read a prompt."""
    engine.rollback(0)
    tokens = bench_prompt(engine).tokens
    began = time.perf_counter()
    engine.decode_tokens((tokens * _PROMPT)[:_PROMPT])
    return time.perf_counter() - began
