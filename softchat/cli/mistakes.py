"""What is said of a command line that can't be understood. Imported when there is one."""

from __future__ import annotations

import difflib
import re
from typing import Any

import typer

from softchat.errors import UsageError

_KINDS = (
    (re.compile(r"is not a valid int(eger)?( range)?\b"), "is no whole number"),
    (re.compile(r"is not a valid float( range)?\b"), "is no number"),
)
_SHOWN = 3  # names in a hint


def usage_error(error: typer.TyperException) -> UsageError:
    """The same in softchat's own words, with a way out."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "softchat"
    message, hint = error.format_message().rstrip("."), f"see '{path} --help'"
    if hasattr(error, "possibilities") and context:  # of an option that there is not
        option = str(getattr(error, "option_name", ""))
        message = f"no option {option}"
        if near := _near(option, context.command):
            hint = f"did you mean {' or '.join(near)}? {hint}"
    for expression, words in _KINDS:
        message = expression.sub(words, message)
    parameter = getattr(error, "param", None)
    if parameter is not None and context and _is_from_environment(parameter.name, context):
        hint = f"the variable {parameter.envvar} says so; {hint}"
    return UsageError(message, hint=hint)


def _near(option: str, command: Any) -> list[str]:  # noqa: ANN401  # click's
    names = [name for parameter in command.params for name in parameter.opts]
    begins = [name for name in names if len(option) > len("--") and name.startswith(option)]
    return (begins or difflib.get_close_matches(option, names))[:_SHOWN]


def _is_from_environment(name: str, context: Any) -> bool:  # noqa: ANN401  # click's
    source = context.get_parameter_source(name)
    return source is not None and source.name == "ENVIRONMENT"
