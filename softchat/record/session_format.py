"""The format of a session file: a session as JSON, read back; or as Markdown, for people to read.

Knows nothing of the folder in which sessions are kept.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from softchat.base import files
from softchat.base.text import one_line, printable
from softchat.base.typed import read_json
from softchat.base.written import write_named
from softchat.errors import UsageError
from softchat.events import from_dict, to_dict
from softchat.record.recall import Events, newest, recalled
from softchat.record.runs import Run
from softchat.settings import check
from softchat.talk.conversation import Turn, now

SCHEMA = 1
_LARGEST = 2**26  # bytes of a file that is read; years of talk are less
_MARK = "<!-- written by softchat -->"
"""The second line of a chat as Markdown in a file, by which the file is known."""
_EXPORT = re.compile(
    rb'# A chat with [^\n]*\n%b\n|\{"schema": \d+, "id": "(?:[^"\\]|\\.)*", "started": "'
    % re.escape(_MARK.encode())
)
ASK = "ask-"  # how the id of a session begins that `softchat ask` has made


class SessionContent(Protocol):
    """What a session file holds, as a running session or one that was read has it."""

    @property
    def model_name(self) -> str:
        """What `-m` would call its model."""
        ...

    @property
    def system(self) -> str:
        """The system prompt."""
        ...

    @property
    def chosen(self) -> Mapping[str, object]:
        """The settings that were changed in it."""
        ...

    @property
    def turns(self) -> Sequence[Turn]:
        """What has been said."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A session as it was read from its file."""

    id: str
    started: str = ""
    updated: str = ""
    """ISO 8601, with the offset."""
    model: str
    system: str
    chosen: Mapping[str, object] = field(default_factory=dict)
    """The settings that were changed in it."""
    turns: tuple[Turn, ...]
    pending: str = ""
    """The question whose turn had not ended; empty for none."""
    closed: bool = True
    """Whether the user left it, or something killed it."""

    @property
    def is_ask(self) -> bool:
        """Whether `softchat ask` has made it, and nobody has gone on with it in a chat."""
        return self.id.startswith(ASK)

    @property
    def model_name(self) -> str:
        """What `-m` would call its model."""
        return self.model

    @property
    def title(self) -> str:
        """Its first question."""
        return self.turns[0].question if self.turns else self.pending


def write_file(path: Path, content: SessionContent) -> None:
    """Write a chat to a file of the user's: Markdown to read if it ends in .md, else JSON.

    Raises:
        UsageError: it can't be written.

    """
    if path.suffix.lower() == ".md":
        title, after = to_markdown(content).split("\n", 1)
        text = f"{title}\n{_MARK}\n{after}"
    else:
        said = [one for turn in content.turns for one in turn.lineage]
        runs = iter(newest([turn.events for turn in said]))
        turns = [_with_events(turn, [next(runs) for _ in turn.lineage]) for turn in content.turns]
        text = json.dumps(as_data(content, turns, path.stem, now(), pending="", closed=True))
    shown = one_line(str(path))
    try:
        if path.exists() and not path.is_file():  # a device would be one no more
            raise UsageError(f"can't write {shown}: it is no file", hint="name another file")
        write_named(path, text)
    except OSError as error:
        raise UsageError(
            f"can't write {shown}: {error.strerror}", hint="name another file"
        ) from error


def is_export(beginning: bytes) -> bool:
    """Whether a file that begins so was written by `write_file`."""
    return _EXPORT.match(beginning) is not None


def to_markdown(content: SessionContent) -> str:
    """All that was said, for people to read; a terminal finds nothing to obey in it."""
    parts = ["# A chat with " + one_line(content.model_name)]
    if content.system:
        parts.append("*" + " ".join(content.system.split()) + "*")
    for turn in content.turns:
        parts += ["## " + turn.question.replace("\n", "\n   "), turn.answer]
    return printable("\n\n".join(parts)) + "\n"


def as_data(
    content: SessionContent,
    turns: list[dict[str, Any]],
    id_: str,
    started: str,
    *,
    pending: str,
    closed: bool,
) -> dict[str, Any]:
    """A session as JSON holds it; to be written as ASCII, in which a lone surrogate is no harm."""
    return {
        "schema": SCHEMA,
        "id": id_,
        "started": started,
        "updated": now(),
        "model": content.model_name,
        "system": content.system,
        "set": dict(content.chosen),
        "turns": turns,
        "pending": pending,
        "closed": closed,
    }


