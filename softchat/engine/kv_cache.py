"""The KV cache and what each of its positions holds, so that only what differs is decoded again.

Knows nothing of questions or templates. A position holds a token or, for a soft thought, the
embedding that was fed there: so what was thought can be put back exactly as it was.

Of the last texts that were read at once the logits are kept: a text that is wanted once more goes
on from the very same ones. To decode its last token alone would not give them to the last bit, as
llama.cpp sums long batches in another order (its attention, blocks of 64 positions).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from softchat.base.arrays import Floats
from softchat.engine.delegate import Delegate
from softchat.engine.protocol import BATCH, Engine
from softchat.errors import DecodeError

Item = int | Floats
_ENDS = 4
"""Of how many texts the logits are kept."""


class CachedSequence(Delegate):
    """An engine's one sequence, with its contents. An `Engine` itself."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        engine.rollback(0)
        self._items: list[Item] = []
        self.undecoded: tuple[int, ...] = ()
        """The tokens whose decoding was stopped last; none once others were decoded."""
        self._batched = 0
        self._ends: dict[int, Floats] = {}  # logits (V,) behind so many positions
        self._again: Floats | None = None  # those of the last position, which is not counted then

    @property
    def items(self) -> tuple[Item, ...]:
        """What the positions hold, in order."""
        return tuple(self._items[: self.position])

    @property
    def ends(self) -> Mapping[int, Floats]:
        """Logits, (V,), of the last texts, by how many positions they are behind."""
        return MappingProxyType(self._ends)

    @property
    def batched(self) -> int:
        """How many positions were read as an empty memory reads them: in whole batches."""
        return min(self._batched, self.position)

    def rewind(self, wanted: Sequence[Item]) -> int:
        """Keep the longest beginning that `wanted` shares, one position less than `wanted` at most.

        At least one position is left to decode, as its logits are wanted; if they are known,
        decoding it gives them at once. Returns how many positions are kept: fewer of a model whose
        memory can't be cut there (recurrent ones).
        """
        shared = 0
        for mine, other in zip(self._items, wanted, strict=False):
            if not _same(mine, other):
                break
            shared += 1
        if shared == len(wanted) and shared in self._ends:
            self._cut(shared)
            self._again = self._ends.get(shared)
        else:
            self._cut(min(shared, max(0, len(wanted) - 1)))
        return self.position

    def replay(self, items: Sequence[Item]) -> Floats | None:
        """Append what was recorded: tokens in batches, embeddings one by one; the logits behind it.

        None of nothing.
        """
        tokens: list[int] = []
        logits = None
        for item in items:
            if isinstance(item, int):
                tokens.append(item)
                continue
            if tokens:
                self.decode_tokens(tokens)
            logits = self.decode_embedding(item)
            tokens = []
        return self.decode_tokens(tokens) if tokens else logits

    def logits_at(self, position: int) -> Floats:
        """Forget all from `position` on; the logits behind what is left."""
        wanted = self.items[:position]
        kept = self.rewind(wanted)
        logits = self.replay(wanted[kept:])
        if logits is None:
            raise ValueError("there are no logits before the first position")
        return logits

    def restore(
        self,
        tokens: Sequence[int],
        load: Callable[[], int],
        ends: Mapping[int, Floats] = MappingProxyType({}),
        batched: int = 0,
    ) -> None:
        """Hold these tokens without decoding them.

        Args:
            tokens: what the first positions of the restored memory hold.
            load: gives the engine that memory; how many positions it has. What lies behind
                `tokens` is forgotten. Whatever it raises leaves the sequence empty.
            ends: as `ends` of the sequence that held it.
            batched: as `batched` of it.

        """
        self._items, self._ends, self._again, self._batched = [], {}, None, 0
        try:
            positions = load()
        except BaseException:
            self._engine.rollback(0)
            raise
        self._items, self._ends, self._batched = list(tokens), dict(ends), batched
        self._cut(len(tokens) if positions > len(tokens) else positions)

    # -- what an engine does ---------------------------------------------------------------------

    @property
    def position(self) -> int:
        """How many positions the sequence has."""
        return self._engine.position - (self._again is not None)

    def decode_tokens(self, tokens: Sequence[int]) -> Floats:
        """As the engine's; remembered."""
        if self._again is not None and [*tokens] == self._items[-1:]:
            logits, self._again, self.undecoded = self._again, None, ()
            return logits
        self.settle()
        self._check_whole()
        self.undecoded = tuple(tokens)
        logits = self._engine.decode_tokens(tokens)
        self.undecoded = ()
        if self._batched == len(self._items) and not self._batched % BATCH:
            self._batched += len(tokens)
        self._items.extend(tokens)
        if len(tokens) > 1:  # of one alone they are the same each time
            self._ends[len(self._items)] = logits
            while len(self._ends) > _ENDS:
                del self._ends[next(iter(self._ends))]
        return logits

    def decode_embedding(self, embedding: Floats) -> Floats:
        """As the engine's; remembered."""
        self.settle()
        self._check_whole()
        logits = self._engine.decode_embedding(embedding)
        self._items.append(embedding)
        return logits

    def rollback(self, position: int) -> None:
        """Forget all from `position` on, and more where the memory can't be cut: see `position`."""
        if self._again is None or position < self.position:
            self._cut(position)

    def settle(self) -> None:
        """Hold no more positions than are counted."""
        if self._again is not None:
            self._cut(self.position)

    def _cut(self, position: int) -> None:
        self._again = None
        self._engine.rollback(position)
        held = self._engine.position
        del self._items[held:]
        self._batched = min(self._batched, held)
        self._ends = {end: logits for end, logits in self._ends.items() if end <= held}

    def _check_whole(self) -> None:
        """After a decode that was stopped, a memory that can't be cut holds less than before it."""
        if self._engine.position != len(self._items):
            raise DecodeError("the model's memory was lost in a stop", hint="ask again")


def _same(a: Item, b: Item) -> bool:
    if isinstance(a, int) or isinstance(b, int):
        return isinstance(a, int) and isinstance(b, int) and a == b
    return a is b or np.array_equal(a, b)
