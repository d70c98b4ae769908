"""The child process in which reasoning-gym's verifiers judge answers.

Begins with `{"names": […], "size": N, "seed": N}`, the kinds of problems, as its third argument.
`{"kind": N, "entry": …, "given": …}`, with a problem as it was pickled, becomes `{"right": …}`.
"""

from __future__ import annotations

import base64
import inspect
import io
import json
import pickle
import re
import sys
from contextlib import redirect_stdout, suppress
from functools import partial
from typing import Any

import reasoning_gym

from softchat.base.limits import serve
from softchat.evaluate.harmless import is_harmless

_RIGHT = 0.99  # of a score from 0 to 1; what is only partly right is wrong
_RUNS_TEXT = re.compile(r"\b(?:eval|exec|compile|parse_expr|sympify|S)\(")


def main() -> None:
    """Judge for the process that started this one, until it ends."""
    given = json.loads(sys.argv[3])
    kinds = [
        reasoning_gym.create_dataset(name, size=given["size"], seed=given["seed"])
        for name in given["names"]
    ]
    for kind in kinds:  # imports now what it needs, as no file can be opened later
        with suppress(Exception), redirect_stdout(io.StringIO()):
            kind.score_answer(str(kind[0]["answer"]), entry=kind[0])
    serve(partial(_judged, kinds, [_runs_text(kind) for kind in kinds]))


def _judged(kinds: list[Any], run_text: list[bool], request: dict[str, Any]) -> dict[str, Any]:
    kind, given = kinds[request["kind"]], request["given"]
    if run_text[request["kind"]] and not is_harmless(given):
        return {"right": False}
    entry = pickle.loads(base64.b64decode(request["entry"]))  # made by our parent
    try:
        with redirect_stdout(io.StringIO()):  # ours is the way back to who has asked
            return {"right": float(kind.score_answer(given, entry=entry)) >= _RIGHT}
    except Exception:  # noqa: BLE001  # some verifiers trip over what is no answer of theirs at all
        return {"right": False}


def _runs_text(kind: Any) -> bool:  # noqa: ANN401  # reasoning-gym is untyped
    """Whether its verifier may run an answer as Python; True where nobody can tell."""
    try:
        return bool(_RUNS_TEXT.search(inspect.getsource(inspect.getmodule(type(kind)))))  # type: ignore[arg-type]  # TypeError
    except (OSError, TypeError):
        return True