def with_runs(turn: Turn, runs: Sequence[str]) -> dict[str, Any]:
    """A turn, with the names of its run, and of those that it is a fork of, the oldest first."""
    *before, own = runs
    named = [run for run in before if run]
    return said_in(turn) | ({"run": own} if own else {}) | ({"forked": named} if named else {})


def _with_events(turn: Turn, runs: Sequence[Events]) -> dict[str, Any]:
    """A turn with its own steps, and those of the turns that it is a fork of, the oldest first."""
    *before, own = ([to_dict(event) for event in run] for run in runs)
    told = [run for run in before if run]
    return said_in(turn) | {"events": own} | ({"before": told} if told else {})


def said_in(turn: Turn) -> dict[str, Any]:
    said = {"question": turn.question, "answer": turn.answer, "settings": turn.settings}
    return said | ({"asked": turn.asked} if turn.asked else {})


def read_file(path: Path, *, trace: Path | None = None) -> SessionRecord:
    """The session in a file; with the steps that are in it, and those of this trace.

    Raises:
        UsageError: there is no such file, or it holds something else.

    """
    shown = one_line(str(path))
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:  # there may be no end to it
            raise UsageError(f"{shown} is no saved session", hint="/save FILE.json makes one")
        data = read_json(files.read_file(path, most=_LARGEST))
    except OSError as error:
        hint = files.missing_hint(path)
        raise UsageError(f"can't read {shown}: {error.strerror}", hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{shown} is no saved session", hint="/save FILE.json makes one"
        ) from error
    if isinstance(data, dict) and isinstance(data.get("schema"), int) and data["schema"] > SCHEMA:
        raise UsageError(f"{shown} was written by a newer softchat", hint="update softchat")
    try:
        runs = recalled(trace, [*_names(data["turns"])]) if trace else {}
        return SessionRecord(
            id=path.stem,
            started=_text(data["started"]),
            updated=_text(data["updated"]),
            model=_text(data["model"]),
            system=_text(data["system"]),
            chosen=dict(_settings(data.get("set", {}))),
            turns=tuple(_turn(turn, runs) for turn in data["turns"]),
            pending=_text(data["pending"]),
            closed=data["closed"] is True,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{shown} is no saved session", hint="/save FILE.json makes one"
        ) from error


def _settings(data: Any) -> Iterator[tuple[str, object]]:  # noqa: ANN401  # whatever JSON holds
    for name, value in data.items():
        with suppress(UsageError):  # of a softchat that has other settings
            yield name, check(name, value)


def _turn(data: Any, runs: Mapping[str, Events]) -> Turn:  # noqa: ANN401  # whatever JSON holds
    settings = data["settings"]
    if not isinstance(settings, dict):
        raise TypeError
    events = _events(data.get("events", ()))
    question, asked = _text(data["question"]), _text(data.get("asked", ""))
    before = [_events(run) for run in data.get("before", ())]
    before += [runs[name] for name in data.get("forked", ()) if name in runs]
    return Turn(
        question=question,
        answer=_text(data["answer"]),
        settings=settings,
        asked=asked,
        events=events or runs.get(data.get("run"), ()),
        forked=_forked(question, asked, before),
    )


def _events(data: Any) -> Events:  # noqa: ANN401  # whatever JSON holds
    return tuple(from_dict(event) for event in data)


def _names(turns: Any) -> Iterator[Any]:  # noqa: ANN401  # whatever JSON holds
    """The runs that turns name."""
    for turn in turns:
        yield turn.get("run")
        yield from turn.get("forked", ())


def _text(value: Any) -> str:  # noqa: ANN401  # whatever JSON holds
    if not isinstance(value, str):
        raise TypeError
    return value


def _forked(question: str, asked: str, runs: Iterable[Events]) -> Turn | None:
    """The turn that these runs are the lineage of."""
    turn = None
    for events in runs:
        run = Run.of(events)
        turn = Turn(
            question=question,
            answer=run.answer,
            settings=run.settings,
            asked=asked,
            events=events,
            forked=turn,
        )
    return turn
