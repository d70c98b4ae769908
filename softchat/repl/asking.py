"""Slash commands that ask once more, go on, or look into what was thought."""

from __future__ import annotations

import secrets
import shlex

from rich.console import Group
from rich.text import Text

from softchat.base.text import one_line
from softchat.errors import UsageError
from softchat.events import FinishReason, Halted, Lens, Step
from softchat.models.folders import expand
from softchat.prompt.attached import read_file
from softchat.record.runs import Run
from softchat.repl.host import Host
from softchat.settings import check, parse
from softchat.talk.conversation import Turn
from softchat.views.paging import print_paged
from softchat.views.steps import step_in_full, steps_table
from softchat.views.thoughts import thought, thoughts
from softchat.views.unsure import answer_tokens, token_in_full, unsure_answer
from softchat.views.wording import number, plural

_WARM = 0.6  # temperature at which an answer is drawn that would be argmax
_SOME_STEPS = 200  # an example
_MOST_PAIRS = 10_000  # characters of settings on one line


def again(repl: Host, rest: str) -> None:
    """Ask the last question once more, in place of its turn."""
    before = repl.session.last()
    once = _pairs(rest)
    if not _asked_again(repl, once):
        return
    now = repl.session.last()
    by_hand = repl.session.by_hand  # then it may well have been thought otherwise
    if now.answer == before.answer and now.settings.get("answer_temperature") == 0 and not by_hand:
        why = "with these settings too" if once else "as at answer temperature 0 none is drawn"
        repl.say(f"the same answer, {why}; /retry draws one", "dim")


def retry(repl: Host, rest: str) -> None:
    """Ask the last question once more, so that another answer can come of it."""
    once = _pairs(rest)
    repl.session.last()
    once.setdefault("seed", secrets.randbits(32))
    if "answer_temperature" not in once and repl.session.settings.answer_temperature == 0:
        once["answer_temperature"] = _WARM
        repl.say(f"answer temperature {_WARM:g} for this once: at 0 it stays the same", "dim")
    _asked_again(repl, once)


def _asked_again(repl: Host, once: dict[str, object]) -> bool:
    """Ask the last question once more; False if it was stopped before it answered anything."""
    before = repl.session.last()
    repl.session.layers.resolve(**once).refuse_idle(once)
    repl.run_turn(repl.session.again(**once))
    if repl.session.last() is not before:
        return True
    repl.say("interrupted: the answer before stays", "dim")
    return False


def continue_(repl: Host, rest: str) -> None:
    """Go on with the last answer, which something has cut."""
    finished = repl.session.last().finished
    if not repl.session.last().answer:
        raise UsageError("the last turn has no answer", hint="/again asks once more")
    if finished is not None and finished.finish_reason is FinishReason.STOP:
        raise UsageError("the last answer was not cut", hint="ask for more, or /retry")
    said = repl.session.last().answer
    repl.run_turn(repl.session.continue_())
    finished = repl.session.last().finished
    ended = finished is not None and finished.finish_reason is FinishReason.STOP
    if ended and repl.session.last().answer == said:
        repl.say("nothing came: to the model the answer was whole", "dim")


def edit(repl: Host, rest: str) -> None:
    """Take the last turn back, and put its question onto the line."""
    turn = repl.session.undo()
    repl.keep()
    repl.edit(turn.question)
    repl.say("taken back; change it, and Enter asks it", "dim")


def file(repl: Host, rest: str) -> None:
    """Have a text go with the next question."""
    if rest in ("none", "off"):
        repl.attached.clear()
    elif rest:
        attached = read_file(expand(rest))
        if not attached.text.strip():
            raise UsageError(f"{attached.name} is empty", hint="is it the file that you mean?")
        repl.attached.append(attached)
    for one in repl.attached:
        repl.say(f"{one.name}: {plural(len(one.text), 'character')}, with the next question", "dim")
    if not repl.attached:
        repl.say("nothing goes with the next question", "dim")


def resume(repl: Host, rest: str) -> None:
    """Go on with another session."""
    repl.resume(rest)


def think(repl: Host, rest: str) -> None:
    """Show what a turn thought, as text and step by step; or say whether to think at all."""
    if rest in ("on", "off"):
        repl.session.layers.session["think"] = rest == "on"
        repl.keep()
        repl.say("it thinks" if rest == "on" else "it answers at once; /think on", "dim")
        return
    turn = _turn(repl, rest)
    steps = _steps(repl, turn)
    lenses = [event for event in turn.events if isinstance(event, Lens)]
    halted = next((event for event in turn.events if isinstance(event, Halted)), None)
    text = thoughts(thought(steps, halted), repl.glyphs)
    lines = len(steps) + text.plain.count("\n") + 2
    page = Group(text, Text(), steps_table(steps, repl.glyphs, lenses=lenses))
    print_paged(repl.console, page, lines=lines)
    mixed = next((step.index for step in steps if len(step.own) > 1), None)
    if mixed is not None and turn is repl.session.last():
        repl.say(f"/fork {mixed} 2 goes on from step {mixed} with its second token alone", "dim")


