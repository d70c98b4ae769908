"""What the thinking loop needs of an engine. Knows nothing of how an engine does it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from softchat.base.text import legible
from softchat.errors import check_type
from softchat.events import ModelInfo

if TYPE_CHECKING:  # it takes 0.1 s to import, and some who name an engine never see an array
    from softchat.base.arrays import Floats, Ids

ANY_CONTEXT = 2**31 - 1  # positions: no bound but the model's
BATCH = 512  # tokens to a native call; one token more would abort the process
LONGEST_DEFAULT_CONTEXT = 8192  # unless the user asks for more: each position takes memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """A LoRA adapter that a model is loaded with.

    Raises:
        UsageError: the path is no `Path`, or the scale no number.

    """

    path: Path
    scale: float = 1.0
    """What its change of the weights is multiplied by."""

    def __post_init__(self) -> None:
        check_type("the path of a LoRA adapter", self.path, Path, "a pathlib.Path")
        check_type("the scale of a LoRA adapter", self.scale, int | float, "a number")

    def __str__(self) -> str:
        """As `--lora` takes it, with the file's name alone."""
        name = legible(self.path.name)
        return name if self.scale == 1.0 else f"{name}={self.scale:g}"


class Grammar(Protocol):
    """What can come next of a text that a grammar describes."""

    def allows(self, token: int) -> bool:
        """Whether this token can come next."""
        ...

    def mask(self, logits: Floats) -> Floats:
        """The logits, (V,), with -inf for all that can't. Raises DecodeError if nothing can."""
        ...

    def accept(self, token: int) -> None:
        """Say this token, which it `allows`."""
        ...


class Engine(Protocol):
    """A causal language model with one sequence that grows at its end.

    `decode_*` append to the sequence and return the logits of its last position: (V,) float32,
    read-only, and valid only until the next call.
    """

    @property
    def info(self) -> ModelInfo:
        """Name, architecture and sizes."""
        ...

    @property
    def scale(self) -> float:
        """What an embedding row is multiplied by to be the same input as its token."""
        ...

    @property
    def position(self) -> int:
        """How many positions the sequence has, which is the next one to be written."""
        ...

    @property
    def adds_bos(self) -> int | None:
        """The token that the model wants at the start of any text, or None."""
        ...

    @property
    def chat_template(self) -> str | None:
        """The chat template that the model's file carries (jinja), or None."""
        ...

    def special_text(self, which: Literal["bos", "eos"]) -> str:
        """The text of that special token, or an empty string."""
        ...

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """The text as tokens. `special`: markers such as `</s>` become the token they name."""
        ...

    def piece(self, token: int, *, special: bool = True) -> bytes:
        """The bytes that a token spells; they may be a part of a UTF-8 character.

        Markers such as `</s>` spell their name, or nothing if not `special`.
        """
        ...

    def is_special(self, token: int) -> bool:
        """Whether a token is a marker, such as `</s>`, or was added to the vocabulary by hand."""
        ...

    def is_end(self, token: int) -> bool:
        """Whether a token ends the text."""
        ...

    def grammar(self, text: str) -> Grammar:
        """The grammar (GBNF), at the beginning of a text. Raises UsageError if it is none."""
        ...

    def embedding_rows(self, ids: Sequence[int] | Ids) -> Floats:
        """Rows of the token-embedding matrix, (n, D), scaled as the model scales token input."""
        ...

    def decode_tokens(self, tokens: Sequence[int]) -> Floats:
        """Append tokens.

        Raises:
            ContextError: they don't fit.
            DecodeError: the model failed.
            DecodeAbortedError: the user stopped it; the sequence is rolled back to before.

        """
        ...

    def decode_embedding(self, embedding: Floats) -> Floats:
        """Append one position that holds this (D,) embedding. Raises as `decode_tokens` does."""
        ...

    def rollback(self, position: int) -> None:
        """Forget all from `position` on, and more where the memory can't be cut: see `position`."""
        ...


def close_engine(engine: Engine) -> None:
    """Free what an engine holds. The loop never does: whoever has opened it, when it is done with.

    One that holds nothing, as a fake one, need not be a context manager.
    """
    if isinstance(engine, AbstractContextManager):
        engine.__exit__(None, None, None)
