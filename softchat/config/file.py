"""config.toml, read and checked: what a user wants unless a flag, a variable or `/set` differs.

Knows nothing of what the values are used for. `docs/config.md` is the reference of the format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from softchat.config.layers import Source
from softchat.config.named_prompts import ASKED, NamedPrompt, is_well_formed
from softchat.engine.placement import LAYERS_SAY, Placement
from softchat.engine.threads import MOST_THREADS, refuse_many
from softchat.errors import UsageError
from softchat.settings import KNOBS

if TYPE_CHECKING:
    from softchat.models import Located
    from softchat.models.tables import Table

SIZES = {"ctx": (0, 2**24), "threads": (0, MOST_THREADS)}
"""Options of how a model is loaded that are numbers: the range of each."""
PLACES = ("gpu_layers", "device", "rpc", "cache_type", "flash_attn")
"""Options of where it computes and how its KV cache is kept; `Placement` knows their values."""
LOADING = (*SIZES, *PLACES)
"""How a model is loaded."""
SWITCHES = ("keep_thoughts", "log", "markdown", "panel", "prompt_cache")
"""Options that are on or off."""
OPTIONS = {
    "model": "The model that is used when none is named",
    "system": "The system prompt",
    "ctx": "Positions of context; 0: the model's own, bounded",
    "threads": "Threads; 0: one a core",
    "gpu_layers": "Layers on accelerators: auto (as many as fit), all, or a number",
    "device": "Devices that layers go to, as doctor names them; none: the processor alone",
    "rpc": "Servers on other machines that layers go to, each HOST:PORT",
    "cache_type": "How the KV cache is kept; q8_0 takes half of the memory, q4_0 a quarter",
    "flash_attn": "Attention by the fused kernel; a cache other than f16 needs it",
    "keep_thoughts": "Leave thoughts in the history, as soft tokens",
    "log": "Keep what is asked; --no-log: no trace of it stays",
    "markdown": "Render the answer as Markdown; by default on a terminal",
    "panel": "The live panel; by default where stderr is a terminal",
    "prompt_cache": "Keep long prompts that were read, for later runs to go on from; by default",
}
"""What can be set besides the settings of a run."""
_OF_A_MODEL = (*KNOBS, "system", *LOADING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What config.toml says, or an absent one."""

    values: Mapping[str, object] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """The values for single models, by what the file calls them."""
    prompts: Mapping[str, NamedPrompt] = field(default_factory=dict)
    """Those that have a name."""
    files: tuple[Path, ...] = field(default=(), compare=False)
    """config.toml, be it there or not, and the files that its system prompts name."""
    _top: Table | None = None

    @property
    def model(self) -> str | None:
        """The model that is used when none is named."""
        model = self.values.get("model")
        return model if isinstance(model, str) else None

    @property
    def source(self) -> Source:
        """What holds for every model."""
        return Source(values=self.values, origin=self._place)

    def suits(self, found: Located) -> list[Source]:
        """What suits this model, the weakest first: models.toml, this file, its part on it.

        Raises:
            UsageError: the file has two parts on it, under two of its names.

        """
        known = dict(found.defaults) | ({"system": found.system} if found.system else {})
        sources = [Source(values=known, origin=lambda _: "models.toml"), self.source]
        names = {found.name, *(found.entry.aliases if found.entry else ())}
        mine = [model for model in self.models if model in names]
        if len(mine) > 1 and self._top is not None:
            said = f"'{mine[0]}' and '{mine[1]}' are one model"
            raise self._top.table("models").error(mine[1], said, hint="one table for each")
        for model in mine:
            origin = partial(self._place, "models", model)
            sources.append(Source(values=self.models[model], origin=origin))
        return sources

    def _place(self, *keys: str) -> str:
        if self._top is None:
            return "config.toml"
        table = self._top
        for key in keys[:-1]:
            table = table.table(key)
        return f"config.toml:{table.line_of(keys[-1])}"


def load_config(environ: Mapping[str, str], *, warn: Callable[[str], None]) -> Config:
    """The user's config.toml; of one that can't be read, or is no TOML, `warn` is told.

    Raises:
        UsageError: it says something wrong; the error names the file and line.

    """
    from softchat.models.folders import config_file
    from softchat.models.tables import DamagedError, read_tables

    file = config_file(environ)
    if not _is_there(file):
        return Config(files=(file,))
    try:
        top = read_tables([file])
    except DamagedError as error:
        # A mistake is told to be mended; but a file that is damaged must not shut its user out.
        warn(f"{error.message}; going on without it")
        return Config(files=(file,))
    top.allow(*KNOBS, *OPTIONS, "models", "prompts")
    models, prompts = top.table("models"), top.table("prompts")
    return Config(
        values=_read_values(top),
        models={name: _read_model(models.table(name)) for name in models.values},
        prompts={name: _read_prompt(prompts, name) for name in prompts.values},
        files=(file, *_files_named(top.values, beside=file.parent)),
        _top=top,
    )


