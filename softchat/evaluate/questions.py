"""Files of questions with known answers: JSON, CSV, Parquet, here or behind https."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softchat.base.files import missing_hint, read_stream
from softchat.base.text import one_line, storable
from softchat.errors import ModelNotFoundError, UsageError

_GSM8K = "####"  # stands before the answer, behind the worked solution
_ADDRESS = re.compile(r"(https?):/+(.+)")  # a path has lost a slash of its two
_MOST = 2**28  # bytes of a file that is fetched, and of what a Parquet file unfolds to
_COLUMNS = ("question", "answer", "prompt", "final_answer")
_SHOWN = 40  # characters of a name in a message
_BATCH = 1000  # rows that are unfolded at once
_LAYOUTS = "each needs 'question' and 'answer'; see docs/evaluate.md for what else is read"
_ONE = "leave out one of them"


@dataclass(frozen=True, slots=True)
class _Twice:
    """In place of a JSON object that has a key twice: nobody can tell which value is meant."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, and the answer that it should have."""

    index: int
    """Its place in the file, from 0."""
    text: str
    answer: str
    """Empty if the file gives none."""
    verify: Callable[[str], bool] | None = field(default=None, compare=False)
    """Tells whether an answer is right, where that is more than being the same as `answer`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionFile:
    """All questions of a file."""

    path: Path
    sha256: str
    questions: tuple[Question, ...]

    def pick(self, *, limit: int = 0, shuffle: bool = False, seed: int = 0) -> list[Question]:
        """The first `limit` of them (0: all), after shuffling them if that is wanted."""
        picked = list(self.questions)
        if shuffle:
            random.Random(seed).shuffle(picked)
        return picked[:limit] if limit else picked


def read_questions(path: Path, *, answers: bool = True) -> QuestionFile:
    """Read JSON lines, one JSON list, CSV or Parquet, in any of the layouts that are known.

    Args:
        path: of the file, or its https address; its ending tells CSV, TSV and Parquet from JSON.
        answers: whether every question must have one.

    Raises:
        UsageError: it can't be read, or holds something else.

    """
    address = _ADDRESS.fullmatch(str(path))
    name = one_line((path.name.partition("?")[0] if address else path.name) or str(path))
    data = _fetched(f"{address[1]}://{address[2]}", name) if address else _read(path, name)
    questions = []
    for index, (place, item) in enumerate(_items(data, name)):
        if (key := _twice_in(item)) is not None:
            raise UsageError(f"{name}, {place} has {_quoted(key)} twice", hint=_ONE)
        found = _question(item)
        if found is None or (answers and not found[1]):
            raise UsageError(f"{name}, {place}: no question with an answer", hint=_LAYOUTS)
        questions.append(Question(index=index, text=found[0], answer=found[1]))
    if not questions:
        raise UsageError(f"{name} holds no questions", hint=_LAYOUTS)
    return QuestionFile(
        path=path, sha256=hashlib.sha256(data).hexdigest(), questions=tuple(questions)
    )


def _read(path: Path, name: str) -> bytes:
    try:
        return read_stream(path)
    except OSError as error:
        raise UsageError(
            f"can't read {name}: {error.strerror}", hint=missing_hint(path, "is the path right?")
        ) from error


def _fetched(url: str, name: str) -> bytes:
    from softchat.models.url import read

    data = bytearray()
    try:
        for chunk in read(url, lambda _: None):
            data += chunk
            if len(data) > _MOST:
                hint = "fetch it yourself, and cut it"
                raise UsageError(f"{name} is longer than {_MOST >> 20} MB", hint=hint)
    except ModelNotFoundError as error:
        raise UsageError(
            f"can't fetch {name}: {error.message}", hint=error.hint or "is the address right?"
        ) from error
    return bytes(data)


def _items(data: bytes, name: str) -> Iterator[tuple[str, Any]]:
    """Each object of the file, and where it stands."""
    ending = name.rpartition(".")[2].lower()
    if ending == "parquet":
        yield from ((f"row {n}", row) for n, row in enumerate(_parquet(data, name), 1))
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 text", hint="convert it first") from error
    if ending in ("csv", "tsv"):
        yield from _csv_rows(text, name, between="\t" if ending == "tsv" else ",")
        return
    if text.lstrip().startswith("["):
        try:
            listed = _json(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{name} is not JSON: {error}", hint=_LAYOUTS) from error
        yield from ((f"item {n}", item) for n, item in enumerate(listed, 1))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield f"line {number}", _json(line)
            except (ValueError, RecursionError) as error:
                _refuse_one_object(text, name)
                raise UsageError(
                    f"{name}, line {number}: not JSON: {error}", hint=_LAYOUTS
                ) from error


def _refuse_one_object(text: str, name: str) -> None:
    """Raise UsageError if a text is JSON over several lines, and no list."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return
    raise UsageError(
        f"{name} is one JSON object over several lines: neither a list nor an object a line",
        hint="write the questions as one list, [ … ], or each on a line of its own",
    )


