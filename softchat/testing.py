"""A fake engine, for tests of the loop and of views, here and in whatever builds on softchat."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NoReturn

import numpy as np

from softchat.base.arrays import Floats, Ids
from softchat.errors import ContextError, DecodeAbortedError, UsageError
from softchat.events import ModelInfo


class FakeEngine:
    """An engine without a model: it says what a script tells it to.

    Args:
        vocabulary: the pieces, by token id; text is tokenized by longest match.
        script: what each decode answers, as probabilities by piece; the last one is repeated.
            What is not named has probability 0.
        end: pieces that end the text.
        special: pieces that are markers: text is read as one only where that is asked for.
        n_ctx: positions of context.
        abort_at: the number of the decode that is stopped half way, as if by the user.

    """

    def __init__(
        self,
        vocabulary: Sequence[str | bytes],
        script: Sequence[Mapping[str, float] | Mapping[bytes, float]],
        *,
        end: Sequence[str] = ("<end>",),
        special: Sequence[str] = (),
        n_ctx: int = 256,
        abort_at: int | None = None,
    ) -> None:
        self._pieces = [p if isinstance(p, bytes) else p.encode() for p in vocabulary]
        self._ids = {piece: i for i, piece in reversed(list(enumerate(self._pieces)))}
        self._script = list(script)
        self._end = {self._ids[piece.encode()] for piece in end}
        self._special = {self._ids[piece.encode()] for piece in special}
        self._all = _one_of(self._ids)
        self._plain = _one_of(p for p, token in self._ids.items() if token not in self._special)
        self._abort_at = abort_at
        self._decodes = 0
        # Row i is not a multiple of any other, and holds i: whoever mixes wrongly is found out.
        grid = np.arange(len(vocabulary), dtype=np.float32)[:, None]
        self.embeddings = np.hstack([grid, np.cos(grid), np.sin(grid * 2), np.ones_like(grid)])
        self.fed: list[int | Floats] = []
        """What was appended, in order: token ids, and embeddings as (D,) arrays."""
        self.info = ModelInfo(
            name="fake",
            path="",
            architecture="fake",
            n_vocab=len(vocabulary),
            n_embd=self.embeddings.shape[1],
            n_ctx=n_ctx,
        )
        self.scale = 1.0
        self.adds_bos: int | None = None
        self.chat_template: str | None = None

    def id(self, piece: str | bytes) -> int:
        """The token that spells this piece."""
        return self._ids[piece if isinstance(piece, bytes) else piece.encode()]

    @property
    def position(self) -> int:
        """How many positions the sequence has."""
        return len(self.fed)

    def special_text(self, which: Literal["bos", "eos"]) -> str:
        """A fake has no such tokens."""
        return ""

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """The text as tokens, each the longest piece that fits; ValueError where none does."""
        data, at, tokens = text.encode(), 0, []
        pattern = self._all if special else self._plain
        while at < len(data):
            piece = pattern.match(data, at)
            if piece is None:
                raise ValueError(f"no token for {data[at : at + 20]!r}")
            tokens.append(self._ids[piece[0]])
            at = piece.end()
        return tokens

    def piece(self, token: int, *, special: bool = True) -> bytes:
        """The bytes that the token spells."""
        return b"" if token in self._end and not special else self._pieces[token]

    def is_special(self, token: int) -> bool:
        """Whether the token is one of `special`."""
        return token in self._special

    def is_end(self, token: int) -> bool:
        """Whether the token ends the text."""
        return token in self._end

    def grammar(self, text: str) -> NoReturn:
        """A fake knows none."""
        raise UsageError("a fake engine has no grammars", hint="use a model")

    def embedding_rows(self, ids: Sequence[int] | Ids) -> Floats:
        """Rows of the fake's embedding matrix, (n, 4)."""
        return self.embeddings[np.asarray(ids, np.intp)]

    def decode_tokens(self, tokens: Sequence[int]) -> Floats:
        """Append tokens, answer as the script says."""
        return self._decode(list(tokens))

    def decode_embedding(self, embedding: Floats) -> Floats:
        """Append an embedding, answer as the script says."""
        if embedding.shape != (self.info.n_embd,):
            raise ValueError(f"an embedding is ({self.info.n_embd},), not {embedding.shape}")
        return self._decode([embedding.copy()])

    def rollback(self, position: int) -> None:
        """Forget all from `position` on."""
        del self.fed[position:]

    def _decode(self, items: Sequence[int | Floats]) -> Floats:
        if self.position + len(items) > self.info.n_ctx:
            raise ContextError(f"{len(items)} more don't fit")
        self._decodes += 1
        if self._decodes == self._abort_at:
            raise DecodeAbortedError("stopped")
        self.fed.extend(items)
        answer = self._script[min(self._decodes, len(self._script)) - 1]
        logits = np.full(self.info.n_vocab, -np.inf, np.float32)
        for piece, probability in answer.items():
            logits[self.id(piece)] = np.log(probability)
        return logits


def _one_of(pieces: Iterable[bytes]) -> re.Pattern[bytes]:
    """What matches the longest piece that there is at a place."""
    longest = sorted(filter(None, pieces), key=len, reverse=True)
    return re.compile(b"|".join(map(re.escape, longest)) or b"(?!)")
