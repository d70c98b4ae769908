"""Problems of reasoning-gym, judged by its own verifiers. Knows no flags.

reasoning-gym makes problems of a hundred kinds without end, each with something that scores an
answer. A name as `gym:chain_sum,gcd` means these kinds in turn. Some verifiers run an answer as
Python, and some never come back from it: a child process with limits has them (`gym_verifier`).
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
import pickle
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from softchat.base.child import Child, ChildError
from softchat.base.text import one_line
from softchat.errors import UsageError
from softchat.evaluate.questions import Question, QuestionFile

PREFIX = "gym:"
_USUAL = 100  # questions, where no limit is given
_MOST = 100_000
_CPU_S = 5.0  # seconds of processor time to judge an answer
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
    if count > _MOST:
        raise UsageError(f"no more than {_MOST} problems are made at once", hint="--limit 1000")
    each = -(-count // len(names))
    kinds = []
    for name in names:
        try:
            kinds.append(reasoning_gym.create_dataset(name, size=each, seed=seed))
        except Exception as error:  # whatever a kind asks for that can't be given here
            reason = one_line(str(error)) or type(error).__name__
            raise UsageError(
                f"the problems '{name}' can't be made: {reason}", hint="other ones"
            ) from error
    made_by = {"names": names, "size": each, "seed": seed}
    verifier = Child(
        "softchat.evaluate.gym_verifier", cpu_s=_CPU_S, arguments=[json.dumps(made_by)]
    )
    questions = []
    for index in range(count):
        place, kind = divmod(index, len(kinds))
        entry = kinds[kind][place]
        questions.append(
            Question(
                index=index,
                text=str(entry["question"]).strip(),
                answer=str(entry["answer"]),
                verify=partial(_is_right, verifier, kind, entry),
            )
        )
    text = "\n".join(f"{one.text}\t{one.answer}" for one in questions)
    return QuestionFile(
        path=Path(f"gym:{','.join(names)}"[:_LONGEST_NAME]),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        questions=tuple(questions),
    )


def _is_right(verifier: Child, kind: int, entry: dict[str, Any], given: str) -> bool:
    """What the verifier of this kind says; False where it reaches a limit."""
    request = {"kind": kind, "given": given}
    request["entry"] = base64.b64encode(pickle.dumps(entry)).decode()
    try:
        answer = verifier.ask(request)
    except ChildError as error:
        raise UsageError(
            f"reasoning-gym's verifiers can't be started: {error}", hint="another --extract"
        ) from error
    return answer is not None and bool(answer["right"])


def _must_be(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known)}"
            raise UsageError(f"reasoning-gym has no problems '{name}'", hint=hint)
