"""The benchmark measures what it says: counts and forms, never a clock."""

from __future__ import annotations

import json

from softchat.settings import StrategyName


def test_a_run_of_the_command(softchat, real_model):
    """A table with ratios first, then one line of JSON that holds the same figures."""
    done = softchat(
        "bench",
        "-m",
        str(real_model),
        "--steps",
        "8",
        "--repeats",
        "1",
        "--no-others",
        "--at",
        "128",
    )
    assert done.status == 0, done
    *table, line = done.out.splitlines()
    report = json.loads(line)
    assert report["command"].startswith("softchat bench -m ")
    assert len(report["sha256"]) == 64
    assert set(report["by_strategy"]) == {str(name) for name in StrategyName}
    assert list(report["by_position"]) == ["128"]
    assert report["soft_to_bare"] == report["by_strategy"]["soft"] > 0
    assert report["ask_to_llm"] is report["streaming_to_bare"] is None
    assert table[0].split() == [
        "soft",
        "step",
        "÷",
        "bare",
        "decode",
        f"{report['soft_to_bare']:.3f}",
    ]
    assert any(row.startswith("arrays of a step, V = 262144") for row in table)
