"""SOFTCHAT_ variables that nothing reads: a misspelt one would do nothing, in silence."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from softchat.base.text import one_line

_PREFIX = "SOFTCHAT_"
_OF_NO_FLAG = {"SOFTCHAT_HOME", "SOFTCHAT_MODELS", "SOFTCHAT_WORKER"}


def unread(environ: Mapping[str, str], group: Any) -> Iterator[str]:  # noqa: ANN401  # click's
    """A line on each variable of this environment that is no flag's of a command in the group."""
    names = sorted({name for name in environ if name.startswith(_PREFIX)} - _OF_NO_FLAG)
    if not names:
        return
    known = _OF_NO_FLAG | set(_variables(group))
    own = [name.removeprefix(_PREFIX) for name in known]  # all begin alike
    for name in names:
        if name not in known:
            meant = difflib.get_close_matches(name.removeprefix(_PREFIX), own, n=1)
            hint = f"; did you mean {_PREFIX}{meant[0]}?" if meant else ""
            yield one_line(f"nothing reads the variable {name}{hint}")


def _variables(command: Any) -> Iterator[str]:  # noqa: ANN401  # click's
    for parameter in command.params:
        if isinstance(parameter.envvar, str):
            yield parameter.envvar
    for one in getattr(command, "commands", {}).values():
        yield from _variables(one)
