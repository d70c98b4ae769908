"""What an examination finds: facts by topic, and problems with a way out of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Tell = Callable[[str, str], None]
"""Takes a problem: what is wrong, and a hint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is wrong, and a way out."""

    what: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was found."""

    facts: Mapping[str, Mapping[str, Any]]
    """By topic, as JSON holds it; sizes in bytes."""
    problems: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""
        problems = [{"what": one.what, "hint": one.hint} for one in self.problems]
        return {**self.facts, "problems": problems}
