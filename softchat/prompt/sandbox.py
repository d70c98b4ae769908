"""Chat templates rendered in jinja2's sandbox, in a child process that has hard limits.

A template is a stranger's program. jinja2's sandbox bounds what it can touch, not what it uses up:
`'a' * 10**9` renders. So a process of its own renders it (`softchat.prompt.renderer`), and is ended
when it reaches a limit: a second of processor time, 256 MB more than it began with, four million
characters. Knows nothing of models or prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softchat.base.child import Child

_child = Child("softchat.prompt.renderer")


class ExhaustedError(Exception):
    """The template takes too long, too much memory, or writes too much."""


class TemplateFailedError(Exception):
    """The template is wrong, or says that this conversation is."""


def start() -> None:
    """Start the process now, so that it imports jinja2 while others do something else."""
    _child.start()


def render(template: str, variables: Mapping[str, Any], *, child: Child = _child) -> str:
    """The template with these variables, which are plain values, as JSON has them.

    Raises:
        ExhaustedError: it wants more than it may have.
        TemplateFailedError: it fails; the message is a stranger's.
        ChildError: there is no process to render in.

    """
    answer = child.ask({"template": template, "variables": variables})
    if answer is None or "exhausted" in answer:
        raise ExhaustedError
    if "error" in answer:
        raise TemplateFailedError(answer["error"])
    return str(answer["text"])
