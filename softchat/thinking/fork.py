"""Where a run parts from an earlier one, and what can be changed of a step. Knows events alone.

A fork is a run of its own. The steps before it are told again, and not computed: what they fed is
put back into the model's memory as far as it is not there any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from softchat.base.text import natural
from softchat.errors import UsageError
from softchat.events import Change, ConceptEntry, Mode, Parting, Started, Step
from softchat.settings import Settings, resolve

_OF_THE_PROMPT = ("think", "effort", "raw_special")
"""Settings that say how the model is asked. A fork is asked as its run was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """What a run begins with that parts from an earlier one."""

    steps: tuple[Step, ...] = ()
    """Of the earlier run, those before it parts."""
    first: Step | None = None
    """The first step of its own, if it is known already: one that was changed."""
    prompt: tuple[int, ...] = ()
    """The earlier run's; without it the question's own is used."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Those that differ from the earlier run's."""

    @property
    def parting(self) -> Parting:
        """As the run's first event tells of it."""
        taken = self.first.concept[0].piece if self.first else ""
        return Parting(step=len(self.steps), taken=taken, settings=self.settings)


def make_fork(
    started: Started,
    steps: Sequence[Step],
    at: int,
    *,
    take: ConceptEntry | None = None,
    once: Mapping[str, object] | None = None,
) -> tuple[Fork, Settings]:
    """The fork of a run, and the settings that it runs with.

    Args:
        started: of the run.
        steps: all of the run's.
        at: the first step that is not to be as it was.
        take: the token that is fed there, alone; None: whatever comes of other settings.
        once: settings that are others from there on.

    Raises:
        UsageError: there is no such step, or nothing to think there with these settings.

    """
    if not 0 <= at < len(steps):
        last = f"steps are from 0 to {len(steps) - 1}" if steps else "the run has none"
        raise UsageError(f"no step {at}", hint=last)
    if any(step.index != place for place, step in enumerate(steps[: at + 1])):
        raise UsageError(f"steps before {at} are missing in this run", hint="fork a whole one")
    changed = dict(once or {})
    settings = resolve({}, started.settings | changed)
    _refuse(settings, resolve({}, started.settings), at, fed=at + (take is not None))
    first = None
    if take is not None:
        # What was fed alone anyway is the step that it was: that it was cold counts on.
        first = steps[at] if _is_alone(steps[at], take) else take_alone(steps[at], take)
    if first and first.change and "temperature" in changed:  # it is not the step's any more
        first = replace(first, change=replace(first.change, temperature=None))
    fork = Fork(
        steps=tuple(steps[:at]),
        first=first,
        prompt=started.prompt,
        settings={name: settings.to_dict()[name] for name in changed},
    )
    return fork, settings


def _refuse(now: Settings, then: Settings, at: int, *, fed: int) -> None:
    """Raise UsageError if settings don't let the steps of a fork be what they were."""
    ends = f"with max_think {fed} it answers there"
    for name in _OF_THE_PROMPT:
        if getattr(now, name) != getattr(then, name):
            hint = ends if name == "think" else f"ask once more with another {name}"
            raise UsageError(f"{name} can't change within a thought, at step {at}", hint=hint)
    if now.max_think < fed:
        raise UsageError(f"max_think {now.max_think} ends it before the fork at {at}", hint=ends)


def find_token(step: Step, wanted: str, *, shown: Callable[[str], str] = repr) -> ConceptEntry:
    """The token of a step that is meant: by its place, 1 being the heaviest, or by its text.

    White space around a text need not be said; of several tokens the heaviest is meant. A number
    between quotes is a text.

    Args:
        step: one that was told.
        wanted: what the user has typed.
        shown: a piece as the user sees it, which names it too.

    Raises:
        UsageError: the step has no such token.

    """
    entries = step.own
    place = natural(wanted)
    if place is not None and 0 < place <= len(entries):
        return entries[place - 1]
    quoted = len(wanted) > 2 and wanted[0] == wanted[-1] and wanted[0] in "\"'"
    text = wanted[1:-1] if quoted else wanted
    for alike in (_exactly, _bare, _caseless):
        for entry in entries:
            if alike(text) in (alike(entry.piece), alike(shown(entry.piece))):
                return entry
    there = ", ".join(shown(entry.piece) for entry in entries[:8])
    more = f", and {len(entries) - 8} more" if len(entries) > 8 else ""
    if place is not None and place > len(entries):
        count = f"{len(entries)} tokens" if len(entries) > 1 else "one token"
        raise UsageError(f"step {step.index} has {count}", hint=f"it has {there}{more}")
    raise UsageError(
        f"step {step.index} has no token {wanted!r}", hint=f"it has {there}{more}; or a number"
    )


def _exactly(text: str) -> str:
    return text


def _bare(text: str) -> str:
    return text.strip(" \u0120\u2581")  # as pieces write a space in front of a word


def _caseless(text: str) -> str:
    return _bare(text).casefold()


def _is_alone(step: Step, entry: ConceptEntry) -> bool:
    changed = step.change is not None and bool(step.change.instead_of)
    return not changed and len(step.concept) == 1 and step.concept[0].id == entry.id


def take_alone(step: Step, entry: ConceptEntry) -> Step:
    """The step with this token alone in place of its mixture."""
    return _changed(step, (replace(entry, weight=1.0),), Mode.HARD)


def without_heaviest(step: Step) -> Step | None:
    """The step without the token that weighs most; None if it has no other."""
    left = [entry for entry in step.concept[1:] if entry.weight > 0]
    total = sum(entry.weight for entry in left)
    if not left:
        return None
    concept = tuple(replace(entry, weight=entry.weight / total) for entry in left)
    return _changed(step, concept, step.mode if len(concept) > 1 else Mode.HARD)


def _changed(step: Step, concept: tuple[ConceptEntry, ...], mode: Mode) -> Step:
    change = Change(
        instead_of=step.own, temperature=step.change.temperature if step.change else None
    )
    # Whoever changes a step is not as sure of it as the model may be: it is not cold.
    return replace(
        step, concept=concept, mode=mode, change=change, below=0, why="", token=None, noise=None
    )
