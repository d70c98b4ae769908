"""`softchat bench`: what soft thinking costs on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from softchat.cli.idle import refuse_idle
from softchat.cli.options import Model, ModelsFile, flag

if TYPE_CHECKING:
    from softchat.bench.machines import MachinesReport
    from softchat.bench.report import Report


def bench(
    context: typer.Context,
    model: Model = None,
    models_file: ModelsFile = None,
    steps: Annotated[
        int, typer.Option(metavar="N", min=8, max=1024, help="Steps to a measurement.")
    ] = 128,
    repeats: Annotated[
        int, typer.Option(metavar="N", min=1, max=100, help="Interleaved repeats.")
    ] = 7,
    at: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            min=128,
            max=2**24,
            help="Measure at this position, again for each one more.",
        ),
    ] = None,
    others: Annotated[
        bool, typer.Option(help="Measure llm, llama-cpp-python's chat and transformers too.")
    ] = True,
    rpc: Annotated[
        str,
        flag("--rpc", metavar="HOST:PORT,…", help="Measure only what these servers cost."),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="The line of JSON only.")] = False,
) -> int:
    """Measure what soft thinking costs on this machine.

    A table, ratios first, then one line of JSON.
    """
    from softchat.bench import measure, measure_machines
    from softchat.cli import watch
    from softchat.cli.model import find, note, user_config
    from softchat.engine.placement import Placement
    from softchat.engine.servers import read_servers
    from softchat.talk.load import Load

    if rpc:
        refuse_idle(context, "at", "others", beside="with --rpc")
    found = find(model, config=user_config())
    report: Report | MachinesReport

    def progress(what: str) -> None:
        watch.loaded()
        typer.echo(f"measuring: {what}", err=True)

    servers = read_servers(rpc)
    load = Load.of(found, placement=Placement(servers=servers))
    watch.loading(load)
    path, loras, why_slower = load.weights()
    if why_slower:
        note(why_slower)
    if servers:
        report = measure_machines(
            path,
            found.name,
            servers,
            loras=loras,
            steps=steps,
            repeats=repeats,
            progress=progress,
        )
    else:
        report = measure(
            path,
            found.name,
            loras=loras,
            steps=steps,
            repeats=repeats,
            positions=at or (128, 1024, 4096),
            others=others,
            progress=progress,
        )
    if not json:
        for label, figure in report.rows():
            typer.echo(f"{label:40}{figure}")
    typer.echo(report.to_json())
    return 0
