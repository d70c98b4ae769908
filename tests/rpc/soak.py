"""A session on two servers, one of which is killed at random moments: by hand, as it takes minutes.

    python -m tests.rpc.soak MODEL.gguf [--kills 50] [--seed 1]

Each kill comes while a model is loaded, a prompt is read, it thinks, answers, or nothing happens.
Whatever is asked must end with an answer or in an error that names that server; when it is back,
the next question must be answered, and the one before must still be there. Prints what came how
often; exits with 1 if anything else happened.
"""

from __future__ import annotations

import argparse
import collections
import random
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from softchat.config.file import Config
from softchat.config.layers import Source
from softchat.engine.placement import Placement
from softchat.errors import ServerError
from softchat.events import Answer, Finished, Prefill, Started, Step
from softchat.models import Located
from softchat.repl.session import Session
from softchat.talk.load import Load
from softchat.talk.worker.process import Worker
from softchat.talk.worker.remote import WorkerBackend
from tests.rpc.conftest import Servers

SETTINGS = {
    "tau": 0.0, "max_think": 24, "max_answer": 12, "loop_steps": 0, "drift_steps": 0, "seed": 1
}  # fmt: skip
PHASES = {Started: "prompt", Prefill: "thought", Step: "thought", Answer: "answer"}


def main() -> int:
    """Kill, and look."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng, servers, seen = random.Random(given.seed), Servers(), collections.Counter[str]()
    load = Load(
        path=given.model,
        name="soak",
        n_ctx=2048,
        n_threads=1,
        placement=Placement(servers=servers.take(2)),
    )
    session = Session(
        Located(name="soak", path=given.model, entry=None),
        lambda found, cancelled: WorkerBackend(Worker(), load, cancelled=cancelled),
        config=Config(),
        chosen=Source(values=SETTINGS, origin=str),
    )
    span = once(session)  # seconds that a turn takes, the loading included
    try:
        for number in range(given.kills):
            address = rng.choice(load.placement.servers)
            seen[one_kill(session, servers, address, rng.random() * span)] += 1
            servers.start(address)
            once(session)
            print(f"{number + 1} of {given.kills}: {dict(seen)}", flush=True)
    finally:
        session.close()
        servers.close()
    return 0


def once(session: Session) -> float:
    """A turn that must end well; the seconds it took."""
    began = time.monotonic()
    with suppress(ServerError):  # it went while nothing happened
        session.check()
    *_, last = session.ask("Why is the sky blue?")
    assert isinstance(last, Finished), last
    del session.turns[:-1]
    return time.monotonic() - began


def one_kill(session: Session, servers: Servers, address: str, after_s: float) -> str:
    """Ask until the server has been killed, so many seconds from now: in which phase that was."""
    gone = threading.Event()

    def kill() -> None:
        servers.kill(address)
        gone.set()

    timer = threading.Timer(after_s, kill)
    timer.start()
    turns = 0
    phase = "load"
    del session.turns[:-1]
    try:
        if after_s * 1e3 % 3 < 1:  # a third of them while it is loaded
            session.reload("threads", 1)
        while not gone.is_set():
            phase = "idle"
            turns = len(session.turns)
            session.check()
            for event in session.ask("Why is the sky blue?"):
                phase = PHASES.get(type(event), phase)
    except ServerError as error:
        gone.wait()
        assert address in error.message, error.message  # noqa: PT017  # no test
        if phase in ("thought", "answer"):
            assert len(session.turns) == turns + 1, "the turn is lost"
        return phase
    finally:
        timer.join()
    return "none: the turn was over"


if __name__ == "__main__":
    sys.exit(main())
