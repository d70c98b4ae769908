"""Slash commands: a table of them, each a function of the loop and the text behind its name.

Commands change the chat or ask the console to show something; a wrong one raises `UsageError`.
"""

from __future__ import annotations

import base64
import difflib
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rich.console import Group

from softchat.base.interrupt import catch_interrupt
from softchat.base.text import message_line, one_line, printable
from softchat.base.written import is_same
from softchat.config.file import LOADING, OPTIONS, from_file, read_loading
from softchat.errors import UsageError
from softchat.events import Event
from softchat.models.folders import expand
from softchat.record.trace import TraceWriter
from softchat.repl.asking import (
    again,
    continue_,
    edit,
    file,
    lens,
    resume,
    retry,
    think,
    whole_number,
    why,
)
from softchat.repl.forking import back, fork, step
from softchat.repl.host import Host
from softchat.repl.show import commands_table, help_of, settings_table, stats_table
from softchat.settings import KNOBS, StrategyName, check, parse
from softchat.views.comparison import comparison
from softchat.views.paging import print_paged
from softchat.views.thoughts import LEGEND
from softchat.views.wording import plural, whereabouts

_SETTING = re.compile(r"([^\s=]*)\s*(=?)\s*(.*)", re.DOTALL)  # NAME VALUE, or NAME=VALUE
_ROOMY = 76  # cells; in a narrower window /set has no place for what each setting does


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A slash command."""

    usage: str
    help: str
    takes: str = ""
    """What is completed behind it, see `SlashCompleter`."""
    run: Callable[[Host, str], None]


class Leave(Exception):  # noqa: N818  # no error: the way out of the loop
    """The user wants to leave."""


def run_command(repl: Host, line: str) -> None:
    """Do what a line that begins with a slash says.

    Raises:
        UsageError: there is no such command, or it can't be done.
        Leave: it was `/quit`.

    """
    name, _, rest = line.strip().partition(" ")
    command = _command(name, more=" To say this to the model, begin with a space")
    if rest.strip() and " " not in command.usage:
        raise UsageError(f"{name} takes nothing behind it", hint=f"{name}: {command.help}")
    command.run(repl, rest.strip())


def _command(name: str, *, more: str = "") -> Command:
    """The command of this name. Raises UsageError."""
    command = COMMANDS.get(name)
    if command is None:
        near = difflib.get_close_matches(name.lower(), COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else "/help shows all of them."
        raise UsageError(f"no command {one_line(name)}", hint=hint + more)
    return command


def _help(repl: Host, rest: str) -> None:
    if rest:
        command = _command(rest if rest.startswith("/") else f"/{rest}")
        repl.say(f"{command.usage}\n  {command.help}")
        return
    shown = {repl.glyphs.text(one.usage): one.help for one in COMMANDS.values()}
    repl.console.print(commands_table(shown))
    repl.say('Enter sends, Alt-Enter begins a new line, """ opens and closes a block.', "dim")
    repl.say("Ctrl-C stops a turn, Ctrl-R searches what was typed, Ctrl-D leaves.", "dim")
    repl.say("? says what the signs of the panel mean.", "dim")


def explain_signs(repl: Host) -> None:
    """Say what stands in the panel and in tables of steps."""
    tau = repl.glyphs.tau
    repl.console.print(commands_table({k.format(tau=tau): v for k, v in LEGEND.items()}))


def _set(repl: Host, rest: str) -> None:
    if not rest:
        values = repl.session.origins()
        helped = repl.console.width >= _ROOMY
        tables = [
            settings_table({name: values[name] for name in names}, helped=helped)
            for names in (KNOBS, OPTIONS)
        ]
        lines = sum(table.row_count + 1 for table in tables)
        print_paged(repl.console, Group(*tables), lines=lines)
        return
    name, equals, value = _named(rest)
    if not (value or equals):
        _show(repl, name, about=f": {help_of(name)}" if name in {**KNOBS, **OPTIONS} else "")
        return
    _refuse_fixed(name, by="/set")
    if not value:
        _refuse_nothing(name)
    if name in LOADING:
        _reload(repl, name, value)
        return
    repl.session.layers.session[name] = parse(name, value)
    repl.keep()
    idle = repl.session.settings.idle(name)  # it may be set before what it goes with is
    but = f": does nothing with {idle.beside}; it does with {idle.unlike}" if idle else ""
    repl.say(f"{name} {repl.session.layers.session[name]}{but}", "yellow" if idle else "dim")


