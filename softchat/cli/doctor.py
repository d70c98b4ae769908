"""`softchat doctor`: what a bug report needs, and what is wrong here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from softchat.base.files import shown_size
from softchat.base.text import one_line
from softchat.base.version import __version__
from softchat.cli import print_json
from softchat.cli.options import ModelsFile
from softchat.cli.signals import end_with_reader


def doctor(
    json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
    models_file: ModelsFile = None,
) -> int:
    """Look whether all is well here, and say what a bug report needs.

    Nothing is fetched, and nothing private is told: no user name, no value of a variable.
    """
    from softchat.doctor import examine

    end_with_reader()  # the self-test takes a while
    if not json:
        print(f"{'softchat':18}{__version__}", flush=True)
    report = examine(os.environ)
    if json:
        print_json(report.to_dict())
        return 1 if report.problems else 0
    for label, text in _rows(report.facts)[1:]:  # the first is there
        typer.echo(f"{label:18}{one_line(text)}")
    for problem in report.problems:
        typer.echo(one_line(f"problem: {problem.what} (hint: {problem.hint})"))
    if not report.problems:
        typer.echo(_verdict(report.facts["machine"]))
    return 1 if report.problems else 0


def _verdict(machine: Mapping[str, Any]) -> str:
    """The last word, where nothing is wrong."""
    if machine["in_use"] and not machine["busy"]:
        others = f"other programs use this machine (load {machine['load']:g})"
        return f"nothing is wrong; {others}, so all of it is slower than it could be"
    return machine["busy"] or "all is well"


def _rows(facts: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What is told, each fact a line."""
    versions, machine, settings = facts["versions"], facts["machine"], facts["settings"]
    rows = [(name, versions[name]) for name in ("softchat", "python", "system")]
    packages = [name for name in versions if name not in dict(rows)]
    rows.append(("packages", ", ".join(f"{name} {versions[name]}" for name in packages)))
    threads = f"{machine['cpus']} CPUs, {machine['threads']} threads used"
    rows.append(("processor", f"{machine['cpu']}, {threads}"))
    features = facts["cpu_features"]
    rows.append(("its features", f"used: {_listed(features['used'])}"))
    for label, key in (("", "unused"), ("", "lacking")):
        rows.append((label, f"{key}: {_listed(features[key])}"))
    devices = facts["devices"]
    rows.append(("back ends", f"{_listed(devices['backends'])}; GPUs: {_listed(devices['gpus'])}"))
    rows.append(("other machines", _of_servers(devices["rpc"], facts["servers"]["protocols"])))
    free = machine["memory_available"]
    rows.append(
        ("memory", shown_size(machine["memory"]) + f", {shown_size(free)} available" * bool(free))
    )
    rows += [(name, _kept(about)) for name, about in facts["folders"].items()]
    rows.append(("settings from", _listed(settings["files"])))
    rows.append(("variables", _listed(settings["variables"])))
    rows.append(("worker", _of_worker(facts["worker"])))
    return rows + _of_model(facts["default_model"], in_use=bool(machine["in_use"]))


def _of_servers(built: bool | None, protocols: Sequence[str | None]) -> str:
    if not built:
        return "can't be reached: llama.cpp is built without GGML_RPC"
    answers = sum(one is not None for one in protocols)
    return f"{answers} of {len(protocols)} servers answer" if protocols else "none named"


def _of_worker(worker: Mapping[str, Any]) -> str:
    if not worker["on"]:
        return "off: llama.cpp runs in softchat itself"
    return "on, and starts" if worker["starts"] else "on, and does not start"


def _of_model(model: Mapping[str, Any], *, in_use: bool) -> list[tuple[str, str]]:
    """`in_use`: other programs run beside it, so what was measured of its speed says nothing."""
    if model["name"] is None:
        return [("default model", "can't be told")]
    if not model["here"]:
        fetch = f"not here: softchat models pull {model['name']}"
        name = f"{model['name']} ({model['by']})"
        return [("default model", f"{name}, {fetch}"), ("self-test", "not done: no model")]
    size = shown_size(model["bytes"])
    rows = [("default model", f"{model['name']} ({model['by']}), {size}, here")]
    if "soft_to_bare" not in model:
        return [*rows, ("self-test", "failed")]
    if in_use:
        exact = "soft thinking is exact; its speed can't be told while other programs run"
        return [*rows, ("self-test", exact)]
    pace = f"{model['soft_to_bare']:.2f} of bare decoding ({model['bare_steps_per_s']:g} tokens/s)"
    return [*rows, ("self-test", f"soft thinking is exact; a step has {pace}")]


def _kept(about: Mapping[str, Any]) -> str:
    from softchat.views.wording import plural

    size = about["bytes"]
    shown = shown_size(size) if size >= 1_000_000 else f"{size:,} bytes"
    if "files" in about:
        shown += " in " + plural(about["files"], "file")
    return f"{about['path']}: {shown}" + "".join(f", {name}" for name in about.get("models", ()))


def _listed(values: list[str] | None) -> str:
    if values is None:
        return "can't be told"
    return ", ".join(values) or "none"
