"""Everything that is checked before a change lands: format, lint, types, imports, tests."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

ROOT, TOOLS = Path(__file__).parent.parent, Path(sys.executable).parent
CHECKS = ("ruff format --check .", "ruff check .", "mypy", "lint-imports")
LONG = ("tests/faults", "tests/repl")
"""About half of the time that all tests take; most of it they wait."""
TESTS = (
    f"pytest --durations=10 {' '.join(LONG)}",
    f"pytest --durations=10 {' '.join(f'--ignore={folder}' for folder in LONG)}",
)


def main() -> int:
    """Run each check in the repository's root; the status of the first that fails, else 0.

    The tests are two runs at once, told one after the other.
    """
    for check in CHECKS:
        print(f"== {check}", flush=True)
        if status := begun(check).wait():
            return failed(check, status)
    with tempfile.TemporaryFile() as told:
        second = begun(TESTS[1], told)
        print(f"== {TESTS[0]}", flush=True)
        statuses = [begun(TESTS[0]).wait(), second.wait()]
        print(f"== {TESTS[1]}", flush=True)
        told.seek(0)
        print(told.read().decode(errors="replace"), flush=True)
    for check, status in zip(TESTS, statuses, strict=True):
        if status:
            return failed(check, status)
    return 0


def begun(check: str, told: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """A check that runs now; what it prints goes to that file, if there is one."""
    name, *arguments = check.split()
    return subprocess.Popen([TOOLS / name, *arguments], cwd=ROOT, stdout=told, stderr=told)


def failed(check: str, status: int) -> int:
    """Say so; the status."""
    print(f"== failed: {check}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
