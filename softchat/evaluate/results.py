"""Results on disk, a line of JSON each, as they come. Knows nothing of models or terminals.

The first line says what is evaluated, and how; a file goes on only with the same. A process that is
killed leaves at the worst half a line, which is cut off when the file is opened again; one that is
whole counts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from softchat.base.closeable import Closeable
from softchat.base.files import lock_file, make_private, open_file
from softchat.base.text import one_line
from softchat.base.typed import read
from softchat.errors import UsageError
from softchat.evaluate.evaluate import Key, Outcome, Plan, Result, seed_of
from softchat.evaluate.questions import QuestionFile
from softchat.events import FinishReason, HaltReason

_KIND = "softchat_eval"
_SCHEMA = 1
_LONGEST_STEM = 200  # bytes; a name has 255 at the most
_RESULT = b'{"run": '
_OPENING = f'{{"{_KIND}": '.encode()


def make_identity(
    plan: Plan,
    questions: QuestionFile,
    *,
    model: Mapping[str, Any],
    n_ctx: int,
    version: str,
) -> dict[str, Any]:
    """All that decides a result but the question: the first line of a file of results.

    `model` is whatever tells the model and its adapters from others.

    How many questions are picked, in which order, how often each is asked, and how many run at
    once, is not in it: so more can be added later.
    """
    return {
        _KIND: _SCHEMA,
        "version": version,
        "model": dict(model),
        "data": {"name": questions.path.name, "sha256": questions.sha256},
        "extract": plan.reader.name,
        "system": plan.system,
        "tags": asdict(plan.tags) if plan.tags else None,
        "n_ctx": n_ctx,
        "runs": {run.name: run.settings.to_dict() for run in plan.runs},
    }


def default_path(folder: Path, identity: Mapping[str, Any]) -> Path:
    """A file of its own for each identity."""
    text = json.dumps(identity, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    stem = Path(identity["data"]["name"]).stem
    while len(stem.encode(errors="surrogatepass")) > _LONGEST_STEM:
        stem = stem[:-1]
    return folder / f"{stem}-{digest[:10]}.jsonl"


class ResultFile(Closeable):
    """A file of results: those that it holds already, and those that are added.

    Args:
        path: made, with its folders, if it is not there; then removed if no result comes.
        identity: what this evaluation is, see `make_identity`.

    Raises:
        UsageError: the file can't be read or written, or is of another evaluation.

    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self.results: list[Result] = []
        self._is_new = False  # whether all that is in it was written here
        shown = one_line(str(path))
        was_there = os.path.lexists(path)
        with ExitStack() as stack:
            try:
                make_private(path.parent)
                handle = open_file(path, os.O_RDWR | os.O_CREAT)
                self._file = stack.enter_context(os.fdopen(handle, "r+b", buffering=0))
                if not lock_file(handle):
                    raise UsageError(
                        f"another softchat writes to {shown}",
                        hint="wait for it, or name another file with --out",
                    )
                stack.callback(self._drop_if_empty)
                self._is_new = not was_there
                self._read(shown, identity)
            except OSError as error:
                other = error.filename not in (None, str(path))
                where = f"{one_line(str(error.filename))}: " if other else ""
                raise UsageError(
                    f"can't write results to {shown}: {where}{error.strerror}",
                    hint="name another file with --out",
                ) from error
            stack.pop_all()  # all is well: it stays open

    @property
    def done(self) -> set[Key]:
        """What is there already."""
        return {result.key for result in self.results}

    def add(self, result: Result) -> None:
        """Append a result, now.

        Raises:
            UsageError: it can't be written; the disk may be full.

        """
        try:
            self._write(_to_dict(result))
        except OSError as error:
            raise UsageError(
                f"can't write results to {one_line(str(self.path))}: {error.strerror}",
                hint="make room; the same command goes on with what is there",
            ) from error
        self.results.append(result)

    @property
    def is_there(self) -> bool:
        """Whether the file can still be found under its name."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self.path.stat())
        except OSError:
            return False

    def _read(self, shown: str, identity: Mapping[str, Any]) -> None:
        data = self._file.read()
        unbroken = _is_json(data[data.rfind(b"\n") + 1 :])  # a line that lacks its end alone
        data += b"\n" * unbroken
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.splitlines()
        if not lines:
            if data[: len(_OPENING)] != _OPENING[: len(data)]:  # no first line that was cut off
                raise _else(shown)
            self._file.seek(0)
            self._file.truncate()
            self._write(identity)
            return
        head = _parsed(shown, 1, lines[0])
        if not isinstance(head, dict) or head.get(_KIND) != _SCHEMA:
            raise _else(shown)
        differs = _difference(head, identity)
        if differs:
            raise UsageError(
                f"{shown} is of another evaluation: {differs}",
                hint="name another file with --out, or none: each evaluation has one of its own",
            )
        seen: set[Key] = set()
        for number, line in enumerate(lines[1:], 2):
            result = _from_dict(shown, number, _parsed(shown, number, line))
            if result.key in seen:  # it would count twice
                raise _damaged(shown, number, "a result that is there already")
            if wrong := _wrong(result, identity["runs"]):
                raise _damaged(shown, number, wrong)
            seen.add(result.key)
            self.results.append(result)
        rest = data[len(whole) :]
        if rest[: len(_RESULT)] != _RESULT[: len(rest)]:  # no result that was cut off
            raise _damaged(shown, len(lines) + 1, "no result")
        self._file.seek(len(whole) - unbroken)
        self._file.truncate()
        self._file.write(b"\n" * unbroken)

    def _write(self, line: Mapping[str, Any]) -> None:
        # As ASCII: a name or a system prompt may hold what is no text (a lone surrogate).
        # Unbuffered: what could not be written is not tried once more when the file is closed.
        data = json.dumps(line, allow_nan=False).encode() + b"\n"
        while data:
            data = data[self._file.write(data) :]

    def close(self) -> None:
        """Close the file; without a result, there is none."""
        self._drop_if_empty()
        self._file.close()

    def _drop_if_empty(self) -> None:
        if self._is_new and not self.results and self.is_there:
            with suppress(OSError):  # then it goes on from its first line
                self.path.unlink()


def _to_dict(result: Result) -> dict[str, Any]:
    values = asdict(result)
    outcome: dict[str, Any] = values.pop("outcome")
    return values | outcome


def _from_dict(shown: str, number: int, line: Any) -> Result:  # noqa: ANN401  # whatever JSON holds
    if not isinstance(line, dict):
        raise _damaged(shown, number, "no result")
    try:
        return read({**line, "outcome": line}, Result, "result")  # type: ignore[no-any-return]
    except ValueError as error:
        raise _damaged(shown, number, str(error)) from error


def _wrong(result: Result, runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Why no run of this evaluation has had this result, in words; empty if one may have."""
    outcome = result.outcome
    if result.run not in runs:
        return f"there is no run '{result.run}'"
    seed = seed_of(runs[result.run]["seed"], result.index, result.sample)
    if result.seed != seed:
        return f"its seed is {result.seed}, and was {seed} in that run"
    if outcome.halted not in ("", *HaltReason):
        return f"no thinking ends by '{outcome.halted}'"
    if outcome.finished not in ("", *FinishReason):
        return f"no answer ends by '{outcome.finished}'"
    if outcome.error and outcome != Outcome(error=outcome.error):
        return "an error, and an answer beside it"
    if result.correct and (outcome.error or result.given is None):
        return "right, without an answer"
    return ""


