"""`softchat ask`: one question, one run. It is kept as a session of one turn, which can go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from softchat.base.interrupt import catch_interrupt
from softchat.base.keys import AnswerNow, StepKeys, listening, stepping
from softchat.base.written import refuse_same
from softchat.cli.idle import (
    SEEN_IN_ONE,
    refuse_cache_unlogged,
    refuse_force_alone,
    refuse_idle,
    refuse_idle_settings,
)
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
from softchat.cli.resume import (
    Continue,
    Resume,
    earlier,
    model_of,
    refuse_both_earlier,
    sessions_folder,
    warn_not_kept,
)
from softchat.cli.samples import Sampling, ask_often
from softchat.cli.schema import Schema, check_json, grammar_of
from softchat.config.file import file_named
from softchat.config.layers import Layers
from softchat.errors import DecodeAbortedError, UsageError
from softchat.events import Halted

if TYPE_CHECKING:
    from softchat.cli.model import Backends
    from softchat.events import Event
    from softchat.models import Located
    from softchat.record.session_file import SessionFile
    from softchat.settings import Settings
    from softchat.talk.conversation import Turn

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
    schema: Schema = None,
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
    from softchat.cli.model import (
        Backends,
        find,
        model_files,
        own_files,
        tell_of_default,
        user_config,
    )
    from softchat.config.named_prompts import find_prompt
    from softchat.record.session_file import SessionFile

    backends = context.with_resource(closing(Backends(context.obj)))
    config = user_config()
    prompt = find_prompt(config.prompts, template)
    more = "softchat show last" if log and config.values.get("log", True) else ""
    keys = StepKeys() if step else None
    _refuse_idle(context, sampling, outputs, log=log)
    if step:
        outputs.refuse_steps()
        if sampling.samples > 1:
            raise UsageError("--step and --samples exclude each other", hint="choose one")
    if schema is not None and sampling.samples > 1:
        raise UsageError("--schema and --samples exclude each other", hint="choose one")
    waits = (lambda: keys.waits) if keys else None
    used = (*(file or ()), file_named(system), schema, *own_files(config))
    refuse_same(outputs.trace, *used, by="--trace")
    outputs = outputs.after(config)
    if schema is not None and outputs.markdown is None:
        outputs = replace(outputs, markdown=False)  # JSON is shown as it is
    with outputs.open(more=more, keys=True, waits=waits) as show:
        asked = whole_question(
            question, file, quiet=outputs.quiet or outputs.json, fill=prompt.filler(param)
        )
        before = earlier(resume, last=continue_)
        stronger = flags_of(context) | prompt.chosen.values.keys()  # than what that session had
        wanted = prompt.model if loading.model is None else loading.model
        named_by = f"prompt {prompt.name}" if wanted and loading.model is None else ""
        # Ctrl-C here ends it all, as nothing has begun.
        found = (
            find(wanted, config=config, quiet=outputs.quiet, place=named_by)
            if before is None or "model" in stronger
            else model_of(before, find, "ask")
        )
        # In time: what a trace is written over stays as it is until the first event.
        refuse_same(outputs.trace, *model_files(found, loading), by="--trace")
        if before is None and not (wanted or config.model or outputs.quiet):
            tell_of_default(found)
        layers = Layers(suits=config.suits(found), chosen=[given(context).over(prompt.chosen)])
        wording = layers.value("system", "")
        if before is not None:
            wording = wording if "system" in stronger else before.system
            layers.take_up(before.chosen, stronger=stronger)
        chosen = layers.resolve()
        refuse_idle_settings(context, chosen, by_hand=step)
        if step and not (chosen.think and chosen.max_think):
            raise UsageError("--step does nothing where nothing is thought", hint="leave it out")
        # First: a session that is open elsewhere is refused before anything is asked of a model.
        kept = SessionFile(sessions_folder(), before, ask=before is None or before.is_ask)
        context.call_on_close(kept.release)
        asking = _Asking(
            question=asked,
            found=found,
            loading=loading.after(layers),
            settings=chosen,
            system=wording,
            before=before.turns if before else (),
            grammar=grammar_of(schema) if schema is not None else "",
            outputs=outputs,
        )
        if sampling.samples > 1:
            if before is not None:
                raise UsageError("--samples goes on with nothing", hint="without -c and --resume")
            turns = _ask_often(asking, sampling)
            if turns is None:
                return _INTERRUPTED
        else:
            turns = _ask_once(asking, backends, show, keys)
        if layers.value("log", True):
            _keep(kept, asking, turns, changed=layers.session)
    if schema is not None and not turns[-1].interrupted:
        check_json(turns[-1])
    return _INTERRUPTED if turns[-1].interrupted else 0


def _refuse_idle(
    context: typer.Context, sampling: Sampling, outputs: Outputs, *, log: bool
) -> None:
    """Raise UsageError if a flag would do nothing beside the others."""
    refuse_both_earlier(context)
    refuse_cache_unlogged(context, log=log)
    refuse_force_alone(context, outputs.trace)
    if outputs.json:
        refuse_idle(context, "markdown", beside="with --json")
    if sampling.samples > 1:
        if outputs.trace is not None:
            hint = "leave out one of the two"
            raise UsageError("--trace holds one run, not several", hint=hint)
        shown = ("panel", "verbose", "markdown", "prompt_cache")
        refuse_idle(context, *SEEN_IN_ONE, *shown, beside="with --samples")
        if not (sampling.vote or outputs.json):
            refuse_idle(context, "extract", beside="where no answers are counted", hint="--vote")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """What is asked, of which model and how, and where it is shown."""

    question: str
    found: Located
    loading: TalkLoading
    settings: Settings
    system: str
    """The system prompt."""
    before: Sequence[Turn]
    """The turns of the session that is gone on with."""
    grammar: str
    """What the answer must be, in GBNF; empty: anything."""
    outputs: Outputs


def _ask_often(asking: _Asking, sampling: Sampling) -> list[Turn] | None:
    """Several answers in one batch, and what won; None if they were stopped."""
    from softchat.talk.conversation import Turn

    answer = ask_often(
        asking.question,
        system=asking.system,
        settings=asking.settings,
        found=asking.found,
        loading=asking.loading,
        sampling=sampling,
        outputs=asking.outputs,
    )
    if answer is None:
        return None
    return [Turn(question=asking.question, answer=answer, settings=asking.settings.to_dict())]


def _ask_once(
    asking: _Asking, backends: Backends, show: Callable[[Event], None], keys: StepKeys | None
) -> list[Turn]:
    """One answer, shown as it comes; the turns that there are then.

    Args:
        asking: what, of whom.
        backends: loads the model.
        show: told each event.
        keys: has each step wait for one of them; None: none does.

    """
    from softchat.cli.model import enough, note, told_if_slow
    from softchat.talk.conversation import Conversation

    said = [turn.question + turn.answer for turn in asking.before]
    with catch_interrupt() as interrupt:
        with told_if_slow(asking.found.name, quiet=asking.outputs.quiet):
            backend = backends.open(
                asking.found,
                asking.loading,
                n_ctx_most=enough(
                    ["".join([*said, asking.question, asking.system])], [asking.settings]
                ),
                cancelled=interrupt,
            )
        if backend.note and not asking.outputs.quiet:
            note(backend.note)
        with backend:
            conversation = Conversation(backend, system=asking.system)
            conversation.turns = list(asking.before)
            answer_now = AnswerNow()
            listens = (
                stepping(keys) if keys else listening(answer_now, when=asking.outputs.reads_keys)
            )
            with listens as stop_listening:
                for event in conversation.ask(
                    asking.question,
                    asking.settings,
                    grammar=asking.grammar,
                    cancelled=interrupt,
                    answer_now=answer_now,
                    keys=keys,
                ):
                    show(event)
                    if isinstance(event, Halted):
                        stop_listening()
            return conversation.turns


def _keep(
    file: SessionFile, asking: _Asking, turns: Sequence[Turn], *, changed: Mapping[str, object]
) -> None:
    """Save the session that this is now; of those of one question only the newest are kept."""
    from softchat.record.session_format import SessionRecord
    from softchat.record.sessions import trim_asks

    record = SessionRecord(
        id=file.id,
        model=asking.found.spec,
        system=asking.system,
        chosen=changed,
        turns=tuple(turns),
    )
    try:
        file.write(record, closed=True)
    except OSError as error:
        warn_not_kept(error)
    trim_asks(sessions_folder())
