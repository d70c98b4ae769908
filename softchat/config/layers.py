"""Values by name from several sources, the strongest of which counts, and is told.

Knows nothing of flags, files or models.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from softchat.settings import KNOBS, Settings, StrategyName, resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where values come from."""

    values: Mapping[str, object]
    origin: Callable[[str], str]
    """Says of the name of a value whence exactly it is."""

    def settings(self) -> dict[str, object]:
        """Those of its values that are settings of a run."""
        return {name: value for name, value in self.values.items() if name in KNOBS}

    def over(self, weaker: Source) -> Source:
        """All values of both, this one's where both have one."""
        return Source(
            values={**weaker.values, **self.values},
            origin=lambda name: (self if name in self.values else weaker).origin(name),
        )


@dataclass(slots=True, kw_only=True)
class Layers:
    """Sources, each the weakest first."""

    suits: Sequence[Source]
    """What suits a model or a user in general: a tau of these is none for `hard`, see `resolve`."""
    chosen: Sequence[Source] = ()
    """What was said for this run."""
    session: dict[str, object] = field(default_factory=dict)
    """What was set since, the strongest of all."""

    def take_up(self, before: Mapping[str, object], *, stronger: Collection[str]) -> None:
        """Take what was set in an earlier session to be set in this, but for what is stronger."""
        self.session = {name: value for name, value in before.items() if name not in stronger}

    def resolve(self, **once: object) -> Settings:
        """The settings of the next turn; a seed that nobody has set is drawn."""
        suits: dict[str, object] = {"seed": secrets.randbits(32)}
        for source in self.suits:
            suits |= source.settings()
        chosen = [source.settings() for source in self.chosen]
        return resolve(suits, *chosen, self.session, once)

    def value(self, name: str, default: Any = None) -> Any:  # noqa: ANN401  # as the sources have it
        """The value that counts of an option that is no setting of a run."""
        source = self._source(name)
        return default if source is None else source.values[name]

    def origin(self, name: str) -> str:
        """Where the value that counts comes from."""
        if name == "tau" and self._is_without_cold_stop():
            return "strategy hard"
        source = self._source(name)
        if source is None and name == "halt":  # whoever sets only that one means its rule
            source, name = self._source("sure_entropy"), "sure_entropy"
        if source is None:
            return "drawn for each turn" if name == "seed" else "built in"
        return source.origin(name)

    def _source(self, name: str) -> Source | None:
        session = Source(values=self.session, origin=lambda _: "/set")
        sources = (*self.suits, *self.chosen, session)
        return next((source for source in reversed(sources) if name in source.values), None)

    def _is_without_cold_stop(self) -> bool:
        chosen = [self.session, *(source.values for source in self.chosen)]
        hard = self.resolve().strategy is StrategyName.HARD
        return hard and not any("tau" in values for values in chosen)
