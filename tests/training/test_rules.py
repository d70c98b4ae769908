"""Halting rules on a record that is small enough to follow by hand."""

from __future__ import annotations

import pytest

from training.rules import (
    cold_line,
    cold_stop,
    first_sure,
    stable,
    sure,
    to_the_end,
)

RECORD = {
    "probes": [
        {"steps": 3, "answer": "7", "entropies": [0.9, 0.0]},
        {"steps": 6, "answer": "12", "entropies": [0.02, 0.4, 0.0]},
        {"steps": 9, "answer": "12", "entropies": [0.01, 0.01, 0.0]},
        {"steps": 13, "answer": "12", "entropies": [0.0, 0.0, 0.0]},
    ],
    "entropies": [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
}


@pytest.mark.parametrize(
    ("rule", "steps", "answer", "cost"),
    [
        (to_the_end, 13, "12", 0),
        (sure(0.1), 9, "12", 5 + (5 + 1) + (5 + 2)),
        (sure(1.0), 3, "7", 5 + 1),
        (sure(0.001), 13, "12", 5 * 3),
        (sure(1.0, from_line=2), 6, "12", 5 + 2),
        (first_sure(0.1), 6, "12", 5 + 5),
        (stable(2), 9, "12", (5 + 2) + (5 + 3) + (5 + 3)),
        (stable(4), 13, "12", (5 + 2) + (5 + 3) + (5 + 3)),
        (cold_line(0.1), 6, "12", 0),
        (cold_stop(0.1, 2), 3, "7", 0),
        (cold_stop(0.1, 99), 13, "12", 0),
    ],
)
def test_a_rule_stops_where_it_says(rule, steps, answer, cost):
    """The step, the answer there, and what its probes have decoded up to then."""
    assert rule(RECORD) == (steps, answer, cost)
