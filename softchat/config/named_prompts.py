"""Prompts that have a name in config.toml: a text with $variables, and what is set with it."""

from __future__ import annotations

import difflib
import re
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from softchat.base.text import one_line
from softchat.config.layers import Source
from softchat.errors import UsageError

ASKED = "input"  # the variable that stands for what is asked
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPrompt:
    """A prompt of config.toml."""

    name: str
    text: str = ""
    """With $variables, $input being what is asked; empty: what is asked stays as it is."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Of its variables."""
    chosen: Source
    """Model, system prompt and settings."""

    @property
    def variables(self) -> list[str]:
        """What must be given besides what is asked, if it has no default."""
        return [name for name in _variables(self.text) if name != ASKED]

    @property
    def model(self) -> str | None:
        """The model that it is for."""
        model = self.chosen.values.get("model")
        return model if isinstance(model, str) else None

    def filler(self, pairs: Iterable[str] | None) -> Callable[[str], str]:
        """What makes a question of what is asked, with these NAME=VALUE.

        Raises:
            UsageError: one is no such pair, or gives a value to what has one already.

        """
        given = _values(pairs or ())
        if given and not self.name:
            raise UsageError("-p gives a value to a prompt that has a name", hint="-t NAME")
        return lambda asked: self.fill(asked, given)

    def fill(self, asked: str, given: Mapping[str, str]) -> str:
        """The question: what is asked in its place, or behind the text if it has no $input.

        Raises:
            UsageError: a variable lacks its value, or there is none of such a name.

        """
        if ASKED in given:
            raise UsageError(
                f"${ASKED} is what is asked", hint="behind it, with -f FILE, or through a pipe"
            )
        unknown = sorted(given.keys() - {*self.variables})
        if unknown:
            has = ", ".join(f"${name}" for name in self.variables) or "none"
            raise UsageError(f"prompt '{self.name}' has no ${unknown[0]}", hint=f"it has: {has}")
        values = {**self.defaults, **given, ASKED: asked}
        missing = [name for name in self.variables if name not in values]
        if missing:
            hint = f"-p {missing[0]}=VALUE"
            raise UsageError(f"prompt '{self.name}' needs ${missing[0]}", hint=hint)
        if ASKED in _variables(self.text) and not asked.strip():
            raise UsageError(
                f"prompt '{self.name}' needs something to be asked about",
                hint="behind it, with -f FILE, or through a pipe",
            )
        text = string.Template(self.text).substitute(values)
        behind = "" if ASKED in _variables(self.text) else asked
        return "\n\n".join(part for part in (text.strip(), behind) if part)


def _values(pairs: Iterable[str]) -> dict[str, str]:
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not _VARIABLE.fullmatch(name):
            shown = one_line(pair)
            raise UsageError(f"'{shown}' is no NAME=VALUE", hint="-p lang=German")
        if name in values:
            raise UsageError(f"-p gives ${name} two values", hint=f"-p {name}=VALUE once")
        values[name] = value
    return values


def is_well_formed(text: str) -> bool:
    """Whether each $ in a text begins a variable, or is doubled."""
    return string.Template(text).is_valid()


def find_prompt(prompts: Mapping[str, NamedPrompt], name: str | None) -> NamedPrompt:
    """The prompt of this name; of none, one that changes nothing. Raises UsageError."""
    if name is None:
        return NamedPrompt(name="", chosen=Source(values={}, origin=str))
    if name in prompts:
        return prompts[name]
    near = difflib.get_close_matches(name, prompts, n=1)
    hint = f"did you mean '{near[0]}'?" if near else "softchat prompts lists those of config.toml"
    raise UsageError(f"no prompt '{one_line(name)}'", hint=hint)


def _variables(text: str) -> list[str]:
    return string.Template(text).get_identifiers()
