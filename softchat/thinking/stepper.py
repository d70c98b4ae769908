"""What makes the steps of a run, and remembers them: a strategy, and what ends the thinking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from softchat.base.arrays import Floats
from softchat.engine.protocol import Engine
from softchat.events import Change, Noise, Step
from softchat.settings import Settings
from softchat.thinking.concept import Concept, Distribution
from softchat.thinking.feed import chosen_in
from softchat.thinking.halting import Ending, Halting
from softchat.thinking.halting.ahead import Verdict
from softchat.thinking.halting.steps import TagBegun
from softchat.thinking.sampling import Draws
from softchat.thinking.strategies import Choice, Strategy
from softchat.thinking.telling import concept_entries


@dataclass(frozen=True, slots=True)
class Made:
    """A step as it is told, and as it is fed."""

    step: Step
    choice: Choice


class Stepper:
    """Makes steps, one after the other.

    Args:
        engine: what the thinking is on; only its vocabulary is used here.
        settings: of the run.
        draws: where randomness comes from.
        close: the closing tag as tokens. Where it is several, they are fed as they are and not
            mixed, or the model would lose its way in the middle of it.
        make_strategy: anew; its randomness is `draws.generator`.
        make_halting: anew.

    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        draws: Draws,
        close: Sequence[int],
        make_strategy: Callable[[], Strategy],
        make_halting: Callable[[], Halting],
    ) -> None:
        self._engine, self._settings, self._draws = engine, settings, draws
        self._close = close
        self._make_strategy, self._make_halting = make_strategy, make_halting
        self._pieces: dict[int, str] = {}
        self.temperature = settings.temperature
        """Of the next step."""
        self.remember(())

    def remember(self, steps: Iterable[Step], seen: Verdict | None = None) -> list[bytes]:
        """Be as if these steps, and no others, had been made here; what their tokens spell.

        The temperature is that of the last of them.

        Args:
            steps: the first ones of the run.
            seen: what looks ahead had come to, behind them; None: that is not known any more.

        """
        self.temperature = self._settings.temperature
        self._strategy, self._halting = self._make_strategy(), self._make_halting()
        self._tag = TagBegun(self._close)
        pieces = []
        for step in steps:
            choice = self.take_up(step).choice
            pieces.append(piece := self._engine.piece(choice.token))
            self._halting.follow(piece)
        self._halting.recall(seen)
        return pieces

    @property
    def seen(self) -> Verdict | None:
        """What looks ahead have come to until now."""
        return self._halting.seen

    def _count(self, step: Step, choice: Choice) -> None:
        self._strategy.follow(choice.token, step.entropy)
        self._tag.update(choice.token)
        if step.change is not None and step.change.instead_of:
            self._halting.count_changed(choice)
        else:
            self._halting.count(choice, step.entropy)

    def take_up(self, step: Step) -> Made:
        """A step that was changed, as the next one."""
        return self.adopt(Made(step, chosen_in(step)))

    def adopt(self, made: Made) -> Made:
        """A step that was made before, as the next one; also the temperature goes back to its."""
        self._count(made.step, made.choice)
        told = made.step.change.temperature if made.step.change else None
        self.temperature = self._settings.temperature if told is None else told
        return made

    def make(self, logits: Floats, index: int, elapsed_s: Callable[[], float]) -> Made:
        """The next step, of the distribution that these logits, (V,), are."""
        p = Distribution(logits, self.temperature)
        entropy = p.entropy
        if self._strategy.draws:
            self._draws.at_step(index)
        choice = self._strategy.choose(p, entropy)
        if self._tag.update(choice.token):
            choice = replace(choice, concept=Concept.one_hot(choice.token), noise=0.0)
        self._halting.count(choice, entropy)
        concept = concept_entries(choice.concept, self._engine, self._pieces)
        warmed = self.temperature != self._settings.temperature
        step = Step(
            index=index,
            entropy=entropy,
            concept=concept,
            below=self._halting.below,
            mode=choice.mode,
            elapsed_s=elapsed_s(),
            why=choice.why,
            token=None if choice.token == concept[0].id else choice.token,
            noise=Noise(sigma=choice.noise, seed=self._draws.seed) if choice.noise else None,
            change=Change(temperature=self.temperature) if warmed else None,
        )
        return Made(step, choice)

    def ending(self, choice: Choice) -> Ending | None:
        """How the thinking ends with the step that was made last; None: it goes on."""
        return self._halting.ending(choice)