def _json(text: str) -> Any:  # noqa: ANN401  # whatever JSON holds
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Twice:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Twice(_repeated(key for key, _ in pairs) or "")


def _twice_in(item: object) -> str | None:
    """The key that an object has twice, or one of the messages of its prompt."""
    if isinstance(item, _Twice):
        return item.key
    prompt = item.get("prompt") if isinstance(item, dict) else None
    inner = [
        one.key
        for one in (prompt if isinstance(prompt, list) else [prompt])
        if isinstance(one, _Twice)
    ]
    return inner[0] if inner else None


def _csv_rows(text: str, name: str, *, between: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row by the names in the first one, and the line on which it begins."""
    header: list[str] = []
    for line, row in _csv_lines(text, name, between=between):
        if not header:
            header = row
            _refuse_repeated(filter(None, header), name)
            continue
        if len(row) > len(header):
            raise UsageError(
                f"{name}: line {line} has more cells than the header",
                hint='put what has a comma or a tab in it in quotes: "1,000"',
            )
        yield f"line {line}", dict(zip(header, row, strict=False))


def _csv_lines(text: str, name: str, *, between: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row that has some, and the line on which it begins."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # JSON may have such cells too
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=between, strict=True)
    line = 1
    try:
        for row in rows:
            if row:
                yield line, row
            line = rows.line_num + 1
    except csv.Error as error:
        reason = one_line(str(error))
        raise UsageError(
            f"{name}, line {line}: no CSV: {reason}",
            hint='a cell that begins with " ends with one; inside it each is doubled: ""',
        ) from error


def _refuse_repeated(columns: Iterable[str], name: str) -> None:
    if (column := _repeated(columns)) is not None:
        raise UsageError(f"{name} has the column {_quoted(column)} twice", hint=_ONE)


def _repeated(names: Iterable[str]) -> str | None:
    """The first of these names that is there more than once."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _quoted(key: str) -> str:
    return f"'{one_line(key[:_SHOWN])}'"


def _parquet(data: bytes, name: str) -> list[dict[str, Any]]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(
            f"{name} needs pyarrow", hint="pip install 'softchat[parquet]', or convert it to JSON"
        ) from error
    try:
        rows = _rows(pyarrow.parquet.ParquetFile(io.BytesIO(data)), name)
    except UsageError:
        raise
    except Exception as error:  # whatever a damaged one is read as
        reason = one_line(str(error).partition("\n")[0]) or type(error).__name__
        raise UsageError(f"{name} is no Parquet file: {reason}", hint=_LAYOUTS) from error
    if rows is None:
        raise UsageError(f"{name} holds more than {_MOST >> 20} MB", hint="cut it")
    return rows


def _rows(file: Any, name: str) -> list[dict[str, Any]] | None:  # noqa: ANN401  # pyarrow's
    """Its rows; None if they take more than _MOST."""
    groups = [file.metadata.row_group(n) for n in range(file.num_row_groups)]
    if sum(group.total_byte_size for group in groups) > _MOST:
        return None
    # No others are read: there are values, such as some dates, that Python can't hold.
    columns = [column for column in file.schema_arrow.names if column in _COLUMNS]
    _refuse_repeated(columns, name)
    rows: list[dict[str, Any]] = []
    held = 0
    for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
        held += batch.nbytes  # more than was written, where values are the same
        if held > _MOST:
            return None
        rows += batch.to_pylist()
    return rows


def _question(item: Any) -> tuple[str, str] | None:  # noqa: ANN401  # whatever JSON holds
    if not isinstance(item, dict):
        return None
    if "prompt" in item:  # Soft-Thinking's datasets: [{"from": "user", "value": …}], final_answer
        prompt = item["prompt"]
        if isinstance(prompt, list):
            said = [one.get("value") for one in prompt if isinstance(one, dict)]
            prompt = said[-1] if said else None
        question, answer = prompt, item.get("final_answer", "")
    else:
        question, answer = item.get("question"), item.get("answer", "")
    if isinstance(answer, str) and _GSM8K in answer:
        answer = answer.partition(_GSM8K)[2].strip().partition("\n")[0]
    answer = "" if answer is None else answer  # an empty cell
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        return None
    if not isinstance(question, str) or not question.strip():
        return None
    return storable(question.strip()), storable(str(answer).strip())
