"""The events of one run, each kind in its place. Knows events, and nothing of files or views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from softchat.errors import SoftchatError
from softchat.events import Answer, Error, Event, Finished, Halted, Lens, Started, Step, told_last
from softchat.settings import Settings

_ALWAYS = ("strategy", "temperature", "topn", "tau", "patience")
_E = TypeVar("_E", bound=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One question's run, or as much of it as there is: it may have been cut off anywhere."""

    events: tuple[Event, ...]
    """All of them, as they came."""
    started: Started | None = None
    steps: tuple[Step, ...] = ()
    """Those that count: without any that its user has gone back over."""
    lenses: tuple[Lens, ...] = ()
    halted: Halted | None = None
    answer: str = ""
    finished: Finished | None = None
    error: Error | None = None

    @classmethod
    def of(cls, events: Iterable[Event]) -> Run:
        """The run that these are the events of."""
        kept = tuple(events)
        told = told_last(event for event in kept if isinstance(event, Step | Lens))
        return cls(
            events=kept,
            started=_last(kept, Started),
            steps=tuple(one for one in told if isinstance(one, Step)),
            lenses=tuple(one for one in told if isinstance(one, Lens)),
            halted=_last(kept, Halted),
            answer="".join(event.text for event in kept if isinstance(event, Answer)),
            finished=_last(kept, Finished),
            error=_last(kept, Error),
        )

    @property
    def model_name(self) -> str:
        """What it ran on: the model's name, and those of its adapters."""
        model = self.started.model if self.started else None
        return " + ".join([model.name, *model.loras]) if model else "unknown"

    @property
    def question(self) -> str:
        """What was asked; empty if it does not tell."""
        return self.started.question if self.started else ""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that it ran with."""
        return self.started.settings if self.started else {}

    @property
    def notable(self) -> dict[str, str]:
        """The settings that say what kind of run it was, and those that are not as built in.

        None that the run did not look at.
        """
        built_in, idle = Settings().to_dict(), _idle(self.settings)
        return {
            name: f"{value:g}" if isinstance(value, float) else str(value)
            for name, value in self.settings.items()
            if (name in _ALWAYS or built_in.get(name) != value) and name not in idle
        }


def split_runs(events: Iterable[Event]) -> Iterator[Run]:
    """The runs of events that came one run after the other, as a session's trace holds them."""
    current: list[Event] = []
    for event in events:
        if isinstance(event, Started) and current:
            yield Run.of(current)
            current = []
        current.append(event)
    if current:
        yield Run.of(current)


def _idle(values: Mapping[str, Any]) -> set[str]:
    """Which of these settings a run with them did not look at; none where that can't be told."""
    try:
        settings = Settings(**values)
    except (TypeError, SoftchatError):  # of another version, or written by hand
        return set()
    return {name for name in values if not settings.uses(name)}


def _last(events: tuple[Event, ...], kind: type[_E]) -> _E | None:
    return next((event for event in reversed(events) if isinstance(event, kind)), None)
