"""SIGTERM, SIGHUP, SIGTSTP and SIGCONT at any moment leave terminal and session in order."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import ssl
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from tests import tiny
from tests.faults.soak import times
from tests.models.server import Served, serving
from tests.terminal import LONG, Terminal

termios = pytest.importorskip("termios")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

QUESTION = "why?"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model: it loads at once, and goes on for as long as it may."""
    letters = (tiny.ASCII + tiny.LETTERS)[: len(tiny.LETTERS)]
    return tiny.write(tmp_path_factory.mktemp("m") / "m.gguf", letters=letters)


@pytest.fixture(scope="module")
def download(tmp_path_factory):
    """What models.toml says of a model whose second half does not come, and who to trust for it."""
    content = b"GGUF" + bytes(3_000_000)
    served = Served(files={"/m.gguf": content}, pause=threading.Event())
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusted = tmp_path_factory.mktemp("ca") / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    with serving(served, context=context) as address:
        table = f'[models.big.source]\ntype = "url"\nurl = "{address}/m.gguf"\n'
        table += f'sha256 = "{hashlib.sha256(content).hexdigest()}"\nsize = {len(content)}\n'
        yield table, {"SSL_CERT_FILE": str(trusted), "NO_PROXY": "127.0.0.1"}


@pytest.fixture
def begin(model, download, tmp_path):
    """A function that starts one of the commands in a terminal, and is at work soon."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith("SOFTCHAT_")}
    table, trusted = download
    environ = mine | trusted | {"SOFTCHAT_HOME": str(tmp_path / "home"), "PYTHONUTF8": "1"}
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models.toml").write_text(table)
    data = tmp_path / "data.jsonl"
    lines = (json.dumps({"question": f"{n}?", "answer": "1"}) for n in range(500))
    data.write_text("\n".join(lines))
    flags = ["-m", str(model), *LONG, "--max-answer", "3000", "--ctx", "16384"]

    def begin(command, *, shell=False):
        if command == "eval":
            few = ["-m", str(model), "--max-think", "300", "--max-answer", "30"]
            out = str(tmp_path / f"{random.random()}.jsonl")
            arguments = ["eval", str(data), *few, "--out", out]
        elif command == "pull":
            arguments = ["models", "pull", "big"]
        else:
            arguments = [command, *flags, *([QUESTION] if command == "ask" else [])]
        # A shell, as nobody stops a process that has none above it; it goes on with it in a second.
        program = [sys.executable, "-m", "softchat", *arguments]
        shelled = ["bash", "-mc", '"$0" "$@"; sleep 1; fg', *program] if shell else None
        one = Terminal(arguments, environ, program=shelled)
        one.home = tmp_path / "home"
        if command == "chat":
            one.until("context|loading|not loaded")
            one.child.send(f"{QUESTION}\r")
        return one

    return begin


def family(pid):
    """The process, and all below it, by what /proc says now."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        left += parents.get(found[-1], [])
    return found


def state_of(pid):
    """As /proc has it: T is stopped, Z dead; X if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def is_there(pid):
    """Whether it runs; one that nobody has asked after yet does not."""
    return state_of(pid) not in "ZX"


def wait_for(condition):
    """As long as it takes on a machine that does much else."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def run_for(one, seconds):
    """Take in what is written meanwhile."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        one.read(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", ["ask", "chat", "eval", "pull"])
def test_it_ends_in_order(begin, command, number):
    """The terminal is as before, no process is left, what was asked is on disk, no traceback."""
    rng = random.Random(int(number))
    for _ in range(times(2, 50)):
        one = begin(command)
        run_for(one, rng.uniform(0.05, 3))
        pids = family(one.child.pid)
        if one.child.isalive():
            os.kill(one.child.pid, number)
        wait_for(lambda one=one: not one.read(0.1))
        assert termios.tcgetattr(one.child.child_fd)[3] & termios.ECHO
        one.child.close()
        assert b"Traceback" not in one.raw, one.raw
        assert not one.screen.cursor.hidden, one.raw[-300:]
        assert one.child.signalstatus == number or one.child.exitstatus is not None
        wait_for(lambda pids=pids: not any(map(is_there, pids)))
        kept = list((one.home / "sessions").glob("*.json"))
        for path in kept:
            assert QUESTION in json.dumps(json.loads(path.read_text()))
            path.unlink()


@pytest.mark.parametrize("command", ["ask", "chat", "eval", "pull"])
def test_it_stops_and_goes_on(begin, command):
    """Stopped, the terminal has its cursor; continued, the run goes on, and ends as any."""
    rng = random.Random(7)
    for _ in range(times(2, 50)):
        one = begin(command, shell=True)
        wait_for(lambda one=one: one.read(0.02) and len(family(one.child.pid)) > 1)
        pid = family(one.child.pid)[1]
        run_for(one, rng.uniform(0.05, 3))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTSTP)
        wait_for(lambda one=one, pid=pid: not one.read(0.02) or state_of(pid) in "TZX")
        if state_of(pid) != "T":
            continue  # it had come to its end just before
        run_for(one, 0.2)
        assert not one.screen.cursor.hidden, one.raw[-300:]
        wait_for(lambda one=one, pid=pid: one.read(0.02) and state_of(pid) != "T")
        run_for(one, 0.3)
        pids = family(pid)
        with suppress(ProcessLookupError):  # it may have come to its end
            os.kill(pid, signal.SIGTERM)
        one.finish()
        assert b"Traceback" not in one.raw
        assert not one.screen.cursor.hidden
        wait_for(lambda pids=pids: not any(map(is_there, pids)))
