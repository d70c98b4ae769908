"""Everything that is checked before a change lands: format, lint, types, imports, tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKS = (
    "ruff format --check .",
    "ruff check .",
    "mypy",
    "lint-imports",
    "pytest --durations=10",
)


def main() -> int:
    """Run each check in the repository's root; the status of the first that fails, else 0."""
    root, tools = Path(__file__).parent.parent, Path(sys.executable).parent
    for check in CHECKS:
        name, *arguments = check.split()
        print(f"== {check}", flush=True)
        status = subprocess.run([tools / name, *arguments], cwd=root, check=False).returncode
        if status:
            print(f"== failed: {check}", flush=True)
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
