"""Halting: where the thinking ends, for every reason there is, in the order in which they count.

The rules themselves: `steps` has those that read the steps, `ahead` those that look ahead.
"""

from __future__ import annotations

from dataclasses import dataclass

from softchat.engine.protocol import Engine
from softchat.events import HaltReason
from softchat.settings import Settings
from softchat.thinking.halting.ahead import Rule, Verdict
from softchat.thinking.halting.steps import ClosingTag, ColdStop, Drift, Loop
from softchat.thinking.strategies import Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why the thinking ends, and what stands between it and the answer."""

    reason: HaltReason
    tokens: tuple[int, ...] = ()
    """What is decoded behind the thoughts: the model's own closing token, or what is injected."""
    injected: str = ""
    """The text of that, if softchat has put it there."""
    lead: bytes = b""
    """What the model's own token spelled behind the closing tag."""
    opening: str = ""
    """The answer's first words, if a strategy gives them."""
    spelled: int | None = None
    """How many of the last steps spelled it, if the model has."""


class Halting:
    """Whether the thinking ends with a step.

    Args:
        engine: what the thinking is on.
        settings: of the run.
        close: the closing tag.
        rule: looks ahead at the answer; None: nobody does.
        reserved: positions that are kept free for the answer.

    """

    def __init__(
        self, engine: Engine, settings: Settings, *, close: str, rule: Rule | None, reserved: int
    ) -> None:
        self._engine, self._rule, self._reserved = engine, rule, reserved
        self._cold = ColdStop(tau=settings.tau, patience=settings.patience)
        self._loop = Loop(steps=settings.loop_steps)
        self._drift = Drift(entropy=settings.drift_entropy, steps=settings.drift_steps)
        self._closing = ClosingTag(close)
        self._counted: HaltReason | None = None

    @property
    def below(self) -> int:
        """Cold steps in a row up to now."""
        return self._cold.below

    def count(self, choice: Choice, entropy: float) -> None:
        """Count a step in, before it is told of: `below` is among what is told."""
        ends = {
            HaltReason.COLD_STOP: self._cold.update(entropy),
            HaltReason.LOOP: self._loop.update(choice.token),
            HaltReason.DRIFT: self._drift.update(entropy, mixed=len(choice.concept.ids) > 1),
        }
        self._counted = next((reason for reason, is_over in ends.items() if is_over), None)

    def count_changed(self, choice: Choice) -> None:
        """Count a step in that its user has changed: it is to be fed, so nothing ends by it."""
        self._cold.below = 0
        self._loop.update(choice.token)
        self._drift.update(0.0, mixed=False)
        self._counted = None

    def follow(self, piece: bytes) -> None:
        """Remember what the step that was counted last spells: it was fed, so nothing ended."""
        self._closing.update(piece)
        if self._rule is not None:
            self._rule.follow(piece)

    @property
    def seen(self) -> Verdict | None:
        """What its looks ahead have come to; no step tells of that."""
        return self._rule.seen if self._rule is not None else None

    def recall(self, seen: Verdict | None) -> None:
        """Have seen this ahead, and nothing else."""
        if self._rule is not None and seen is not None:
            self._rule.recall(seen)

    def ending(self, choice: Choice) -> Ending | None:
        """How the thinking ends with the step that was counted last; None: it goes on.

        What is injected, if the model has not closed its thoughts itself, is not said yet.

        Raises:
            DecodeError: the model failed in a look ahead.

        """
        engine, token = self._engine, choice.token
        if self._closing.update(engine.piece(token)):
            return Ending(
                reason=HaltReason.CLOSED,
                tokens=(token,),
                lead=self._closing.rest,
                spelled=self._closing.tokens,
            )
        if engine.is_end(token):
            return Ending(reason=HaltReason.END_OF_TEXT, spelled=1)
        if choice.halt is not None:
            return Ending(reason=choice.halt, opening=choice.opening)
        if self._counted is not None:
            return Ending(reason=self._counted)
        if engine.position + 1 + self._reserved > engine.info.n_ctx:
            return Ending(reason=HaltReason.CONTEXT_FULL)
        if self._rule is not None and self._rule.update(engine.piece(token)):
            return Ending(reason=self._rule.reason)
        return None
