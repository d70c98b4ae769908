"""What a step decided, fed to the model: the mixture of embeddings, or one token."""

from __future__ import annotations

import numpy as np

from softchat.engine.protocol import Engine
from softchat.events import Mode
from softchat.thinking.concept import Floats, mixture
from softchat.thinking.strategies import Choice

_SAMPLE = 512  # rows that stand for all of them where their size is asked for


class Feed:
    """Decodes choices on an engine; `rng` is where noise comes from."""

    def __init__(self, engine: Engine, rng: np.random.Generator) -> None:
        self._engine, self._rng = engine, rng
        self._rms = 0.0  # of the rows' entries; not asked for yet

    def __call__(self, choice: Choice) -> Floats:
        """Feed s = Σ w_j E[v_j], or the token itself; the logits behind it, (V,)."""
        if choice.mode is Mode.HARD:
            return self._engine.decode_tokens([choice.token])
        soft = mixture(choice.concept.weights, self._engine.embedding_rows(choice.concept.ids))
        if choice.noise:
            self._rms = self._rms or _rms(self._engine)
            sigma = np.float32(choice.noise * self._rms)
            soft = soft + sigma * self._rng.standard_normal(len(soft), np.float32)
        return self._engine.decode_embedding(soft)


def _rms(engine: Engine) -> float:
    """The root mean square of the entries of embedding rows, of a sample of the vocabulary."""
    size = engine.info.n_vocab
    ids = np.unique(np.linspace(0, size - 1, min(size, _SAMPLE)).astype(np.intp))
    return float(np.sqrt(np.mean(np.square(engine.embedding_rows(ids)))))
