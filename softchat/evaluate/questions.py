"""Files of questions with known answers: JSON, CSV, Parquet, here or behind https."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softchat.base.files import missing_hint, read_stream
from softchat.base.text import one_line, storable
from softchat.errors import ModelNotFoundError, UsageError

_GSM8K = "####"  # stands before the answer, behind the worked solution
_MOST = 2**28  # bytes of a file that is fetched, and of what a Parquet file unfolds to
_COLUMNS = ("question", "answer", "prompt", "final_answer")
_BATCH = 1000  # rows that are unfolded at once
_LAYOUTS = "each needs 'question' and 'answer'; see docs/evaluate.md for what else is read"


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
    name = one_line(path.name.partition("?")[0] or str(path))
    data = _bytes(path, name)
    questions = []
    for index, (place, item) in enumerate(_items(data, name)):
        found = _question(item)
        if found is None or (answers and not found[1]):
            raise UsageError(f"{name}, {place}: no question with an answer", hint=_LAYOUTS)
        questions.append(Question(index=index, text=found[0], answer=found[1]))
    if not questions:
        raise UsageError(f"{name} holds no questions", hint=_LAYOUTS)
    return QuestionFile(
        path=path, sha256=hashlib.sha256(data).hexdigest(), questions=tuple(questions)
    )


def _bytes(path: Path, name: str) -> bytes:
    address = re.fullmatch(r"(https?):/+(.+)", str(path))  # a path has lost a slash of its two
    if address:
        return _fetched(f"{address[1]}://{address[2]}", name)
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
        rows = csv.DictReader(io.StringIO(text), delimiter="\t" if ending == "tsv" else ",")
        try:
            yield from ((f"line {rows.line_num}", row) for row in rows)
        except csv.Error as error:
            raise UsageError(f"{name} is no CSV: {error}", hint=_LAYOUTS) from error
        return
    if text.lstrip().startswith("["):
        try:
            listed = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{name} is not JSON: {error}", hint=_LAYOUTS) from error
        yield from ((f"item {n}", item) for n, item in enumerate(listed, 1))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UsageError(
                    f"{name}, line {number}: not JSON: {error}", hint=_LAYOUTS
                ) from error


def _parquet(data: bytes, name: str) -> list[dict[str, Any]]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(
            f"{name} needs pyarrow", hint="pip install 'softchat[parquet]', or convert it to JSON"
        ) from error
    try:
        rows = _rows(pyarrow.parquet.ParquetFile(io.BytesIO(data)))
    except Exception as error:  # whatever a damaged one is read as
        reason = one_line(str(error).partition("\n")[0]) or type(error).__name__
        raise UsageError(f"{name} is no Parquet file: {reason}", hint=_LAYOUTS) from error
    if rows is None:
        raise UsageError(f"{name} holds more than {_MOST >> 20} MB", hint="cut it")
    return rows


def _rows(file: Any) -> list[dict[str, Any]] | None:  # noqa: ANN401  # pyarrow's
    """Its rows; None if they take more than _MOST."""
    groups = [file.metadata.row_group(n) for n in range(file.num_row_groups)]
    if sum(group.total_byte_size for group in groups) > _MOST:
        return None
    # No others are read: there are values, such as some dates, that Python can't hold.
    columns = [column for column in _COLUMNS if column in file.schema_arrow.names]
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
