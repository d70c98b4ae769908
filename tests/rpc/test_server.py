"""`softchat rpc-server` as its user sees it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys

import pytest

from tests.rpc.conftest import free_port


@pytest.fixture
def server(environ):
    """Start one: its process, whose stdout is read to the line that says where it is."""
    started = []

    def start(*flags):
        command = [sys.executable, "-m", "softchat", "rpc-server", "--port", "0", *flags]
        process = subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        lines = [process.stdout.readline(), process.stdout.readline()]
        return process, lines

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_client_comes_and_leaves(server, softchat):
    """What it offers and where, a line for each, none for a mere look; Ctrl-C is its end."""
    process, (offers, where) = server("--threads", "1")
    assert offers.startswith("serving CPU (")
    address = re.fullmatch(r"at (127\.0\.0\.1:\d+), protocol \d+\.\d+\.\d+; .*\n", where)[1]
    done = softchat(
        "ask", "--rpc", address, "--threads", "1", "--max-think", "1", "--max-answer", "1", "Hi?"
    )
    assert done.status == 0, done
    came, left = process.stdout.readline(), process.stdout.readline()
    assert came.endswith(" a client has come\n")
    assert left.endswith(" the client has left\n")
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("ended\n", "")
    assert process.returncode == 0


def test_another_address_is_warned_of(server):
    """No password and no encryption, and the tunnel that does without."""
    process, (_, where) = server("--host", "0.0.0.0")  # it is what is warned of
    assert where.startswith("at 0.0.0.0:")
    process.send_signal(signal.SIGINT)
    assert "ssh -N -L " in process.communicate()[1]


def test_its_end_is_its_child_s_end(server):
    """However it ends: nothing goes on to serve."""
    process, (_, where) = server()
    port = int(re.search(r":(\d+),", where)[1])
    process.kill()
    process.communicate()
    for _ in range(2000):  # the child ends by itself, soon
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
    raise AssertionError("it still serves")


def test_where_it_can_not_be(softchat):
    """A port that is taken, an address of others, a device that is none: one line each."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = softchat("rpc-server", "--port", str(other.getsockname()[1]))
    assert "address already in use" in taken.err
    foreign = softchat("rpc-server", "--host", "192.0.2.1", "--port", str(free_port()))
    assert "can be at 192.0.2.1" in foreign.err
    device = softchat("rpc-server", "--device", "X", "--port", str(free_port()))
    assert "no device X" in device.err
    for one in (taken, foreign, device):
        assert one.status in (1, 2)
        assert one.err.count("\n") == 2
