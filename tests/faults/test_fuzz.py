"""Files of changed bytes: each reader takes them, or says in words why it does not."""

from __future__ import annotations

import random

import pytest

from tests.faults.fuzz import TARGETS, attempt, changed
from tests.faults.soak import times


@pytest.mark.parametrize("name", TARGETS)
def test_changed_bytes(name, tmp_path):
    """Nothing is raised but softchat's own errors; of what is not changed, nothing."""
    target, rng = TARGETS[name], random.Random(23)
    seeds = target.seeds(tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    assert all(attempt(target, folder, seed) for seed in seeds)
    taken = sum(
        attempt(target, folder, changed(rng, rng.choice(seeds))) for _ in range(times(30, 3000))
    )
    print(f"{name}: {taken} taken")
