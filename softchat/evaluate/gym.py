"""Problems of reasoning-gym, judged by its own verifiers. Knows no flags.

reasoning-gym makes problems of a hundred kinds without end, each with something that scores an
answer. A name as `gym:chain_sum,gcd` means these kinds in turn.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from softchat.errors import UsageError
from softchat.evaluate.questions import Question, QuestionFile

PREFIX = "gym:"
_USUAL = 100  # questions, where no limit is given
_RIGHT = 0.99  # of a score from 0 to 1; what is only partly right is wrong
_LONGEST_NAME = 80  # of what becomes a part of a file's name


def gym_questions(data: str, *, limit: int, seed: int) -> QuestionFile:
    """Problems of the kinds that `data` names, in turn, so many in all; the same for each seed.

    Raises:
        UsageError: there is no such kind, or reasoning-gym is not installed.

    """
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise UsageError(
            "problems of a gym need reasoning-gym", hint="pip install 'softchat[gym]'"
        ) from error
    names = [name.strip() for name in data.removeprefix(PREFIX).split(",") if name.strip()]
    if not names:
        raise UsageError("gym: names no kind of problem", hint="as in gym:chain_sum,gcd")
    _must_be(names, sorted(DATASETS))
    count = limit or _USUAL
    each = -(-count // len(names))
    kinds = [reasoning_gym.create_dataset(name, size=each, seed=seed) for name in names]
    questions = tuple(
        _question(index, kinds[index % len(kinds)], index // len(kinds)) for index in range(count)
    )
    text = "\n".join(f"{one.text}\t{one.answer}" for one in questions)
    return QuestionFile(
        path=Path(f"gym:{','.join(names)}"[:_LONGEST_NAME]),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        questions=questions,
    )


def _question(index: int, kind: Any, place: int) -> Question:  # noqa: ANN401  # reasoning-gym is untyped
    entry = kind[place]
    return Question(
        index=index,
        text=str(entry["question"]).strip(),
        answer=str(entry["answer"]),
        verify=partial(_is_right, kind, entry),
    )


def _is_right(kind: Any, entry: dict[str, Any], given: str) -> bool:  # noqa: ANN401
    try:
        return float(kind.score_answer(given, entry=entry)) >= _RIGHT
    except Exception:  # noqa: BLE001  # some verifiers trip over what is no answer of theirs at all
        return False


def _must_be(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known)}"
            raise UsageError(f"reasoning-gym has no problems '{name}'", hint=hint)
