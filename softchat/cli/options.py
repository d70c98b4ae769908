"""The flags that commands share, each declared once. Ranges and help come from the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from softchat.settings import KNOBS, StrategyName


def _option(*names: str, **more: Any) -> Any:  # noqa: ANN401  # typer's own type for it
    variable = "SOFTCHAT_" + names[0].partition("/")[0].lstrip("-").replace("-", "_").upper()
    return typer.Option(*names, envvar=variable, show_envvar=False, show_default=False, **more)


def _knob(name: str) -> Any:  # noqa: ANN401  # typer's own type for it
    knob = KNOBS[name]
    kinds = {"float": "X", "int": "N"}
    return _option(
        "--" + name.replace("_", "-"),
        help=f"{knob.metadata['help']}.",
        metavar=kinds.get(str(knob.type)),
        min=knob.metadata["low"],
        max=knob.metadata["high"],
    )


Strategy = Annotated[StrategyName | None, _knob("strategy")]
Tau = Annotated[float | None, _knob("tau")]
Patience = Annotated[int | None, _knob("patience")]
TopN = Annotated[int | None, _knob("topn")]
Temperature = Annotated[float | None, _knob("temperature")]
TopK = Annotated[int | None, _knob("top_k")]
TopP = Annotated[float | None, _knob("top_p")]
MinP = Annotated[float | None, _knob("min_p")]
MaxThink = Annotated[int | None, _knob("max_think")]
AnswerTemperature = Annotated[float | None, _knob("answer_temperature")]
AnswerTopK = Annotated[int | None, _knob("answer_top_k")]
AnswerTopP = Annotated[float | None, _knob("answer_top_p")]
AnswerMinP = Annotated[float | None, _knob("answer_min_p")]
MaxAnswer = Annotated[int | None, _knob("max_answer")]
Seed = Annotated[int | None, _knob("seed")]

Model = Annotated[
    str | None,
    _option("--model", "-m", metavar="NAME|FILE", help="A name from models.toml, or a GGUF file."),
]
System = Annotated[str | None, _option("--system", metavar="TEXT", help="The system prompt.")]
Context = Annotated[
    int,
    _option(
        "--ctx",
        metavar="N",
        min=0,
        max=2**24,
        help="Positions of context; 0: the model's own, bounded.",
    ),
]
Threads = Annotated[
    int, _option("--threads", metavar="N", min=0, max=1024, help="Threads; 0: one a core.")
]
GpuLayers = Annotated[
    int, _option("--gpu-layers", metavar="N", min=-1, help="Layers on the accelerator; -1: all.")
]
Json = Annotated[bool, _option("--json", help="Events as JSON lines on stdout.")]
Trace = Annotated[
    Path | None, _option("--trace", metavar="FILE", help="Write the events to a file too.")
]
Panel = Annotated[
    bool | None,
    _option("--panel/--no-panel", help="The live panel; by default where stderr is a terminal."),
]
Quiet = Annotated[bool, _option("--quiet", "-q", help="The answer only.")]
Verbose = Annotated[bool, _option("--verbose", "-v", help="Plain lines instead of the panel.")]


def given(context: typer.Context) -> dict[str, object]:
    """The settings that flags or variables give in this call of a command."""
    values = context.params
    return {name: values[name] for name in KNOBS if values.get(name) is not None}
