"""`softchat chat`, and `softchat` alone: a session."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softchat.cli.options import (
    Log,
    SettingFlags,
    Steps,
    System,
    TalkLoading,
    flags_of,
    given,
    option,
    with_groups,
)
from softchat.cli.outputs import (
    Force,
    Markdown,
    Outputs,
    Panel,
    Trace,
    open_trace,
    terminal_console,
)
from softchat.cli.prompts import Template, Values
from softchat.cli.resume import Continue, Resume, earlier, model_of, open_log, sessions_folder
from softchat.config.layers import Layers
from softchat.errors import UsageError

if TYPE_CHECKING:
    from softchat.models import Located
    from softchat.talk.backend import Backend


_HERE = "\0"  # where in a prompt that has a name the user goes on


@with_groups
def chat(
    *,
    context: typer.Context,
    settings: SettingFlags,  # `given` reads them
    system: System = None,
    loading: TalkLoading,
    trace: Trace = None,
    force: Force = False,
    panel: Panel = None,
    markdown: Markdown = None,
    continue_: Continue = False,
    resume: Resume = None,
    keep_thoughts: Annotated[bool, option("keep_thoughts")] = False,
    template: Template = None,
    param: Values = None,
    log: Log = True,
    step: Steps = False,
) -> int:
    """Chat in a session, in which every setting can be changed."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("a session needs a terminal", hint="in a pipe: softchat ask QUESTION")
    outputs = Outputs(panel=panel, markdown=markdown)
    if step:
        outputs.refuse_steps()
    from softchat.cli.model import Backends, find, user_config
    from softchat.config.named_prompts import find_prompt
    from softchat.engine.threads import busy_now_note, default_threads
    from softchat.models.folders import state_folder
    from softchat.record.session_file import SessionFile, Unkept
    from softchat.repl.loop import Repl
    from softchat.repl.session import Session

    backends = context.with_resource(closing(Backends(context.obj)))
    folder = state_folder(os.environ)
    config = user_config()
    restored = earlier(resume, last=continue_)
    prompt = find_prompt(config.prompts, template)
    first = prompt.filler(param)(_HERE).replace(_HERE, "")
    chosen = given(context).over(prompt.chosen)
    flags = flags_of(context) | prompt.chosen.values.keys()
    found = (
        find(loading.model or prompt.model, config=config)
        if restored is None or "model" in flags
        else model_of(restored, find, "chat")
    )

    kept = Layers(suits=config.suits(found), chosen=[chosen]).value("log", True)
    saved = (SessionFile if kept else Unkept)(sessions_folder(), restored)

    loaded_with: dict[str, Any] = {}
    threads = [0, 0]  # that the model has, and that were wanted

    def opened(which: Located, cancelled: Callable[[], bool]) -> Backend:
        layers = Layers(suits=config.suits(which), chosen=[chosen])
        how = replace(loading.after(layers), **loaded_with)
        threads[:] = [how.threads or default_threads(), how.threads]
        return backends.open(which, how, cancelled=cancelled)

    def busy() -> str:
        has, wanted = threads
        return "" if wanted or not has else busy_now_note(has)

    session = Session(
        found,
        opened,
        config=config,
        chosen=chosen,
        restored=restored,
        flags=flags,
        loaded_with=loaded_with,
    )
    session.by_hand = step
    outputs = outputs.after(config)
    repl = Repl(
        session,
        terminal_console(),
        make_view=lambda: outputs.view(
            more="/think",
            keys=True,
            waits=(lambda: session.keys.waits) if session.by_hand else None,
        ),
        find=find,
        saved=saved,
        busy=busy,
    )
    with closing(repl):
        if trace is not None:
            repl.trace, repl.trace_path = open_trace(trace, force=force), trace
        repl.greet()
        if restored is not None:
            repl.greet_again(restored)
        else:
            repl.offer_killed()
        if first:
            repl.edit(first)
        repl.run(history=folder / "history" if kept else None, models=_names)
    open_log().refresh()  # what was taken back goes out of the index too
    return 0


def _names() -> list[str]:
    from softchat.models.catalogue import user_catalogue
    from softchat.models.local import local_models

    entries = user_catalogue(os.environ).entries.values()
    named = [name for entry in entries for name in (entry.name, *entry.aliases)]
    return named + [model.name for model in local_models(os.environ)]
