"""The child process that looks for a user's regular expression: some never come to an end.

`{"expression": …, "text": …}` becomes `{"found": …}`: the first group, or all, of the last match.
"""

from __future__ import annotations

import re
from typing import Any

from softchat.base.limits import serve


def main() -> None:
    """Look for the process that started this one, until it ends."""
    serve(_found)


def _found(request: dict[str, Any]) -> dict[str, Any]:
    pattern = re.compile(request["expression"])
    last = None
    for match in pattern.finditer(request["text"]):
        last = match
    return {"found": last and last[1 if pattern.groups else 0]}