def lens(repl: Host, rest: str) -> None:
    """Show while it thinks what it would answer now: at each line's end, or every so many steps."""
    chosen = repl.session.layers.session
    every = whole_number(rest)
    if every is not None:
        chosen["lens_every"] = check("lens_every", every)
        chosen["lens"] = True
    elif rest in ("on", "off"):
        chosen["lens"] = rest == "on"
    elif rest:
        raise UsageError(
            f"/lens can't be {one_line(rest)}",
            hint="/lens on, /lens 16 (every 16 steps), /lens off",
        )
    if rest:
        repl.keep()
    settings = repl.session.settings
    where = (
        f"every {plural(settings.lens_every, 'step')}" if settings.lens_every else "at line ends"
    )
    most = plural(settings.lens_tokens, "token")
    on = f"looks ahead {where}; each look decodes the closing tag and up to {most}"
    repl.say(on if settings.lens else "looks ahead nowhere; /lens on", "dim")


def why(repl: Host, rest: str) -> None:
    """Show a step of a turn, or a token of its answer, in full."""
    wanted, _, of = rest.partition(" ")
    if wanted == "answer":
        _why_answer(repl, of.strip())
        return
    turn = _turn(repl, of.strip())
    steps, index = _steps(repl, turn), whole_number(wanted)
    if index is None or not 0 <= index < len(steps):
        raise UsageError(
            f"no step {one_line(wanted) or 'given'}",
            hint=f"/why N, from 0 to {len(steps) - 1}",
        )
    tau = number(turn.settings.get("tau"))
    repl.console.print(step_in_full(steps[index], tau=tau, glyphs=repl.glyphs))


def _why_answer(repl: Host, rest: str) -> None:
    """A token of the answer in full; bare: all of the answer, unsure tokens coloured."""
    wanted, _, of = rest.partition(" ")
    turn = _turn(repl, of.strip())
    tokens = answer_tokens(turn.events)
    if not tokens:
        raise UsageError(
            "nothing was kept of the tokens of this answer",
            hint="/set answer_entropy on, then /again",
        )
    if not wanted:
        repl.console.print(unsure_answer(turn.events, repl.glyphs))
        return
    place = whole_number(wanted)
    if place is None or not 0 <= place < len(tokens):
        raise UsageError(
            f"no token {one_line(wanted)} of the answer",
            hint=f"/why answer N, from 0 to {len(tokens) - 1}",
        )
    repl.console.print(token_in_full(tokens, place, repl.glyphs))


def _turn(repl: Host, text: str) -> Turn:
    """The turn of this number, or the last one."""
    if not text:
        return repl.session.last()
    named = whole_number(text)
    if named is None:
        raise UsageError(f"no turn {one_line(text)}", hint="/stats numbers them")
    return repl.session.turn(named)


def _steps(repl: Host, turn: Turn) -> tuple[Step, ...]:
    steps = Run.of(turn.events).steps
    if not turn.events:
        seed = turn.settings.get("seed")
        once_more = how_to_think(repl, *([f"seed={seed}"] if isinstance(seed, int) else []))
        raise UsageError(
            "the steps of this turn were not kept: it is from a saved session",
            hint=f"{once_more}; /trace FILE keeps the steps of turns that follow",
        )
    if not steps:
        raise UsageError("this turn has no steps", hint=how_to_think(repl))
    return steps


def how_to_think(repl: Host, *once: str) -> str:
    """What has the last question thought about once more, as the settings are now."""
    settings = repl.session.settings
    needed = [
        *([] if settings.think else ["think=on"]),
        *([] if settings.max_think else [f"max_think={_SOME_STEPS}"]),
    ]
    return f"{' '.join(['/again', *needed, *once])} thinks once more"


def whole_number(text: str) -> int | None:
    """The whole number that this is, or None."""
    try:
        return int(text)
    except ValueError:  # not for isdigit() to tell: ² is one of its digits
        return None


def _pairs(text: str) -> dict[str, object]:
    """Settings written as name=value."""
    if len(text) > _MOST_PAIRS:  # `shlex` takes the square of it
        raise UsageError("these are too many settings", hint="/again tau=0.1 topn=3")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{error}", hint="/again tau=0.1 topn=3") from error
    once: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(
                f"'{one_line(word)}' is no setting=value",
                hint="/again tau=0.1 topn=3",
            )
        name = name.replace("-", "_")
        if name in once:
            raise UsageError(f"{name} is there twice", hint="which of the two is meant?")
        once[name] = parse(name, value)
    return once
