"""A race of settings as a table, and what it has shown in words. Prints nothing."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from softchat.base.text import one_line
from softchat.evaluate.race import Proof, Race
from softchat.evaluate.statistics import Estimate
from softchat.views.tables import PlainTable
from softchat.views.wording import Glyphs, plural


def race_table(race: Race, glyphs: Glyphs) -> Table:
    """A row a run: where it stands, and its right answers on both kinds of questions."""
    table = PlainTable()
    table.add_column("run", overflow="fold")
    table.add_column("")
    for name in ("chosen with", "%", "proven on", "%", "tokens"):
        table.add_column(name, justify="right")
    controls = {run.name for run in race.controls}
    for run in (*race.controls, *race.candidates):
        if run.name in controls:
            state, style = "control", "dim"
        elif run.name in race.out:
            state, style = f"out after {race.out[run.name]}", "dim"
        elif len(race.alive) == 1 or race.is_proving:
            state, style = "chosen", "bold magenta"
        else:
            state, style = "in the race", ""
        chosen, proven = race.counts(run.name)
        tokens = race.mean_tokens(run.name)
        table.add_row(
            Text(glyphs.text(one_line(run.name)), "bold" * (style != "dim")),
            Text(state, style),
            *_share(*chosen),
            *_share(*proven),
            f"{tokens:.1f}" if tokens is not None else "-",
        )
    return table


def _share(right: int, total: int) -> tuple[str, str]:
    return (f"{right}/{total}", f"{100 * right / total:.1f}") if total else ("-", "-")


def race_line(race: Race, glyphs: Glyphs) -> str:
    """Where a race stands, in a line."""
    names = ", ".join(race.alive)
    doing = "proving" if race.is_proving else "choosing among"
    return glyphs.text(one_line(f"{doing} {names}"))


def verdict(race: Race, proof: Proof | None) -> str:
    """What a race has shown, in a few sentences."""
    if proof is None:
        return (
            "No verdict: the time was over before anything could be proven. "
            "The same command goes on where it was."
        )
    hardest = proof.hardest
    asked = plural(proof.questions, "question")
    tries = plural(proof.tries, "comparison")
    numbers = (
        f"{proof.winner} was right on {_percent(proof.right)} of {asked} that it was not chosen "
        f"with, {hardest.control}, the best of the controls, on {_percent(hardest.right)}: "
        f"{_points(hardest.accuracy)}, corrected for {tries}, with {hardest.tokens.value:+.1f} "
        f"tokens a question."
    )
    if proof.is_better:
        said = f"Use {proof.winner}. {numbers}"
    else:
        half = 50 * (hardest.accuracy.high - hardest.accuracy.low)
        tried = plural(len(race.candidates), "candidate")
        said = (
            f"Nothing that was tried is shown to beat ordinary decoding. Of {tried}, {numbers} "
            f"With so many questions, less than about {half:.0f} points can't be told from chance."
        )
        unbeaten = [one for one in proof.comparisons if one.accuracy.low <= 0 and one != hardest]
        if hardest.accuracy.low > 0 and unbeaten:
            said += f" {unbeaten[0].control} is not beaten: {_points(unbeaten[0].accuracy)}."
    if race.is_cut:
        said += " The time did not suffice for all questions; the same command goes on."
    return said


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _points(estimate: Estimate) -> str:
    value, low, high = (100 * one for one in (estimate.value, estimate.low, estimate.high))
    return f"{value:+.1f} points (95%: {low:+.1f} to {high:+.1f})"
