"""What a run has come to so far, and when: all that its last event tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from softchat.events import ConceptEntry, Finished, FinishReason, Halted, HaltReason, Step

_NAMED = 3  # tokens of a concept token that an error names
_SHOWN = 20  # characters of an answer that it quotes


@dataclass(slots=True)
class Tally:
    """Counted by each part of a run as it happens, so that it is right wherever the run breaks off.

    Args:
        clock: seconds, from any origin.

    """

    clock: Callable[[], float]
    began: float = field(init=False)
    thinking: float = field(init=False)
    """When the thinking began."""
    thought: float = field(init=False)
    """When it ended. The closing tag that is put behind it is no part of it, nor of the answer."""
    answering: float = field(init=False)
    """When the answer began."""
    steps: int = 0
    concept: tuple[ConceptEntry, ...] = ()
    """Of the last step."""
    halted: bool = False
    answer: list[str] = field(default_factory=list)
    """The pieces of the answer."""
    answer_tokens: int = 0
    finish_reason: FinishReason = FinishReason.LENGTH

    def __post_init__(self) -> None:
        self.began = self.clock()
        self.begin(self.began)

    def begin(self, now: float) -> None:
        """The prompt is read: whatever comes next begins."""
        self.thinking = self.thought = self.answering = now

    def tell(self, step: Step) -> None:
        """Count a step that is told of."""
        self.steps = step.index + 1
        self.concept = step.concept

    def thought_s(self) -> float:
        """Seconds since the thinking began."""
        return self.clock() - self.thinking

    def interrupt(self) -> Halted | None:
        """The user has stopped the run; what that is to be told as, if it was still thinking."""
        self.finish_reason = FinishReason.INTERRUPTED
        if self.halted:
            return None
        self.thought = self.answering = self.clock()
        return Halted(reason=HaltReason.INTERRUPTED, steps=self.steps, injected="")

    def place(self) -> str:
        """Where the run is, in words."""
        if self.answer_tokens:
            said = "".join(self.answer)[-_SHOWN:]
            return f"behind token {self.answer_tokens} of the answer, {said!r}"
        if self.steps:
            named = [f"{one.piece!r} {one.weight:.2f}" for one in self.concept[:_NAMED]]
            return f"behind thinking step {self.steps - 1}, {', '.join(named)}"
        return "behind the prompt"

    def finished(self) -> Finished:
        """The last event."""
        now = self.clock()
        return Finished(
            finish_reason=self.finish_reason,
            answer="".join(self.answer),
            steps=self.steps,
            answer_tokens=self.answer_tokens,
            think_s=self.thought - self.thinking,
            answer_s=now - self.answering,
            total_s=now - self.began,
        )