def _parsed(shown: str, number: int, line: bytes) -> Any:  # noqa: ANN401  # whatever JSON holds
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:  # neither JSON nor UTF-8; lists in lists
        raise _else(shown) if number == 1 else _damaged(shown, number, "not JSON") from error


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _else(shown: str) -> UsageError:
    return UsageError(f"{shown} holds something else", hint="name another file with --out")


def _damaged(shown: str, number: int, what: str) -> UsageError:
    return UsageError(
        f"{shown}, line {number}: {one_line(what)}",
        hint="the file is left as it is; mend that line, or name another file with --out",
    )


def _difference(head: Mapping[str, Any], identity: Mapping[str, Any]) -> str:
    """The first thing that differs, in words; empty if nothing does."""
    for key, mine in identity.items():
        theirs = head.get(key)
        if theirs == mine:
            continue
        if key == "model" and _is_same_file(theirs, mine):
            return "another way to load the model: --cache-type, or with its adapter beside it"
        if key in ("model", "data"):
            return f"another {'model' if key == 'model' else 'file of questions'}"
        if key == "runs" and isinstance(theirs, dict):
            return _run_difference(theirs, mine)
        return one_line(f"{key} was {theirs!r} and is {mine!r}")
    return ""


def _is_same_file(theirs: object, mine: Mapping[str, Any]) -> bool:
    keys = ("name", "sha256", "adapters")
    return isinstance(theirs, dict) and all(theirs.get(key) == mine.get(key) for key in keys)


def _run_difference(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> str:
    if list(theirs) != list(mine):
        return one_line(f"its runs are {', '.join(theirs)}")
    for name, settings in mine.items():
        for key, value in settings.items():
            was = theirs[name].get(key) if isinstance(theirs[name], dict) else None
            if was != value:
                return one_line(f"{key} of {name} was {was} and is {value}")
    return "its runs have other settings"
