"""Slash commands that go back into a thought: another token, other settings from a step on."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from softchat.base.keys import can_listen
from softchat.base.text import one_line
from softchat.errors import UsageError
from softchat.record.runs import Run
from softchat.repl.asking import how_to_think
from softchat.repl.host import Host
from softchat.settings import KNOBS, parse
from softchat.thinking.fork import find_token, make_fork
from softchat.views.branches import branches
from softchat.views.steps import step_in_full
from softchat.views.wording import number

_USAGE = "/fork 14 WORD takes another token at step 14; /fork 14 2 the second; /think has the steps"


@dataclass(frozen=True, slots=True)
class _Wish:
    """What stands behind `/fork`."""

    step: int
    token: str
    settings: dict[str, object]


def fork(repl: Host, rest: str) -> None:
    """Think the last turn once more from a step on, with another token or other settings."""
    turn = repl.session.last()
    run = Run.of(turn.events)
    if run.started is None or not run.steps:
        raise UsageError("the steps of the last turn are not there", hint=how_to_think(repl))
    wish = _wish(rest)
    if not 0 <= wish.step < len(run.steps):
        raise UsageError(f"no step {wish.step}", hint=f"there are steps 0 to {len(run.steps) - 1}")
    step = run.steps[wish.step]
    if not (wish.token or wish.settings):
        tau = number(run.settings.get("tau"))
        repl.console.print(step_in_full(step, tau=tau, glyphs=repl.glyphs))
        if len(step.own) > 1:
            repl.say(f"/fork {wish.step} 2 goes on with the second of these alone", "dim")
        return
    shown = repl.glyphs.piece
    take = find_token(step, wish.token, shown=shown) if wish.token else None
    begun, settings = make_fork(run.started, run.steps, wish.step, take=take, once=wish.settings)
    settings.refuse_idle(wish.settings)
    repl.run_turn(repl.session.fork(begun, settings))
    now = repl.session.last()
    if now is turn:
        return
    runs = {"as it was": run, "fork": Run.of(now.events)}
    repl.console.print(Text())
    repl.console.print(branches(runs, wish.step, width=repl.console.width, glyphs=repl.glyphs))
    repl.say("/back takes the fork back; /fork again goes on from it", "dim")


def back(repl: Host, rest: str) -> None:
    """Have the turn as it was before it was forked."""
    turn = repl.session.back()
    repl.keep()
    answer = one_line(" ".join(turn.answer.split()))
    repl.say(f"as it was: {answer[:60] or 'no answer'}", "dim")


def _wish(rest: str) -> _Wish:
    at, _, behind = rest.strip().partition(" ")
    try:
        step = int(at)
    except ValueError:
        raise UsageError("no step named", hint=_USAGE) from None
    settings: dict[str, object] = {}
    token = []
    for word in behind.split():
        name, equals, value = word.partition("=")
        name = name.replace("-", "_")
        if name in settings:
            raise UsageError(f"{name} is there twice", hint="which of the two is meant?")
        if equals and name in KNOBS:
            settings[name] = parse(name, value)
        else:
            token.append(word)
    return _Wish(step, " ".join(token), settings)


def step(repl: Host, rest: str) -> None:
    """Have each step of a thought wait for a key, or not."""
    if rest not in ("", "on", "off"):
        raise UsageError("/step takes 'on', 'off' or nothing")
    if rest != "off" and not can_listen():
        raise UsageError("no keys can be read here", hint="/fork goes back to a step")
    repl.session.by_hand = rest != "off" and (rest == "on" or not repl.session.by_hand)
    repl.say(
        "step by step: space goes on, the panel has the other keys; /step off"
        if repl.session.by_hand
        else "it thinks without waiting",
        "dim",
    )
