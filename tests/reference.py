"""Pages of docs/ that are written by the program itself: `python -m tests.reference` writes them.

reference.md is the help of every command, as a terminal of 80 columns shows it; code.md is what
each module says it is. Tests compare both with what stands in docs/.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperGroup

from softchat.cli.app import app

ROOT = Path(__file__).parent.parent
_WIDTH = 78  # what help uses of 80 columns, whatever the terminal and its variables are
_REFERENCE = """\
# Reference

What `--help` says, for every command. What the flags do to a run is in the [guide](guide.md).

<!-- written by python -m tests.reference -->
"""
_CODE = """\
# The code

What each file of softchat says it is: the first words of the file itself. The loop is
[think.py](../softchat/thinking/think.py), `think_steps`; the [README](../README.md) has the map.

<!-- written by python -m tests.reference -->
"""


def pages() -> dict[Path, str]:
    """Each page's path with its text."""
    docs = ROOT / "docs"
    return {docs / "reference.md": _reference(), docs / "code.md": _code()}


def _reference() -> str:
    parts = [_REFERENCE]
    for path, help_ in _commands(typer.main.get_command(app), "softchat", None):
        parts.append(f"## `{path}`\n\n```text\n{help_}\n```\n")
    return "\n".join(parts)


def _commands(
    command: typer.core.TyperCommand | TyperGroup, name: str, parent: typer.Context | None
) -> Iterator[tuple[str, str]]:
    """Each command's path with its help, from the whole to its parts."""
    context = typer.Context(
        command, info_name=name, parent=parent, terminal_width=_WIDTH, **command.context_settings
    )
    help_ = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield context.command_path, help_
    for part in command.list_commands(context) if isinstance(command, TyperGroup) else []:
        yield from _commands(command.get_command(context, part), part, context)


def _code() -> str:
    """A table for each folder, those in folders too: a line for each module."""
    package = ROOT / "softchat"
    folders = sorted(path.parent for path in package.rglob("__init__.py"))
    parts = [_CODE]
    for folder in folders:
        name = folder.relative_to(ROOT).as_posix()
        parts.append(f"## {name}/\n\n{_says(folder / '__init__.py')}\n\n| file | what |\n|---|---|")
        parts += [
            f"| [{path.name}](../{name}/{path.name}) | {_says(path)} |"
            for path in sorted(folder.glob("*.py"))
            if path.name != "__init__.py"
        ]
        parts.append("")
    return "\n".join(parts)


def _says(path: Path) -> str:
    """The first paragraph of a module's docstring, as one line."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, "utf-8")
