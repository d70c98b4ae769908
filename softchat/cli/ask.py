"""`softchat ask`: one question, one run."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated

import typer

from softchat.base.interrupt import catch_interrupt
from softchat.cli.often import Sampling, ask_often
from softchat.cli.options import SettingFlags, System, TalkLoading, given, with_groups
from softchat.cli.outputs import Outputs
from softchat.config.layers import Layers
from softchat.errors import DecodeAbortedError, UsageError
from softchat.events import Finished, FinishReason

_INTERRUPTED = DecodeAbortedError.exit_status


@with_groups
def ask(
    question: Annotated[
        list[str] | None,
        typer.Argument(help="What to ask; '-', or nothing in a pipe: read it from stdin."),
    ] = None,
    *,
    context: typer.Context,
    settings: SettingFlags,  # `given` reads them
    system: System = None,
    loading: TalkLoading,
    sampling: Sampling,
    outputs: Outputs,
) -> int:
    """Ask one question: it is thought about in concept tokens."""
    # Imported here, as --help must not wait for them.
    from softchat.cli.model import Backends, enough, find, note, told_if_slow, user_config
    from softchat.talk.backend import ChatRequest

    backends = context.with_resource(closing(Backends(context.obj)))
    finish_reason = FinishReason.STOP
    config = user_config()
    with outputs.after(config).open() as show:
        asked = _read(question)
        # Ctrl-C here ends it all, as nothing has begun.
        found = find(loading.model, config=config, quiet=outputs.quiet)
        layers = Layers(suits=config.suits(found), chosen=[given(context)])
        chosen, wording = layers.resolve(), layers.value("system", "")
        if sampling.samples > 1:
            return ask_often(
                asked,
                system=wording,
                settings=chosen,
                found=found,
                loading=loading.after(layers),
                sampling=sampling,
                outputs=outputs,
            )
        with catch_interrupt() as interrupt:
            with told_if_slow(found.name, quiet=outputs.quiet):
                backend = backends.open(
                    found,
                    loading.after(layers),
                    n_ctx_most=enough([asked + wording], [chosen]),
                    cancelled=interrupt,
                )
            if backend.note and not outputs.quiet:
                note(backend.note)
            with backend:
                whole = ChatRequest(text=asked, system=wording)
                for event in backend.ask(whole, chosen, cancelled=interrupt):
                    show(event)
                    if isinstance(event, Finished):
                        finish_reason = event.finish_reason
    return _INTERRUPTED if finish_reason is FinishReason.INTERRUPTED else 0


def _read(words: list[str] | None) -> str:
    """The question: the words themselves, or what stdin holds."""
    if words and words != ["-"]:
        question = " ".join(words)
    elif words or not sys.stdin.isatty():
        try:
            question = sys.stdin.buffer.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise UsageError("stdin is not UTF-8 text", hint="convert it first") from error
    else:
        question = ""
    if not question.strip():
        raise UsageError("no question", hint="softchat ask 'How many legs have 3 spiders?'")
    return question.strip()
