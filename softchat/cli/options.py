"""The flags that commands share, in groups, each flag declared once.

A group is a frozen dataclass whose fields are flags. A command takes whole groups; `with_groups`
spreads their fields out for typer, which wants every flag in a signature.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from softchat.settings import KNOBS, Settings


def flag(*names: str, **more: Any) -> Any:  # noqa: ANN401  # typer's own type for it
    """An option that has a variable too: --top-k is SOFTCHAT_TOP_K."""
    variable = "SOFTCHAT_" + names[0].partition("/")[0].lstrip("-").replace("-", "_").upper()
    return typer.Option(*names, envvar=variable, show_envvar=False, show_default=False, **more)


def _knob(name: str) -> Any:  # noqa: ANN401  # typer's own type for it
    knob = KNOBS[name]
    kinds = {"float": "X", "int": "N"}
    return flag(
        "--" + name.replace("_", "-"),
        help=f"{knob.metadata['help']}.",
        metavar=kinds.get(str(knob.type)),
        min=knob.metadata["low"],
        max=knob.metadata["high"],
    )


if TYPE_CHECKING:

    @dataclass(frozen=True, kw_only=True)
    class SettingFlags:
        """A flag for every setting; None where it was not given."""
else:
    SettingFlags = make_dataclass(
        "SettingFlags",
        [
            (name, Annotated[kind | None, _knob(name)], None)
            for name, kind in get_type_hints(Settings).items()
            if name in KNOBS
        ],
        frozen=True,
        kw_only=True,
    )


def given(flags: SettingFlags) -> dict[str, object]:
    """The settings that flags or variables give."""
    return {name: value for name in KNOBS if (value := getattr(flags, name)) is not None}


Model = Annotated[
    str | None,
    flag("--model", "-m", metavar="NAME|FILE", help="A name from models.toml, or a GGUF file."),
]


def _use_models_file(file: str | None) -> str | None:
    # The flag is another way to set the variable: whoever asks where models.toml is looks there.
    if file is not None:
        os.environ["SOFTCHAT_MODELS"] = file
    return file


ModelsFile = Annotated[
    str | None,
    typer.Option(
        "--models-file",
        metavar="FILE",
        envvar="SOFTCHAT_MODELS",
        show_envvar=False,
        callback=_use_models_file,
        help="Your models.toml, in place of the config folder's (SOFTCHAT_MODELS).",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Loading:
    """Which model is loaded, and how."""

    model: Model = None
    models_file: ModelsFile = None
    ctx: Annotated[
        int,
        flag(
            "--ctx",
            metavar="N",
            min=0,
            max=2**24,
            help="Positions of context; 0: the model's own, bounded.",
        ),
    ] = 0
    threads: Annotated[
        int, flag("--threads", metavar="N", min=0, max=1024, help="Threads; 0: one a core.")
    ] = 0
    gpu_layers: Annotated[
        int, flag("--gpu-layers", metavar="N", min=-1, help="Layers on the accelerator; -1: all.")
    ] = 0
    lora: Annotated[
        list[str] | None,
        flag(
            "--lora",
            metavar="FILE[=SCALE]",
            help="A LoRA adapter to apply, again for each one more; none: not the model's own.",
        ),
    ] = None


System = Annotated[str | None, flag("--system", metavar="TEXT", help="The system prompt.")]


def with_groups(command: Callable[..., int]) -> Callable[..., int]:
    """The command, with the fields of each group that it takes as flags in the group's place."""
    groups: dict[str, Any] = {}
    flags: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        group = parameter.annotation
        if not is_dataclass(group):
            flags.append(parameter)
            continue
        groups[parameter.name] = group
        hints = get_type_hints(group, include_extras=True)
        flags += [
            inspect.Parameter(
                field.name, parameter.kind, default=field.default, annotation=hints[field.name]
            )
            for field in fields(group)
        ]

    @functools.wraps(command)
    def called(**values: Any) -> int:  # noqa: ANN401  # whatever the flags are
        gathered = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        return command(**values, **gathered)

    called.__signature__ = inspect.Signature(flags)  # type: ignore[attr-defined]  # inspect reads it
    called.__annotations__ = {one.name: one.annotation for one in flags}
    return called
