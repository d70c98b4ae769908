"""`softchat chat`, and `softchat` alone: a session."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softchat.cli.completion import session_ids
from softchat.cli.options import (
    SettingFlags,
    System,
    TalkLoading,
    flags_of,
    given,
    option,
    with_groups,
)
from softchat.cli.outputs import Markdown, Outputs, Panel, Trace, terminal_console
from softchat.config.layers import Layers
from softchat.errors import UsageError

if TYPE_CHECKING:
    from softchat.models import Located
    from softchat.record.sessions import SessionRecord
    from softchat.talk.backend import Backend


@with_groups
def chat(
    *,
    context: typer.Context,
    settings: SettingFlags,  # `given` reads them
    system: System = None,
    loading: TalkLoading,
    trace: Trace = None,
    panel: Panel = None,
    markdown: Markdown = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Go on with a session of 'softchat sessions', or 'last'.",
            autocompletion=session_ids,
        ),
    ] = None,
    keep_thoughts: Annotated[bool, option("keep_thoughts")] = False,
) -> int:
    """Chat in a session, in which every setting can be changed."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("a session needs a terminal", hint="in a pipe: softchat ask QUESTION")
    from softchat.cli.model import Backends, find, user_config
    from softchat.models.folders import state_folder
    from softchat.record.sessions import SessionFile
    from softchat.record.trace import TraceWriter
    from softchat.repl.loop import Repl
    from softchat.repl.session import Session

    backends = context.with_resource(closing(Backends(context.obj)))
    folder = state_folder(os.environ)
    config = user_config()
    restored = _restored(folder / "sessions", resume)
    chosen, flags = given(context), flags_of(context)
    found = (
        find(loading.model, config=config)
        if restored is None or "model" in flags
        else _model_of(restored, find)
    )

    saved = SessionFile(folder / "sessions", restored)

    loaded_with: dict[str, Any] = {}

    def opened(which: Located, cancelled: Callable[[], bool]) -> Backend:
        layers = Layers(suits=config.suits(which), chosen=[chosen])
        how = replace(loading.after(layers), **loaded_with)
        return backends.open(which, how, cancelled=cancelled)

    session = Session(
        found,
        opened,
        config=config,
        chosen=chosen,
        restored=restored,
        flags=flags,
        loaded_with=loaded_with,
    )
    outputs = Outputs(panel=panel, markdown=markdown).after(config)
    repl = Repl(
        session,
        terminal_console(),
        make_view=outputs.view,
        find=find,
        saved=saved,
    )
    with closing(repl):
        if trace is not None:
            repl.trace, repl.trace_path = TraceWriter(trace), trace
        repl.greet(resumed=restored is not None)
        pending = restored.pending if restored else ""
        repl.run(history=folder / "history", models=_names, pending=pending)
    return 0


def _model_of(restored: SessionRecord, find: Callable[[str], Located]) -> Located:
    """The model that a session had."""
    from softchat.errors import ModelNotFoundError

    try:
        return find(restored.model)
    except ModelNotFoundError as error:
        other = f"with another model: softchat chat --resume {restored.id} -m NAME"
        raise ModelNotFoundError(error.message, hint=other) from error


def _restored(folder: Path, resume: str | None) -> SessionRecord | None:
    """The session to go on with: the one that is named, or one that was killed, if wanted."""
    from softchat.base.text import printable
    from softchat.record.sessions import SessionFile, find_killed, load_session
    from softchat.views.wording import plural

    if resume is not None:
        return load_session(folder, resume)
    killed = find_killed(folder)
    if killed is None:
        return None
    title = printable(" ".join(killed.title.split())[:50], newlines=False)
    said = plural(len(killed.turns), "turn")
    typer.echo(f"A session was not left but killed ({said}): {title}", err=True)
    if typer.confirm("Go on with it?", default=True, err=True):
        return killed
    SessionFile(folder, killed).close(killed)  # left now: it is listed, and not offered again
    return None


def _names() -> list[str]:
    from softchat.models.catalogue import user_catalogue
    from softchat.models.local import local_models

    entries = user_catalogue(os.environ).entries.values()
    named = [name for entry in entries for name in (entry.name, *entry.aliases)]
    return named + [model.name for model in local_models(os.environ)]