def _named(rest: str) -> tuple[str, str, str]:
    """A setting's name, the equals sign if there is one, and what stands behind."""
    found = _SETTING.fullmatch(rest)
    name, equals, value = found.groups() if found else (rest, "", "")
    return name.replace("-", "_"), equals, value.strip()


def _refuse_fixed(name: str, *, by: str) -> None:
    """Raise UsageError if this is an option that holds for the whole session."""
    if name in OPTIONS and name not in LOADING:
        flag = f"--{name.replace('_', '-')}, or {name} in config.toml"
        system = "/system TEXT; /system none for no system prompt"
        hint = {"model": "/model NAME", "system": system}.get(name, flag)
        raise UsageError(f"{by} does not change {name}", hint=hint)


def _refuse_nothing(name: str) -> NoReturn:
    """Raise UsageError, as a setting was named and no value."""
    if name not in LOADING and name not in KNOBS:
        check(name, None)  # says that there is no such setting
    raise UsageError(
        f"no value given for {name}",
        hint=f"/set {name} VALUE; /set {name} shows it, /unset {name} takes /set back",
    )


def _reload(repl: Host, name: str, text: str | None) -> None:
    """Load the model again with another value of an option of how it is loaded; None: as before."""
    value = None if text is None else read_loading(name, text)
    repl.say(f"loading {one_line(repl.session.found.name)}…", "dim")
    with catch_interrupt(repl.session.interrupt):
        repl.session.reload(name, value)
    if value is not None:
        repl.say(one_line(f"{name} {value}"), "dim")
    if repl.session.note:
        repl.say(f"note: {message_line(repl.session.note)}", "yellow")


def _unset(repl: Host, rest: str) -> None:
    if not rest:
        raise UsageError("no setting named", hint="/unset tau; /set shows all settings")
    name = rest.replace("-", "_")
    _refuse_fixed(name, by="/unset")
    if name in LOADING:
        _reload(repl, name, None)
        _show(repl, name)
        return
    repl.session.layers.session.pop(name, None)
    repl.keep()
    _show(repl, name)


def _show(repl: Host, name: str, *, about: str = "") -> None:
    values = repl.session.origins()
    if name not in values:
        check(name, None)  # says that there is no such setting
    value, origin = values[name]
    shown = "" if value is None else f" {value}"
    repl.say(one_line(f"{name}{shown} ({origin}){about}"))


def _strategy(repl: Host, rest: str) -> None:
    if not rest:
        names = ", ".join(StrategyName)
        repl.say(f"{repl.session.settings.strategy} (there are: {names})")
        return
    repl.session.layers.session["strategy"] = check("strategy", rest)
    repl.keep()
    repl.say(f"strategy {rest}", "dim")


def _model(repl: Host, rest: str) -> None:
    if not rest:
        found = repl.session.found
        repl.say(f"{printable(found.name)}: {printable(str(found.path))}")
        return
    found = repl.find(rest)
    repl.say(f"loading {printable(found.name)}{repl.glyphs.ellipsis}", "dim")
    repl.session.change_model(found)
    repl.keep()
    repl.say(f"model {printable(found.name)}", "dim")


def _system(repl: Host, rest: str) -> None:
    if not rest:
        repl.say(printable(repl.session.system) or "no system prompt")
        return
    repl.session.system = "" if rest in ("none", '""', "''") else from_file(rest)
    repl.keep()
    repl.say("from the next turn on", "dim")


def _compare(repl: Host, rest: str) -> None:
    if not rest:
        repl.session.last()
    runs: dict[str, list[Event]] = {}
    # The same seed for both, so that nothing but the strategy differs.
    seed = repl.session.layers.resolve().seed
    for strategy in (StrategyName.HARD, StrategyName.SOFT):
        repl.say(f"{strategy}…", "dim")
        events = repl.run_quietly(repl.session.try_out(rest or None, strategy=strategy, seed=seed))
        if events is None:
            repl.say("stopped", "yellow")
            return
        runs[str(strategy)] = events
    width = repl.console.width
    repl.console.print(comparison(runs, width=width, glyphs=repl.glyphs))


def _undo(repl: Host, rest: str) -> None:
    turn = repl.session.undo()
    repl.keep()
    repl.say(f"taken back: {_clipped(turn.question)}", "dim")


