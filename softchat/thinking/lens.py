"""The lens: what the model would answer now, told while it thinks. Changes nothing of the thinking.

Knows a probe, and where to look; nothing of strategies, halting or views.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from softchat.events import Lens
from softchat.settings import Settings
from softchat.thinking.halting.ahead import AtText, EverySteps, Trigger
from softchat.thinking.probe import Probe


class LookAhead:
    """Looks at the answer to come, at each line's end or every so many steps.

    Args:
        settings: of the run.
        probe: looks, and counts what that costs.
        text_of: what tokens are as an answer.
        elapsed: seconds since the thinking began.

    """

    def __init__(
        self,
        settings: Settings,
        probe: Probe,
        *,
        text_of: Callable[[Sequence[int]], str],
        elapsed: Callable[[], float],
    ) -> None:
        self._every = settings.lens_every
        self._trigger = self._new_trigger()
        self._longest, self._probe = settings.lens_tokens, probe
        self._text_of, self._elapsed = text_of, elapsed

    def update(self, index: int, piece: bytes) -> Lens | None:
        """Add what the token of a step spells, before it is fed; what is seen, if it is time.

        Nothing either where the context has no room to look.

        Raises:
            DecodeError: the model failed.

        """
        if not self._trigger.update(piece):
            return None
        with self._probe.answer(self._longest) as answer:
            seen = [*answer]
        if not seen:
            return None
        return Lens(
            index=index,
            text=self._text_of([guess.token for guess in seen if not guess.is_end]),
            entropy=max(guess.entropy for guess in seen),
            whole=seen[-1].is_end,
            elapsed_s=self._elapsed(),
        )

    def remember(self, pieces: Iterable[bytes]) -> None:
        """Be as if steps whose tokens spell this, and no others, had been made here."""
        self._trigger = self._new_trigger()
        for piece in pieces:
            self._trigger.update(piece)

    def _new_trigger(self) -> Trigger:
        return EverySteps(self._every) if self._every else AtText("\n")
