"""`softchat plot`: recorded runs as a picture, or as a page to look around in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softchat.base.text import one_line
from softchat.base.written import (
    refuse_foreign,
    refuse_same,
    refuse_stdout,
    refuse_unwritable,
    write_named,
)
from softchat.cli.traces import Turn, read_runs
from softchat.errors import SoftchatError, UsageError
from softchat.models.folders import is_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from softchat.plots.data import RunPlot

_FORMS = (".svg", ".png", ".html")
_BEGINS = re.compile(  # what says who has made it, in the place where each form has it
    rb"<!doctype html>\n.*\n<head>\n.*\n<meta name=\"generator\" content=\"softchat plot\">"
    rb"|<\?xml [^>]*>\s*<!DOCTYPE svg [^>]*>\s*<svg [^>]*>\s*<metadata>\s*<rdf:RDF [^>]*>"
    rb"\s*<cc:Work>\s*<dc:creator>\s*<cc:Agent>\s*<dc:title>softchat plot</dc:title>"
    rb"|\x89PNG\r\n\x1a\n(?s:.{29})tEXtSoftware\0softchat plot"
)


def plot(
    traces: Annotated[list[str], typer.Argument(metavar="TRACE|last|N|ID…")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Its name ends in .svg, .png, .html; without it a page beside the trace.",
        ),
    ] = None,
    turn: Turn = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> int:
    """Draw recorded runs: SVG, PNG, or a page to look around in.

    Of several runs, the entropies are drawn one over the other; forks are branches.
    """
    from softchat.cli.model import refuse_own

    told = out is None
    out = out or _beside(traces[0])
    form = out.suffix.lower()
    if form not in _FORMS:
        raise UsageError(
            one_line(f"can't draw '{out}'"),
            hint=f"its name must end in {', '.join(_FORMS[:-1])} or {_FORMS[-1]}",
        )
    refuse_stdout(out, by="-o", hint="name another file")
    by = "-o" if not told else one_line(str(out))
    refuse_same(out, *traces, by=by)
    refuse_own(out, by=by)
    refuse_foreign(out, _is_plot, what="plot of softchat's")
    from softchat.plots.data import labels_of, run_plots

    held = [read_runs(trace, turn, forked=True) for trace in traces]
    runs = [run for some in held for run in some]
    refuse_unwritable(out, hint="name another file with -o")
    labels = labels_of([Path(trace) for trace in traces], [len(some) for some in held])
    plots = run_plots(runs, labels)
    if not any(len(one.entropy) for one in plots):
        raise UsageError("no step to draw", hint="was it not to think, or to answer at once?")
    content = _draw(plots, form)
    try:
        write_named(out, content)
    except OSError as error:
        raise UsageError(
            one_line(f"can't write {out}: {error.strerror}"),
            hint="name another file with -o",
        ) from error
    if told:
        typer.echo(one_line(str(out)))
    if open_:
        import webbrowser

        if not webbrowser.open(out.absolute().as_uri()):
            hint = f"BROWSER names one; the plot is in {one_line(str(out))}"
            raise SoftchatError("no browser could be opened", hint=hint)
    return 0


def _beside(trace: str) -> Path:
    """Where a page goes that nobody has named: beside its trace, or here for a kept run."""
    path = Path(trace)
    if is_file(path):
        return path.with_suffix(".html")
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", trace).strip("-") or "run"
    return Path(f"softchat-{safe}.html")


def _is_plot(beginning: bytes) -> bool:
    """Whether a file that begins so was drawn here."""
    return _BEGINS.match(beginning) is not None


def _draw(plots: Sequence[RunPlot], form: str) -> bytes:
    if form == ".html":
        from softchat.plots.page import make_page

        return make_page(plots).encode("utf-8")
    try:
        from softchat.plots.figure import draw, to_bytes
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise UsageError(
            f"matplotlib draws {form} files, and is not installed",
            hint="pip install matplotlib, or -o FILE.html, which needs nothing",
        ) from error
    return to_bytes(draw(plots), "svg" if form == ".svg" else "png")