def _clear(repl: Host, rest: str) -> None:
    count = repl.session.clear()
    repl.keep()
    repl.say(f"{plural(count, 'turn')} forgotten", "dim")


def _drop(repl: Host, rest: str) -> None:
    count = whole_number(rest or "1")
    turns = len(repl.session.turns)
    if count is None or not 0 < count <= turns:
        there = f"there {'is' if turns == 1 else 'are'} {plural(turns, 'turn')}"
        why = "it must be a whole number of at least 1" if count is None or count < 1 else there
        raise UsageError(
            f"can't forget {one_line(rest) or 'a turn'}: {why}", hint="/drop N forgets the N oldest"
        )
    repl.session.drop(count)
    repl.keep()
    repl.say(f"the oldest {plural(count, 'turn')} forgotten", "dim")


def _save(repl: Host, rest: str) -> None:
    path = _path_to_save(repl, rest, "/save chat.json, or /save chat.md to read")
    if not repl.is_own(path):
        _keep_what_is_there(path, "/save!")
    repl.save_as(path)


def _save_over(repl: Host, rest: str) -> None:
    repl.save_as(_path_to_save(repl, rest, "/save! chat.json"))


def _path_to_save(repl: Host, rest: str, hint: str) -> Path:
    """The file that is named. Raises UsageError if none is, or there is nothing to write."""
    path = _path_to_write(rest, hint)
    if not repl.session.turns:
        raise UsageError("nothing to save yet", hint="ask something first")
    return path


def _keep_what_is_there(path: Path, instead: str) -> None:
    """Raise UsageError if there is something in this file."""
    with suppress(OSError):  # there is none; or that is told when it is opened
        if path.is_file() and path.stat().st_size:
            shown = one_line(str(path))
            raise UsageError(f"{shown} exists", hint=f"{instead} {shown} writes over it")


def _load(repl: Host, rest: str) -> None:
    repl.load_from(_path(rest, "/load chat.json"))
    repl.say(plural(len(repl.session.turns), "turn"), "dim")


def _path(text: str, hint: str) -> Path:
    if not text:
        raise UsageError("no file named", hint=hint)
    return expand(text)


def _path_to_write(text: str, hint: str) -> Path:
    """A name without line breaks, as pasted ones have, or what else a terminal would obey."""
    if one_line(text) != text:
        said = f"a file to write can't be called {one_line(text)}"
        raise UsageError(said, hint="without control characters")
    return _path(text, hint)


def _trace(repl: Host, rest: str) -> None:
    if not rest:
        repl.say(f"to {printable(str(repl.trace_path))}" if repl.trace else "off")
        return
    if rest != "off":
        _refuse_traced(repl, expand(rest))
        _keep_what_is_there(expand(rest), "/trace!")
    _trace_over(repl, rest)


def _trace_over(repl: Host, rest: str) -> None:
    if rest == "off":
        repl.end_trace()
    else:
        path = _path_to_write(rest, "/trace! t.jsonl")
        _refuse_traced(repl, path)
        repl.refuse_used(path, by="/trace")
        # First: if it can't be opened, the one before goes on.
        trace = TraceWriter(path, force=True)
        repl.end_trace()
        repl.trace, repl.trace_path = trace, path
    repl.say(f"trace {one_line(rest)}", "dim")


def _refuse_traced(repl: Host, path: Path) -> None:
    """Raise UsageError if this very session writes to the file."""
    if repl.trace and repl.trace_path and is_same(path, repl.trace_path):
        said = f"this session writes to {one_line(str(path))} already"
        raise UsageError(said, hint="/trace off ends that; or name another file")


def _stats(repl: Host, rest: str) -> None:
    repl.session.last()
    repl.console.print(stats_table(repl.session.turns))
    used, n_ctx = repl.session.used
    if n_ctx:
        repl.say(f"context {used} of {n_ctx} positions", "dim")
    if repl.session.info:
        repl.say(one_line(whereabouts(repl.session.info)), "dim")


def _copy(repl: Host, rest: str) -> None:
    answer = repl.session.last().answer
    if rest == "code":
        from softchat.views.markdown import code_blocks

        blocks = code_blocks(answer)
        if not blocks:
            raise UsageError("the last answer has no code block", hint="/copy copies all of it")
        answer = "".join(blocks)
    elif rest:
        raise UsageError("/copy takes 'code' or nothing")
    if repl.console.is_dumb_terminal:
        hint = "/save FILE.md writes the session"
        raise UsageError("this terminal has no clipboard that can be reached", hint=hint)
    # OSC 52: the terminal puts it into its clipboard, over ssh too.
    data = base64.b64encode(answer.encode("utf-8", "replace")).decode("ascii")
    repl.console.file.write(f"\x1b]52;c;{data}\x07")
    repl.say(f"{plural(len(answer), 'character')} handed to the terminal's clipboard", "dim")


