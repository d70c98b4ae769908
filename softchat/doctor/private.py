"""Takes the user's name, folders and values of variables out of a report."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

# Variables that change what softchat does: their names are told, never their values.
VARIABLES = re.compile(r"(SOFTCHAT|GGML|LLAMA|OMP|HF)_[A-Z0-9_]+|NO_COLOR|PAGER|INPUTRC")


class Private:
    """Takes out of texts what is nobody else's business: folders, names, values of variables."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        known: dict[str, str] = {}
        for name, value in environ.items():
            # Of values only paths are told at all, as the places where softchat keeps things.
            if os.sep in value and (VARIABLES.fullmatch(name) or name.startswith("XDG_")):
                whole = os.path.expanduser(value)  # noqa: PTH111  # a text
                for text in (value, whole, os.path.abspath(whole), os.path.realpath(whole)):  # noqa: PTH100
                    known.setdefault(text, f"${name}")
        for home in _homes(environ):
            known[home] = "~"
        self._known = {text: name for text, name in known.items() if len(text) > 1}
        self._users = sorted(_users(environ), key=len, reverse=True)

    def clean(self, value: Any) -> Any:  # noqa: ANN401  # whatever JSON holds
        """The value with every text in it made private."""
        if isinstance(value, str):
            for text in sorted(self._known, key=len, reverse=True):
                value = value.replace(text, self._known[text])
            for user in self._users:
                value = re.sub(rf"(?<=[/\\]){re.escape(user)}(?=$|[/\\\s])", "…", value)
            return value
        if isinstance(value, Mapping):
            return {key: self.clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean(inner) for inner in value]
        return value


def _homes(environ: Mapping[str, str]) -> Iterator[str]:
    for home in (environ.get("HOME"), environ.get("USERPROFILE"), os.path.expanduser("~")):  # noqa: PTH111  # a text
        if home and len(home) > 1:
            yield home.rstrip("/\\")
            yield os.path.realpath(home)


def _users(environ: Mapping[str, str]) -> set[str]:
    names = {environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME")}
    with suppress(OSError, KeyError):  # no such user in this container
        names.add(getpass.getuser())
    return names - {""}
