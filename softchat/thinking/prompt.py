"""Where a run begins: the prompt's tokens, and how the thinking behind them is closed."""

from __future__ import annotations

from dataclasses import dataclass

from softchat.base.arrays import Floats
from softchat.engine.protocol import Engine, Grammar
from softchat.settings import Settings

_ANSWER_SHARE = 4  # a fourth of the context is kept for the answer, if it may be that long


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Where a run begins: tokens up to the open thinking tag, and how that tag is closed."""

    tokens: tuple[int, ...]
    open: str = ""
    """The opening tag alone; strategies may mix it in."""
    close: str
    """The closing tag, by which the model's own closing is seen."""
    inject: str
    """What is put behind the thoughts if the model has not closed them: the tag, and space."""
    closing: str = ""
    """Words that are put before that, as ordinary text."""
    thinks: bool = True
    """Whether the tokens end in the open tag; if not, the answer comes at once."""
    question: str = ""
    """What the tokens ask, for people to read."""
    begun: bool = False
    """Whether the tokens end in an answer that is to go on: nothing is thought then."""
    whole: tuple[int, ...] = ()
    """All of its tokens, if the engine has some of them already; none if it isn't of tokens."""
    thought: tuple[int | Floats, ...] = ()
    """Of a fork, what the steps before it have fed, but for what the engine has already."""
    grammar: Grammar | None = None
    """What the answer must be; None: anything."""
    half: bytes = b""
    """The beginning of a character that this answer was cut in; the tokens hold it already."""

    @property
    def tags(self) -> tuple[str, str]:
        """The tags of the thinking, the closing one first: they are no part of an answer."""
        return self.close.strip(), self.open.strip()


def reserved(engine: Engine, prompt: Prompt, settings: Settings) -> int:
    """Positions of the context that a run keeps free: for the closing tag and the answer."""
    # One position more: the token that closes the thinking may come at the last moment.
    closing = len(closing_tokens(engine, prompt)) + 1
    return closing + min(settings.max_answer, engine.info.n_ctx // _ANSWER_SHARE)


def closing_tokens(engine: Engine, prompt: Prompt) -> list[int]:
    """What softchat puts behind thoughts that the model has not closed."""
    return [*engine.tokenize(prompt.closing), *engine.tokenize(prompt.inject, special=True)]
