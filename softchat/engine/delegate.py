"""What an engine knows of its model, passed on by those that decode on top of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from softchat.base.arrays import Floats, Ids
from softchat.engine.protocol import Engine, Grammar
from softchat.events import ModelInfo


class Delegate:
    """The half of an `Engine` that is the same for every sequence of its model."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def info(self) -> ModelInfo:
        """As the engine's."""
        return self._engine.info

    @property
    def scale(self) -> float:
        """As the engine's."""
        return self._engine.scale

    @property
    def adds_bos(self) -> int | None:
        """As the engine's."""
        return self._engine.adds_bos

    @property
    def chat_template(self) -> str | None:
        """As the engine's."""
        return self._engine.chat_template

    def special_text(self, which: Literal["bos", "eos"]) -> str:
        """As the engine's."""
        return self._engine.special_text(which)

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """As the engine's."""
        return self._engine.tokenize(text, special=special)

    def piece(self, token: int, *, special: bool = True) -> bytes:
        """As the engine's."""
        return self._engine.piece(token, special=special)

    def is_special(self, token: int) -> bool:
        """As the engine's."""
        return self._engine.is_special(token)

    def is_end(self, token: int) -> bool:
        """As the engine's."""
        return self._engine.is_end(token)

    def grammar(self, text: str) -> Grammar:
        """As the engine's."""
        return self._engine.grammar(text)

    def embedding_rows(self, ids: Sequence[int] | Ids) -> Floats:
        """As the engine's."""
        return self._engine.embedding_rows(ids)
