"""softchat on a machine with a CUDA card, in ten minutes, with nothing fetched there.

    python -m benchmarks.card pack FOLDER       here: what it needs, as files of at most 48 MB
    python -m benchmarks.card build FOLDER     there: llama-cpp-python, for one kind of card only
    python -m benchmarks.card check [OUT]       there: what holds on it, a line of JSON for each

`pack` takes llama.cpp's source and the packages that softchat needs, for Python 3.12 on x86-64
Linux; the files may travel one by one. `build` wants nvcc, CMake and ninja. `check` runs as well on
a machine without a card, or with `SOFTCHAT_RPC` on servers, which is how it was tried: it has not
been run on a card yet. Each check stands alone, and what fails is told and ends nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

PART = 48_000_000  # bytes
LLAMA = "llama-cpp-python==0.3.36"
NEEDED = (
    "gguf", "httpx2", "huggingface-hub", "jinja2", "markdown-it-py", "numpy", "platformdirs",
    "prompt-toolkit", "rich", "scikit-build-core", "tomlkit", "typer>=0.28,<0.29",
)  # fmt: skip
THERE = (
    *("--python-version", "3.12", "--implementation", "cp", "--only-binary=:all:"),
    *(f"--platform=manylinux{tag}_x86_64" for tag in ("_2_28", "_2_17", "2014", "_2_27")),
)


def main() -> None:
    """Do one of the three."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("do", choices=["pack", "build", "check"])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("card.jsonl"))
    given = parser.parse_args()
    {"pack": pack, "build": build, "check": check}[given.do](given.folder)


def pack(folder: Path) -> None:
    """Fetch source and wheels into this folder, large files in parts."""
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--dest", str(folder)]
    subprocess.run([*pip, "--no-deps", "--no-binary=:all:", LLAMA], check=True)
    subprocess.run([*pip, *THERE, *NEEDED], check=True)
    for file in sorted(folder.glob("*")):
        if file.stat().st_size > PART:
            data = file.read_bytes()
            for number, start in enumerate(range(0, len(data), PART)):
                part = file.with_name(f"{file.name}.part{number}")
                part.write_bytes(data[start : start + PART])
            file.unlink()
    for file in sorted(folder.glob("*")):
        print(f"{file.stat().st_size / 1e6:6.1f} MB  {file.name}")


def build(folder: Path) -> None:
    """Put large files together again, install the wheels, build llama.cpp for this card."""
    for first in folder.glob("*.part0"):
        whole = first.with_suffix("")
        parts = sorted(folder.glob(f"{whole.name}.part*"), key=lambda part: int(part.suffix[5:]))
        whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    kind = capability()
    flags = f"-DGGML_CUDA=ON -DGGML_RPC=ON -DCMAKE_CUDA_ARCHITECTURES={kind}-real -DLLAVA_BUILD=OFF"
    environ = os.environ | {"CMAKE_ARGS": flags}
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps"]
    wheels = [str(file) for file in folder.glob("*.whl")]
    began = time.monotonic()
    subprocess.run([*pip, *wheels], check=True)
    source = next(folder.glob("llama_cpp_python-*.tar.gz"))
    subprocess.run(
        [*pip, "--no-build-isolation", "--force-reinstall", str(source)], check=True, env=environ
    )
    print(f"built for compute capability {kind} in {time.monotonic() - began:.0f} s")


def capability() -> str:
    """The kind of card, as CMake calls it: 90 for an H100."""
    asked = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return re.sub(r"\D", "", answer.splitlines()[0])


def check(out: Path) -> None:
    """Try everything, each thing by itself; what is found goes to `out` as it is found."""
    checks: dict[str, Callable[[Path], dict[str, Any]]] = {
        "devices": devices, "architectures": architectures, "adapter": adapter, "sizes": sizes,
    }  # fmt: skip
    out.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, run in checks.items():
            began = time.monotonic()
            try:
                found = run(Path(folder))
            except Exception:  # noqa: BLE001  # the others are tried all the same
                found = {"failed": traceback.format_exc(limit=3)}
            line = {"check": name, "seconds": round(time.monotonic() - began, 1), **found}
            with out.open("a", encoding="utf-8") as file:
                print(json.dumps(line), file=file)
            print(json.dumps(line), flush=True)


def placement() -> Any:  # noqa: ANN401  # a Placement; nothing is imported before it is built
    """Where models go: to the card, or to the servers of SOFTCHAT_RPC."""
    from softchat.engine.placement import Placement

    return Placement.of(rpc=os.environ.get("SOFTCHAT_RPC", ""))


def devices(folder: Path) -> dict[str, Any]:
    """What llama.cpp sees."""
    from softchat.engine.devices import choose
    from softchat.engine.rpc import use_servers
    from softchat.engine.system import build as about

    use_servers(placement().servers)
    found = [
        f"{one.where}: {one.description}, {one.free} bytes free"
        for one, _ in choose((), placement().servers)
    ]
    return {"ggml": about().version, "devices": found}


def architectures(folder: Path) -> dict[str, Any]:
    """On tiny models of all kinds: the proof, topn 1 = greedy decoding, rollback.

    Those that a processor refuses are refused for what they are; others are a back end's fault.
    """
    from tests import probe, zoo

    outcomes = probe.probe(folder, list(zoo.MODELS))
    proven = {name: one for name, one in outcomes.items() if not one.refused}
    return {
        "tried": len(outcomes),
        "proven": len(proven),
        "refused": {name: one.refused for name, one in outcomes.items() if one.refused},
        "not greedy": [name for name, one in proven.items() if not one.greedy],
        "largest gap after a rollback": max((one.gap for one in proven.values()), default=None),
    }


def adapter(folder: Path) -> dict[str, Any]:
    """How far logits with an adapter are from those of merged weights, in shares of their range."""
    import numpy as np

    from softchat.engine.llama import LlamaEngine
    from softchat.engine.protocol import Lora
    from tests import oracle, tiny
    from tests.engine import test_adapters

    lora = Lora(path=test_adapters.write(folder / "a.gguf"))
    path = tiny.write(folder / "tiny.gguf")
    tokens = [1, 5, 9, 33]
    with LlamaEngine(path, n_ctx=64, loras=[lora], placement=placement()) as engine:
        got = engine.decode_tokens(tokens).copy()
        weights = test_adapters.merged(1.0)
        wanted = oracle.forward(weights, weights["token_embd.weight"][tokens])
        where = engine.info.devices
    return {"on": where, "gap": float(np.abs(got - wanted).max() / np.ptp(wanted))}


def sizes(folder: Path) -> dict[str, Any]:
    """Soft ÷ bare, the panel, `ask`, memory: on models with the shape of 1.5B and 4B."""
    from benchmarks import shapes
    from benchmarks.sizes import measured

    names = os.environ.get("CARD_SHAPES", "1.5b,4b").split(",")
    found = {}
    for name in names:
        path = folder / f"shape-{name}-Q4_K_M.gguf"
        shapes.write(path, name, shapes.SHAPES[name])
        found[name] = measured(path, steps=64, repeats=3, threads=4)
        path.unlink()
    return found


if __name__ == "__main__":
    main()
