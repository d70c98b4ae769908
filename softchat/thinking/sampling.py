"""Random draws that depend on the seed and the place alone. Knows nothing of models."""

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


class Draws:
    """A generator for each place of a run, so that a run can be gone on with from any of them.

    Args:
        seed: of the run.

    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._bits = np.random.Philox(key=seed)
        self._state = self._bits.state
        self.generator = np.random.Generator(self._bits)
        """Stands where `at_step` or `at_answer` was called last."""

    def at_step(self, index: int) -> np.random.Generator:
        """The generator, at the beginning of what this step draws."""
        return self._at(index + 1)

    def at_answer(self) -> np.random.Generator:
        """The generator, at the beginning of what the answer draws."""
        return self._at(0)

    def _at(self, place: int) -> np.random.Generator:
        # The highest word of the counter: what one place draws never comes near the next one's.
        self._state["state"]["counter"][3] = place
        self._bits.state = self._state
        return self.generator
