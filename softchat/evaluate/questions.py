"""Files of questions with known answers. Knows nothing of models."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softchat.base.text import printable
from softchat.errors import UsageError

_GSM8K = "####"  # stands before the answer, behind the worked solution
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
    """Read JSON lines, or one JSON list, of objects in any of the layouts that are known.

    Args:
        path: of the file.
        answers: whether every question must have one.

    Raises:
        UsageError: it can't be read, or holds something else.

    """
    name = printable(path.name, newlines=False)
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
    except OSError as error:
        raise UsageError(
            f"can't read {name}: {error.strerror}", hint="is the path right?"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 text", hint="convert it first") from error
    questions = []
    for index, (place, item) in enumerate(_items(text, name)):
        found = _question(item)
        if found is None or (answers and not found[1]):
            raise UsageError(f"{name}, {place}: no question with an answer", hint=_LAYOUTS)
        questions.append(Question(index=index, text=found[0], answer=found[1]))
    if not questions:
        raise UsageError(f"{name} holds no questions", hint=_LAYOUTS)
    return QuestionFile(
        path=path, sha256=hashlib.sha256(data).hexdigest(), questions=tuple(questions)
    )


def _items(text: str, name: str) -> Iterator[tuple[str, Any]]:
    """Each object of the file, and where it stands."""
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
        answer = answer.rpartition(_GSM8K)[2]
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        return None
    if not isinstance(question, str) or not question.strip():
        return None
    return question.strip(), str(answer).strip()
