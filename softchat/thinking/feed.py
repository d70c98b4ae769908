"""What a step decided, fed to the model: the mixture of embeddings, or one token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from softchat.base.arrays import Floats
from softchat.engine.protocol import Engine
from softchat.events import Mode, Step
from softchat.thinking.concept import Concept, mixture
from softchat.thinking.sampling import Draws
from softchat.thinking.strategies import Choice

_SAMPLE = 512  # rows that stand for all of them where their size is asked for


class Feed:
    """Decodes what steps have chosen.

    Args:
        engine: what it is decoded on.
        draws: where noise comes from.

    """

    def __init__(self, engine: Engine, draws: Draws) -> None:
        self._engine, self._draws = engine, draws
        self._rms = 0.0  # of the rows' entries; not asked for yet

    def __call__(self, choice: Choice, index: int) -> Floats:
        """Feed what a step has chosen; the logits behind it, (V,)."""
        return decode_item(self._engine, self.item(choice, index))

    def item(self, choice: Choice, index: int) -> int | Floats:
        """What is fed: s = Σ w_j E[v_j], or the token itself."""
        if choice.mode is Mode.HARD:
            return choice.token
        soft = mixture(choice.concept.weights, self._engine.embedding_rows(choice.concept.ids))
        if choice.noise:
            self._rms = self._rms or _rms(self._engine)
            sigma = np.float32(choice.noise * self._rms)
            rng = self._draws.at_step(index)
            soft = soft + sigma * rng.standard_normal(len(soft), np.float32)
        return soft


def decode_item(engine: Engine, item: int | Floats) -> Floats:
    """Append what was fed; the logits behind it, (V,)."""
    return engine.decode_tokens([item]) if isinstance(item, int) else engine.decode_embedding(item)


def fed_by(engine: Engine, steps: Iterable[Step]) -> Iterator[int | Floats]:
    """What these steps have fed, to the bit."""
    feeds: dict[int, Feed] = {}  # by seed
    for step in steps:
        seed = step.noise.seed if step.noise else 0
        feed = feeds.get(seed) or feeds.setdefault(seed, Feed(engine, Draws(seed)))
        yield feed.item(chosen_in(step), step.index)


def chosen_in(step: Step) -> Choice:
    """What was chosen in a step that was told."""
    ids = np.array([entry.id for entry in step.concept], np.intp)
    weights = np.array([entry.weight for entry in step.concept], np.float32)
    return Choice(
        concept=Concept(ids=ids, weights=weights),
        mode=step.mode,
        token=int(ids[0]) if step.token is None else step.token,
        noise=step.noise.sigma if step.noise else 0.0,
    )


def _rms(engine: Engine) -> float:
    """The root mean square of the entries of embedding rows, of a sample of the vocabulary."""
    size = engine.info.n_vocab
    ids = np.unique(np.linspace(0, size - 1, min(size, _SAMPLE)).astype(np.intp))
    return float(np.sqrt(np.mean(np.square(engine.embedding_rows(ids)))))
