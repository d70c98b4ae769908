"""`softchat ask`: one question, one run. It is kept as a session of one turn, which can go on."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING

import typer

from softchat.base.interrupt import catch_interrupt
from softchat.base.keys import AnswerNow, StepKeys, listening, stepping
from softchat.cli.often import Sampling, ask_often
from softchat.cli.options import (
    Log,
    SettingFlags,
    Steps,
    System,
    TalkLoading,
    flags_of,
    given,
    with_groups,
)
from softchat.cli.outputs import Outputs
from softchat.cli.prompts import Template, Values
from softchat.cli.question import Files, Words, whole_question
from softchat.cli.resume import Continue, Resume, earlier, model_of, sessions_folder, warn_not_kept
from softchat.config.layers import Layers
from softchat.errors import DecodeAbortedError, UsageError
from softchat.events import Halted

if TYPE_CHECKING:
    from softchat.record.session_file import SessionFile
    from softchat.record.session_format import SessionRecord

_INTERRUPTED = DecodeAbortedError.exit_status


@with_groups
def ask(
    question: Words = None,
    *,
    context: typer.Context,
    file: Files = None,
    continue_: Continue = False,
    resume: Resume = None,
    template: Template = None,
    param: Values = None,
    settings: SettingFlags,  # `given` reads them
    system: System = None,
    loading: TalkLoading,
    sampling: Sampling,
    outputs: Outputs,
    log: Log = True,
    step: Steps = False,
) -> int:
    """Ask one question: it is thought about in concept tokens.

    What stdin or a file holds goes with it: cat notes.txt | softchat ask "Who sends the contract?"
    """
    # Imported here, as --help must not wait for them.
    from softchat.cli.model import Backends, enough, find, note, told_if_slow, user_config
    from softchat.config.named_prompts import find_prompt
    from softchat.record.session_file import SessionFile
    from softchat.record.session_format import SessionRecord
    from softchat.talk.conversation import Conversation, Turn

    backends = context.with_resource(closing(Backends(context.obj)))
    config = user_config()
    prompt = find_prompt(config.prompts, template)
    more = "softchat show last" if log and config.values.get("log", True) else ""
    keys = StepKeys()
    if step:
        outputs.refuse_steps()
        if sampling.samples > 1:
            raise UsageError("--step and --samples exclude each other", hint="choose one")
    waits = (lambda: keys.waits) if step else None
    with outputs.after(config).open(more=more, keys=True, waits=waits) as show:
        asked = whole_question(
            question, file, quiet=outputs.quiet or outputs.json, fill=prompt.filler(param)
        )
        before = earlier(resume, last=continue_)
        stronger = flags_of(context) | prompt.chosen.values.keys()  # than what that session had
        # Ctrl-C here ends it all, as nothing has begun.
        found = (
            find(loading.model or prompt.model, config=config, quiet=outputs.quiet)
            if before is None or "model" in stronger
            else model_of(before, find, "ask")
        )
        layers = Layers(suits=config.suits(found), chosen=[given(context).over(prompt.chosen)])
        wording, said = layers.value("system", ""), []
        if before is not None:
            wording = wording if "system" in stronger else before.system
            said = [turn.question + turn.answer for turn in before.turns]
            layers.session = {k: v for k, v in before.chosen.items() if k not in stronger}
        chosen = layers.resolve()
        # First: a session that is open elsewhere is refused before anything is asked of a model.
        kept = SessionFile(sessions_folder(), before, ask=before is None or before.is_ask)
        context.call_on_close(kept.release)

        def keep(turns: Iterable[Turn]) -> None:
            if layers.value("log", True):
                changed = layers.session
                record = SessionRecord(
                    id=kept.id, model=found.spec, system=wording, chosen=changed, turns=(*turns,)
                )
                _keep(kept, record)

        if sampling.samples > 1:
            if before is not None:
                raise UsageError("--samples goes on with nothing", hint="without -c and --resume")
            answer = ask_often(
                asked,
                system=wording,
                settings=chosen,
                found=found,
                loading=loading.after(layers),
                sampling=sampling,
                outputs=outputs,
            )
            if answer is None:
                return _INTERRUPTED
            keep([Turn(question=asked, answer=answer, settings=chosen.to_dict())])
            return 0
        with catch_interrupt() as interrupt:
            with told_if_slow(found.name, quiet=outputs.quiet):
                backend = backends.open(
                    found,
                    loading.after(layers),
                    n_ctx_most=enough(["".join([*said, asked, wording])], [chosen]),
                    cancelled=interrupt,
                )
            if backend.note and not outputs.quiet:
                note(backend.note)
            with backend:
                conversation = Conversation(backend, system=wording)
                conversation.turns = list(before.turns) if before else []
                answer_now = AnswerNow()
                listens = stepping(keys) if step else listening(answer_now, when=outputs.reads_keys)
                with listens as stop_listening:
                    for event in conversation.ask(
                        asked,
                        chosen,
                        cancelled=interrupt,
                        answer_now=answer_now,
                        keys=keys if step else None,
                    ):
                        show(event)
                        if isinstance(event, Halted):
                            stop_listening()
        keep(conversation.turns)
    return _INTERRUPTED if conversation.turns[-1].interrupted else 0


def _keep(file: SessionFile, record: SessionRecord) -> None:
    from softchat.record.sessions import trim_asks

    try:
        file.write(record, closed=True)
    except OSError as error:
        warn_not_kept(error)
    trim_asks(sessions_folder())
