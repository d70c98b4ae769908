"""`softchat bench --rpc`: counts and forms, never a clock."""

from __future__ import annotations

import json
import sys

from softchat.bench import measure_machines


def test_it_measures_each_number_of_servers(servers, tiny_model):
    """Bytes over the wire are those of a step, and the same however fast the machine is."""
    told = []
    report = measure_machines(
        tiny_model, "tiny", servers.take(2), steps=8, repeats=1, n_threads=1, progress=told.append
    )
    assert list(report.by_servers) == [1, 2]
    assert told == ["1 of 2 servers", "2 of 2 servers"]
    rows = dict(report.rows())
    assert {"a step here", "on 1 server: a step", "on 2 servers: a step"} <= set(rows)
    assert json.loads(report.to_json())["model"] == "tiny"
    one, two = report.by_servers.values()
    if sys.platform == "linux":
        assert 0 < one.bytes_a_step < two.bytes_a_step
        assert "  bytes over the wire a step" in rows
    assert one.step_to_local > 0
    assert two.prompt_to_local > 0


def test_the_command(servers, softchat, real_model):
    """A table, then a line of JSON; a server that is none is refused in one line."""
    address = servers.take(1)[0]
    done = softchat(
        "bench", "-m", str(real_model), "--rpc", address, "--steps", "8", "--repeats", "1"
    )
    assert done.status == 0, done
    assert json.loads(done.out.splitlines()[-1])["servers"] == [address]
    refused = softchat("bench", "-m", str(real_model), "--rpc", "127.0.0.1:1")
    assert (refused.status, refused.out) == (1, "")
    assert "no server at 127.0.0.1:1" in refused.err
