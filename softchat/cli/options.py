"""The flags that commands share, in groups, each flag declared once.

A group is a frozen dataclass whose fields are flags. A command takes whole groups; `with_groups`
spreads their fields out for typer, which wants every flag in a signature.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, make_dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Self, get_type_hints

import typer

from softchat.cli.completion import model_names
from softchat.cli.question import typed
from softchat.config.file import LOADING, OPTIONS, PLACES, SIZES, SWITCHES, from_file
from softchat.config.layers import Layers, Source
from softchat.engine.placement import CACHE_TYPES, FLASH_ATTENTION, Placement
from softchat.errors import UsageError
from softchat.settings import KNOBS, Settings, choices, is_text, parse


def flag(*names: str, **more: Any) -> Any:  # noqa: ANN401  # typer's own type for it
    """An option that has a variable too: --top-k is SOFTCHAT_TOP_K."""
    return typer.Option(
        *names, envvar=variable(names[0]), show_envvar=False, show_default=False, **more
    )


def _in_lines(
    context: typer.Context, param: typer.CallbackParam, value: list[str] | None
) -> list[str] | None:
    """What a flag that can stand several times is given; its variable has one in each line.

    click would part it at blanks, which names of files have.
    """
    source = context.get_parameter_source(str(param.name))
    if value and source and source.name == "ENVIRONMENT":
        return os.environ[str(param.envvar)].splitlines()
    return value


def flag_of(name: str) -> str:
    """How the flag of a setting or an option is written."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """The variable that gives a flag: --top-k is SOFTCHAT_TOP_K."""
    return "SOFTCHAT_" + name.partition("/")[0].lstrip("-").replace("-", "_").upper()


def option(name: str, *short: str, **more: Any) -> Any:  # noqa: ANN401  # typer's own type for it
    """The flag of an option that config.toml can give too."""
    names = flag_of(name)
    if name in SWITCHES:
        names += "/" + flag_of(f"no_{name}")
    low, high = SIZES.get(name, (None, None))
    return flag(names, *short, help=f"{OPTIONS[name]}.", min=low, max=high, **more)


def _knob(name: str) -> Any:  # noqa: ANN401  # typer's own type for it
    knob = KNOBS[name]
    kinds = {"float": "X", "int": "N", "str": "TEXT"}
    names = flag_of(name)
    if str(knob.type) == "bool":
        names += "/" + flag_of(f"no_{name}")
    return flag(
        names,
        help=f"{knob.metadata['help']}.",
        rich_help_panel=knob.metadata["group"] or None,
        metavar=kinds.get(str(knob.type)),
        min=knob.metadata["low"],
        max=knob.metadata["high"],
    )


def _several(name: str) -> Any:  # noqa: ANN401  # typer's own type for it
    return flag(
        "--" + name.replace("_", "-"),
        help=f"{KNOBS[name].metadata['help']}.",
        rich_help_panel=KNOBS[name].metadata["group"] or None,
        metavar="|".join(choices(name)) + ",…" if choices(name) else "X,…",
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


def given(context: typer.Context) -> Source:
    """The settings and options that flags or variables give, and which of the two it was."""
    values = {}
    variables = set()
    for name, value in context.params.items():
        source = context.get_parameter_source(name)
        if source is None or (name not in KNOBS and name not in OPTIONS):
            continue
        if source.name in ("COMMANDLINE", "ENVIRONMENT") and value is not None:
            said = from_file(value) if name == "system" else value
            if isinstance(said, str) and (name in KNOBS or name == "system"):
                said = typed(said, flag_of(name))
            values[name] = said
            variables |= {name} if source.name == "ENVIRONMENT" else set()
    return Source(
        values=values,
        origin=lambda name: variable(f"--{name}") if name in variables else flag_of(name),
    )


def flags_of(context: typer.Context) -> set[str]:
    """The names of the flags that stand on the command line itself."""
    return {
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    }


if TYPE_CHECKING:

    @dataclass(frozen=True, kw_only=True)
    class GridFlags:
        """A flag for every setting, that takes several values; None where it was not given."""
else:
    GridFlags = make_dataclass(
        "GridFlags",
        [
            (name, Annotated[str | None, _several(name)], None)
            for name in get_type_hints(Settings)
            if name in KNOBS
        ],
        frozen=True,
        kw_only=True,
    )


def grid_of(flags: GridFlags) -> dict[str, list[object]]:
    """The values by setting that flags or variables give, `0.01,0.05` being two.

    What is free text is taken as it was typed: a blank may be what is meant.

    Raises:
        UsageError: a setting can't have such a value.

    """
    return {
        name: [parse(name, value if is_text(name) else value.strip()) for value in text.split(",")]
        for name in KNOBS
        if (text := getattr(flags, name)) is not None
    }


Model = Annotated[
    str | None,
    flag(
        "--model",
        "-m",
        metavar="NAME|FILE",
        help="A name from models.toml, or a GGUF file.",
        autocompletion=model_names,
    ),
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
    ctx: Annotated[int, option("ctx", metavar="N")] = 0
    threads: Annotated[int, option("threads", metavar="N")] = 0
    gpu_layers: Annotated[str, option("gpu_layers", metavar="auto|all|N")] = "auto"
    device: Annotated[str, option("device", metavar="NAME,…")] = ""
    rpc: Annotated[str, option("rpc", metavar="HOST:PORT,…")] = ""
    cache_type: Annotated[str, option("cache_type", metavar="|".join(CACHE_TYPES))] = "f16"
    flash_attn: Annotated[str, option("flash_attn", metavar="|".join(FLASH_ATTENTION))] = "auto"
    lora: Annotated[
        list[str] | None,
        flag(
            "--lora",
            metavar="FILE[=SCALE]",
            callback=_in_lines,
            help="A LoRA adapter to apply, again for each one more; none: not the model's own.",
        ),
    ] = None

    def after(self, layers: Layers) -> Self:
        """With what config.toml says, where no flag or variable does.

        Raises:
            UsageError: a flag gives layers to devices, where there is to be none.

        """
        how = replace(self, **{name: layers.value(name, getattr(self, name)) for name in LOADING})
        where = how.placement
        if where.has_no_device:
            for name, wants in (("gpu_layers", where.gpu_layers), ("rpc", where.servers)):
                if wants and layers.origin(name) == flag_of(name):
                    hint = f"leave out {flag_of(name)}, or give another --device"
                    raise UsageError(f"{flag_of(name)} does nothing with device none", hint=hint)
        return how

    @property
    def placement(self) -> Placement:
        """Where it computes. Raises UsageError."""
        return Placement.of(**{name: getattr(self, name) for name in PLACES})


@dataclass(frozen=True, kw_only=True)
class TalkLoading(Loading):
    """The same, for those who talk with it."""

    prompt_cache: Annotated[bool, option("prompt_cache")] = True

    def after(self, layers: Layers) -> Self:
        """As `Loading.after`."""
        loading = super().after(layers)
        kept = layers.value("log", True) and layers.value("prompt_cache", self.prompt_cache)
        return replace(loading, prompt_cache=bool(kept))  # a prompt on disk is a trace of it too


System = Annotated[str | None, option("system", "-s", metavar="TEXT|@FILE")]
Log = Annotated[bool, option("log")]
Steps = Annotated[
    bool, typer.Option("--step", help="Think step by step: each step waits for a key.")
]


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
