"""SwiReasoning (arXiv 2510.05069): soft while the model is unsure, hard while it is surer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from softchat.events import HaltReason
from softchat.settings import Settings
from softchat.thinking.concept import Concept, Distribution
from softchat.thinking.strategies.choice import Choice, Strategy, TagTokens, keep, soft, weighted
from softchat.thinking.strategies.hard import Hard

OPENING = "The final answer is"


class Switching(Strategy):
    """Blocks of soft and hard steps, begun and ended by how the entropy H moves.

    It starts soft. Each block has a reference: H at its first step.

        soft to hard    H < reference
        hard to soft    H > reference, and the block is `switch_window` steps old

    The step of a switch is a mixture in either direction, into which the thinking tag is blended:
    s = a s + (1 - a) E[<think>] when it turns soft, s = b s + (1 - b) E[</think>] when it turns
    hard; a and b rise from their settings to 1 over `max_think` steps. After so many turns to hard
    the thinking can be ended, with or without the first words of the answer.
    """

    def __init__(self, settings: Settings, rng: np.random.Generator, tags: TagTokens) -> None:
        self._settings, self._tags = settings, tags
        self._hard = Hard(settings, rng)
        self._soft = True
        self._reference = float("inf")  # H at the first step of this block
        self._age = 0  # steps since then
        self._step = -1
        self._turns = 0  # to hard
        self._halt: HaltReason | None = None

    def choose(self, p: Distribution, entropy: float) -> Choice:
        """A step of this block, or the first of another one."""
        self._step += 1
        if self._halt is not None:
            opening = OPENING if self._halt is HaltReason.TERMINATED else ""
            choice = soft(keep(p, self._settings), f"{self._turns} turns to hard")
            return replace(choice, halt=self._halt, opening=opening)
        turned = self._turn(entropy)
        if turned:
            kept = keep(p, self._settings)
            return replace(soft(self._blended(kept), turned), token=kept.argmax)
        return soft(keep(p, self._settings)) if self._soft else self._hard.choose(p, entropy)

    def follow(self, token: int, entropy: float) -> None:
        """As `Strategy`: the blocks are a matter of the entropies alone."""
        self._step += 1
        if self._halt is None:
            self._turn(entropy)

    def _turn(self, entropy: float) -> str:
        """Begin another block if it is time, and say why; empty if it is not."""
        settings, before = self._settings, self._reference
        self._age += 1
        if self._step == 0:
            self._reference = entropy
            return ""
        if self._soft and entropy < before:
            why = f"to hard: H {entropy:.2f} < {before:.2f}"
            self._turns += 1
            # The stronger of the two first.
            if 0 < settings.switch_terminate <= self._turns:
                self._halt = HaltReason.TERMINATED
            elif 0 < settings.switch_converge <= self._turns:
                self._halt = HaltReason.CONVERGED
        elif not self._soft and entropy > before and self._age >= settings.switch_window:
            why = f"to soft: H {entropy:.2f} > {before:.2f}"
        else:
            return ""
        self._soft = not self._soft
        self._reference, self._age = entropy, 0
        return why

    def _blended(self, concept: Concept) -> Concept:
        """The concept at a turn, with the tag in it: one of several tokens as their mean."""
        settings = self._settings
        first = settings.switch_alpha if self._soft else settings.switch_beta
        tag = self._tags.open if self._soft else self._tags.close
        if not tag or settings.temperature == 0:  # 0 is greedy decoding, to the bit
            return concept
        # Less and less of the tag: what is begun late is not pulled either way.
        share = first + (1 - first) * self._step / settings.max_think
        weights = dict(zip(concept.ids.tolist(), (share * concept.weights).tolist(), strict=True))
        for token in tag:
            weights[token] = weights.get(token, 0.0) + (1 - share) / len(tag)
        return weighted(np.array(list(weights), np.intp), np.array(list(weights.values())))
