"""A long session on the tiny model: turns, trace, panel, session file, and the memory it takes.

`python -m tests.faults.memory TURNS FOLDER` prints the resident bytes after every 10th turn.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from softchat.config.file import Config
from softchat.config.layers import Source
from softchat.engine.llama import LlamaEngine
from softchat.models import Located
from softchat.record.session_file import SessionFile
from softchat.record.trace import TraceWriter
from softchat.repl.loop import Repl
from softchat.repl.session import Session
from softchat.talk.local import LocalBackend
from softchat.views.markdown import MarkdownView
from softchat.views.panel import PanelView
from tests import tiny

EVERY = 10


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> None:
    """As many turns as the first argument says, with all files below the second."""
    count, folder = int(sys.argv[1]), Path(sys.argv[2])
    model = tiny.write(folder / "tiny.gguf", letters=tiny.ASCII)
    never = {"tau": 0.0, "loop_steps": 0, "drift_steps": 0}
    session = Session(
        Located(name="tiny", path=model, entry=None),
        lambda found, cancelled: LocalBackend(LlamaEngine(found.path, n_ctx=2048, n_threads=1)),
        config=Config(),
        chosen=Source(values=never | {"max_think": 12, "max_answer": 6}, origin=str),
    )
    with (folder / "screen").open("w", encoding="utf-8") as sink:
        console = Console(file=sink, force_terminal=True, width=80, height=24)
        repl = Repl(
            session, console,
            make_view=lambda: PanelView(console, MarkdownView(console), refresh_s=0),
            find=lambda _: session.found,
            saved=SessionFile(folder / "sessions"),
        )  # fmt: skip
        repl.trace = TraceWriter(folder / "run.jsonl")
        for turn in range(1, count + 1):
            question = f"question {turn}"
            if session.room(question).missing:
                repl.handle(f"/drop {len(session.turns) // 2}")
            before = len(session.turns)
            repl.handle(question)
            assert len(session.turns) == before + 1
            for command in ("/stats", "/think"):
                repl.handle(command)
            if turn % EVERY == 0:
                print(resident(), flush=True)
        repl.close()


if __name__ == "__main__":
    main()