def _files_named(values: Mapping[str, object], *, beside: Path) -> list[Path]:
    """The files that system prompts name, in this table and in those inside it."""
    files = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            files += _files_named(value, beside=beside)
        elif name == "system" and (file := file_named(str(value), beside=beside)):
            files.append(file)
    return files


def _is_there(file: Path) -> bool:
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass  # it can't be read: that is told
    return True


def _read_model(table: Table) -> Mapping[str, object]:
    for name in table.values:
        if name in SWITCHES:
            hint = "it is for all models: it belongs above the first table"
            raise table.error(name, f"no key '{name}' here", hint=hint)
    table.allow(*_OF_A_MODEL)
    return _read_values(table)


def _read_prompt(prompts: Table, name: str) -> NamedPrompt:
    if isinstance(prompts.values[name], str):  # a text alone
        chosen = Source(values={}, origin=lambda _: f"prompt {name}")
        return NamedPrompt(name=name, text=_template(prompts, name), chosen=chosen)
    if not isinstance(prompts.values[name], Mapping):
        hint = "it must be a string in quotes, or a table"
        raise prompts.error(name, prompts.told(name), hint=hint)
    table = prompts.table(name)
    table.allow(*KNOBS, "model", "system", "prompt", "defaults")
    defaults = table.table("defaults")
    prompt = NamedPrompt(
        name=name,
        text=_template(table, "prompt") if "prompt" in table.values else "",
        defaults={one: defaults.text(one) for one in defaults.values},
        chosen=Source(values=_read_values(table), origin=lambda _: f"prompt {name}"),
    )
    for one in sorted(prompt.defaults.keys() - {*prompt.variables}):
        if one == ASKED:
            said = f"${ASKED} is what is asked, and has no default"
            raise defaults.error(one, said, hint="leave it out")
        has = ", ".join(f"${name}" for name in prompt.variables) or "none"
        raise defaults.error(
            one, f"the text has no ${one} to give a value to", hint=f"it has: {has}"
        )
    return prompt


def _template(table: Table, key: str) -> str:
    text = table.text(key)
    if not is_well_formed(text):
        raise table.error(key, f"{key} has a $ that begins no variable", hint="$$ is a $")
    return text


def _read_values(table: Table) -> Mapping[str, object]:
    values: dict[str, object] = {}
    for name, value in table.values.items():
        if name in KNOBS:
            values[name] = table.setting(name)
        elif name in SIZES:
            values[name] = table.whole(name, *SIZES[name])
        elif name in PLACES:
            values[name] = _placed(table, name, value)
        elif name in SWITCHES:
            values[name] = table.switch(name)
        elif name == "system":
            text = table.text(name)
            with table.told_at(name):
                values[name] = from_file(text, beside=table.file_of(name).parent)
        elif name in OPTIONS:
            values[name] = table.text(name)
    return values


def _placed(table: Table, name: str, value: object) -> str | int:
    if name == "gpu_layers" and (isinstance(value, bool) or not isinstance(value, str | int)):
        raise table.error(name, table.told(name), hint=LAYERS_SAY)
    if not isinstance(value, int):
        value = table.text(name)
    with table.told_at(name):
        return check_place(name, value)


def file_named(text: str | None, *, beside: Path | None = None) -> Path | None:
    """The file that a system prompt names behind an @; None: it is the text itself."""
    if not text or not text.startswith("@") or text == "@":
        return None
    from softchat.models.folders import expand

    return (beside or Path()) / expand(text[1:])


def from_file(text: str, *, beside: Path | None = None) -> str:
    """A system prompt; or, if it is the name of a file behind an @, what is in that.

    Args:
        text: what was typed.
        beside: the folder in which a file is looked for, if not in the current one.

    Raises:
        UsageError: there is no such file, or it holds no text.

    """
    if text == "@":
        raise UsageError("no file is named behind the @", hint="as a system prompt: @FILE")
    file = file_named(text, beside=beside)
    if file is None:
        return text
    from softchat.prompt.attached import read_file

    return read_file(file).text.strip()


def check_place(name: str, value: str | int) -> str | int:
    """The value of one of `PLACES`. Raises UsageError if it can't have it."""
    if name == "gpu_layers":
        Placement.of(gpu_layers=value)
    else:
        Placement.of(**{name: str(value)})
    return value


def read_loading(name: str, text: str) -> str | int:
    """The value of one of `LOADING` that somebody typed. Raises UsageError."""
    if name in PLACES:
        return check_place(name, text)
    low, high = SIZES[name]
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        hint = f"it must be a whole number from {low} to {high}"
        raise UsageError(f"{name} is '{text}'", hint=hint)
    if name == "threads":
        refuse_many(value)
    return value
