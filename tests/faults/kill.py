"""Writers that are killed with SIGKILL at random moments, and a look at what they left.

`python -m tests.faults.kill N FOLDER` prints a line for each, and stops at the first that lost
something.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sys
from pathlib import Path

from softchat.record.session_file import SessionFile
from softchat.record.sessions import find_killed
from softchat.record.trace import TraceWriter, replay
from softchat.talk.conversation import Turn
from tests.recordings import Content, run_of, step

RUN = run_of(*map(step, range(5)), answer=("x" * 3000,))


def write_for_ever(folder: Path, told: int) -> None:
    """Turn after turn into a session and a trace; a byte to `told` when one is safe."""
    content, saved = Content(), SessionFile(folder)
    with TraceWriter(folder / "run.jsonl") as trace:
        while True:
            saved.write(content, pending="why?")
            for event in RUN:
                trace.write(event)
            content.turns.append(Turn(question="q" * 2000, answer="a" * 2000, settings={}))
            saved.write(content)
            os.write(told, b".")


def kill_one(folder: Path, rng: random.Random) -> str:
    """Begin a writer, kill it, and check what is there against what it had said was safe."""
    readable, told = os.pipe()
    child = os.fork()
    if child == 0:
        write_for_ever(folder, told)
    os.close(told)
    os.read(readable, 1)
    safe = 1
    select.select([], [], [], rng.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(readable, 4096):
        safe += len(more)
    os.close(readable)
    saved = find_killed(folder)
    assert saved is not None, "the session is gone"
    assert safe <= len(saved.turns) <= safe + 1, (safe, len(saved.turns))
    torn: list[str] = []
    events = list(replay(folder / "run.jsonl", warn=torn.append))
    assert safe * len(RUN) <= len(events) <= (safe + 1) * len(RUN), (safe, len(events))
    assert events == (RUN * (safe + 2))[: len(events)], "a line is another"
    return f"{safe} turns, {len(torn)} torn lines, pending {saved.pending!r}"


def main() -> None:
    """As often as the first argument says, in folders below the second."""
    count, root = int(sys.argv[1]), Path(sys.argv[2])
    rng = random.Random(0)
    for number in range(count):
        folder = root / str(number)
        folder.mkdir()
        print(kill_one(folder, rng), flush=True)


if __name__ == "__main__":
    main()
