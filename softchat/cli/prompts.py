"""`softchat prompts`: the prompts that config.toml has given a name."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from softchat.base.text import one_line, printable
from softchat.cli.completion import prompt_names

Template = Annotated[
    str | None,
    typer.Option(
        "--template", "-t", metavar="NAME", help="A prompt of config.toml; see 'softchat prompts'.",
        autocompletion=prompt_names,
    ),
]  # fmt: skip
Values = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", metavar="NAME=VALUE", help="A value for its $NAME."),
]


def prompts(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", autocompletion=prompt_names)
    ] = None,
) -> None:
    """List the prompts that have a name, or print one."""
    from softchat.cli.model import user_config
    from softchat.config.named_prompts import find_prompt
    from softchat.models.folders import config_file
    from softchat.views.wording import in_a_line

    known = user_config().prompts
    if name is not None:
        prompt = find_prompt(known, name)
        for key, value in prompt.chosen.values.items():
            typer.echo(printable(f"{key}: {value}"))
        typer.echo(printable(prompt.text))
        return
    if not known:
        place = one_line(str(config_file(os.environ)))
        typer.echo(f'none yet; {place}: [prompts] brief = "In one sentence: $input"', err=True)
    for prompt in known.values():
        shown = prompt.text or str(prompt.chosen.values.get("system", ""))
        needs = "".join(f" -p {one}=…" for one in prompt.variables if one not in prompt.defaults)
        head = one_line(f"{prompt.name:16}{needs}  ")
        typer.echo(head + in_a_line(shown, 80))
