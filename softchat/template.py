"""A question as the tokens that a model wants to see, up to the open thinking tag.

Knows an engine's vocabulary and chat template; decodes nothing. The template comes from the model's
file, so from a stranger: it runs in jinja2's immutable sandbox.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from typing import Any, NoReturn

from softchat.engine.protocol import Engine
from softchat.errors import ModelRefusedError
from softchat.tags import ThinkTags
from softchat.text import printable
from softchat.think import Prompt

# For a model without a template: plain words that any base model has seen.
_PLAIN = (
    "{% for m in messages %}{{ m.role | capitalize }}: {{ m.content }}\n\n{% endfor %}Assistant:"
)


Message = dict[str, str]  # "role" (system, user, assistant) and "content"


def make_prompt(
    engine: Engine, messages: Sequence[Message], *, tags: ThinkTags | None = None
) -> Prompt:
    """The prompt that has the model answer the last of these messages.

    Raises:
        ModelRefusedError: the model's chat template fails.

    """
    tags = tags or ThinkTags()
    text = make_text(engine, messages, tags)
    tokens = engine.tokenize(text, special=True)
    bos = engine.adds_bos
    if bos is not None and tokens[:1] != [bos]:
        tokens.insert(0, bos)
    return Prompt(
        tokens=tuple(tokens),
        close=tags.close,
        inject=tags.before_close + tags.close + tags.after_close,
    )


def make_text(engine: Engine, messages: Sequence[Message], tags: ThinkTags) -> str:
    """The messages in the model's chat template, up to the open thinking tag.

    Raises:
        ModelRefusedError: the template fails.

    """
    text = render(
        engine.chat_template or _PLAIN,
        messages,
        bos_token=engine.special_text("bos"),
        eos_token=engine.special_text("eos"),
    )
    return text if text.rstrip().endswith(tags.open.strip()) else text + tags.open


def single_turn(question: str, system: str = "") -> list[Message]:
    """The messages of a question without a history."""
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": question}]


def render(template: str, messages: Sequence[Message], **variables: object) -> str:
    """The messages in the words of a chat template, ready for the model to go on.

    Raises:
        ModelRefusedError: the template fails, or tries what the sandbox forbids.

    """
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    # What templates expect, as transformers' apply_chat_template provides it.
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(
        value, ensure_ascii=False, indent=indent
    )
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    try:
        return environment.from_string(template).render(
            messages=list(messages), add_generation_prompt=True, enable_thinking=True, **variables
        )
    except Exception as error:  # a stranger's program can raise anything
        raise ModelRefusedError(
            f"the model's chat template fails: {printable(str(error), newlines=False)}",
            hint="the file is damaged, or the template does not allow this (a system prompt?)",
        ) from error


def _raise(message: Any) -> NoReturn:  # noqa: ANN401  # whatever the template hands over
    import jinja2

    raise jinja2.TemplateError(str(message))
