"""`softchat bench`: what soft thinking costs on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from softchat.cli.options import Model, ModelsFile


def bench(
    model: Model = None,
    models_file: ModelsFile = None,
    steps: Annotated[
        int, typer.Option(metavar="N", min=8, max=1024, help="Steps to a measurement.")
    ] = 128,
    repeats: Annotated[
        int, typer.Option(metavar="N", min=1, max=100, help="Interleaved repeats.")
    ] = 7,
    json: Annotated[bool, typer.Option("--json", help="The line of JSON only.")] = False,
) -> int:
    """Measure what soft thinking costs: a table, then one line of JSON."""
    from softchat.bench import measure
    from softchat.cli.model import find, user_config

    found = find(model, config=user_config())
    report = measure(
        found.path,
        found.name,
        steps=steps,
        repeats=repeats,
        progress=lambda what: typer.echo(f"measuring: {what}", err=True),
    )
    if not json:
        above = report.memory_above_bare_mb
        rows = [
            ("soft step ÷ bare decode", f"{report.soft_to_bare:.3f}"),
            ("hard step ÷ bare decode", f"{report.hard_to_bare:.3f}"),
            ("panel ÷ no panel", f"{report.panel_to_none:.3f}"),
            ("exactness proof, in decode steps", f"{report.proof_steps:.2f}"),
            ("memory above bare llama.cpp", f"{above:.1f} MB"),
            ("load (bare)", f"{report.load_s:.3f} s ({report.bare_load_s:.3f} s)"),
            ("open the embedding table", f"{report.table_open_s * 1000:.0f} ms"),
            ("time to the first step", f"{report.first_step_s:.3f} s"),
            ("bare decode", f"{report.bare_steps_per_s:.1f} steps/s"),
        ]
        if report.ask_to_llm is not None:
            rows.insert(3, ("ask ÷ llm, a one-line answer", f"{report.ask_to_llm:.3f}"))
        for label, figure in rows:
            typer.echo(f"{label:34}{figure}")
    typer.echo(report.to_json())
    return 0