def _quit(repl: Host, rest: str) -> None:
    raise Leave


def _clipped(text: str, cells: int = 60) -> str:
    line = one_line(" ".join(text.split()))
    return line if len(line) <= cells else line[: cells - 1] + "…"


def _commands() -> Iterator[Command]:
    yield Command(usage="/help [COMMAND]", help="This.", takes="command", run=_help)
    yield Command(
        usage="/set [NAME VALUE]", help="Change a setting; bare: show all.", takes="setting",
        run=_set,
    )  # fmt: skip
    yield Command(usage="/unset NAME", help="As it was before /set.", takes="setting", run=_unset)
    yield Command(
        usage="/strategy [NAME]", help="How the thinking goes on.", takes="strategy", run=_strategy
    )
    yield Command(
        usage="/again [NAME=VALUE…]", help="The same question once more, with other settings.",
        takes="settings", run=again,
    )  # fmt: skip
    yield Command(
        usage="/retry [NAME=VALUE…]", help="The same question once more, with another draw.",
        takes="settings", run=retry,
    )  # fmt: skip
    yield Command(
        usage="/fork STEP [TOKEN] [NAME=VALUE…]",
        help="Think on from a step with another token, or settings.", takes="settings", run=fork,
    )  # fmt: skip
    yield Command(
        usage="/step [on|off]", help="Think step by step: each step waits for a key.", run=step
    )
    yield Command(usage="/back", help="The turn as it was before /fork.", run=back)
    yield Command(usage="/continue", help="Go on with an answer that was cut.", run=continue_)
    yield Command(usage="/edit", help="Take the last question back onto the line.", run=edit)
    yield Command(
        usage="/file [FILE|none]", help="A text that goes with the next question.", takes="file",
        run=file,
    )  # fmt: skip
    yield Command(
        usage="/compare [QUESTION]", help="Hard and soft side by side; bare: the last question.",
        run=_compare,
    )  # fmt: skip
    yield Command(
        usage="/think [TURN|on|off]", help="Every step of a turn; or whether to think.", run=think
    )
    yield Command(
        usage="/lens [on|off|N]", help="Show while it thinks what it would answer now.", run=lens
    )
    yield Command(
        usage="/why STEP|answer N [TURN]", help="A step, or a token of the answer, in full.",
        run=why,
    )  # fmt: skip
    yield Command(
        usage="/model [NAME]", help="Go on with another model.", takes="model", run=_model
    )
    yield Command(usage="/system [TEXT|@FILE|none]", help="Change the system prompt.", run=_system)
    yield Command(usage="/undo", help="Take the last turn back.", run=_undo)
    yield Command(usage="/drop [N]", help="Forget the N oldest turns.", run=_drop)
    yield Command(usage="/clear", help="Forget all turns.", run=_clear)
    yield Command(
        usage="/save FILE", help="Write the session; .md to read it.", takes="file", run=_save
    )
    yield Command(
        usage="/save! FILE", help="The same over a file that is there.", takes="file",
        run=_save_over,
    )  # fmt: skip
    yield Command(usage="/load FILE", help="Go on with a saved one.", takes="file", run=_load)
    yield Command(
        usage="/trace FILE|off", help="Write the events of turns to a file.", takes="file",
        run=_trace,
    )  # fmt: skip
    yield Command(
        usage="/trace! FILE", help="The same over a file that is there.", takes="file",
        run=_trace_over,
    )  # fmt: skip
    yield Command(usage="/stats", help="What the turns took.", run=_stats)
    yield Command(usage="/copy [code]", help="The last answer to the clipboard.", run=_copy)
    yield Command(
        usage="/resume [ID]", help="Go on with another session; bare: the last one.", run=resume
    )
    yield Command(usage="/quit", help="Leave; so do exit and Ctrl-D.", run=_quit)


COMMANDS = {command.usage.split()[0]: command for command in _commands()}
COMMANDS |= dict.fromkeys(("/exit", "/bye"), COMMANDS["/quit"])
