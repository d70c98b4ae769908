"""Drawing one token. Knows nothing of models."""

from __future__ import annotations

import numpy as np

from softchat.thinking.concept import Concept


def sample(concept: Concept, rng: np.random.Generator) -> int:
    """A token of the concept token, drawn by weight (inverse transform of one uniform number)."""
    if len(concept.ids) == 1:
        return concept.argmax
    cumulative = np.cumsum(concept.weights, dtype=np.float64)
    index = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
    return int(concept.ids[min(index, len(concept.ids) - 1)])
