"""The loop: prompt, prefill, think, halt, answer. Yields events; knows no model, file or terminal.

`think` is the whole run. `_Run.think_steps` is soft thinking itself: each step looks at the model's
next-token distribution p, makes a concept token of it, and feeds the concept token's embedding back
as the next input, until something says that the thinking is over.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from softchat.engine.detokenizer import Detokenizer
from softchat.engine.protocol import Engine
from softchat.errors import ContextError, DecodeAbortedError
from softchat.events import (
    Answer,
    ConceptEntry,
    Event,
    Finished,
    FinishReason,
    Halted,
    HaltReason,
    Mode,
    Prefill,
    Started,
    Step,
)
from softchat.settings import Settings
from softchat.thinking.answering import AnswerText, RepeatPenalty, stop_strings
from softchat.thinking.concept import Concept, Distribution, mixture
from softchat.thinking.halting import ClosingTag, ColdStop, Drift, Loop
from softchat.thinking.probe import Probe
from softchat.thinking.rules import make_rule
from softchat.thinking.sampling import sample
from softchat.thinking.strategies import Choice, TagTokens, make_strategy

_SAMPLE = 512  # rows that stand for all of them where their size is asked for
_ANSWER_SHARE = 4  # a fourth of the context is kept for the answer, if it may be that long


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Where a run begins: tokens up to the open thinking tag, and how that tag is closed."""

    tokens: tuple[int, ...]
    open: str = ""
    """The opening tag alone; strategies may mix it in."""
    close: str
    """The closing tag, by which the model's own closing is seen."""
    inject: str
    """What is put behind the thoughts if the model has not closed them: the tag, and space."""
    question: str = ""
    """What the tokens ask, for people to read."""
    begun: bool = False
    """Whether the tokens end in an answer that is to go on: nothing is thought then."""


def think(
    engine: Engine,
    prompt: Prompt,
    settings: Settings,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Event]:
    """Think about the prompt in concept tokens, then answer it.

    Args:
        engine: appended to from where it is; what it holds stays.
        cancelled: asked before each step; True ends the run as interrupted.
        clock: seconds, from any origin.

    Raises:
        ContextError: the prompt leaves no room to think and answer.
        DecodeError: the model failed.

    """
    run = _Run(engine, prompt, settings, cancelled, clock)
    yield run.started()
    try:
        yield run.prefill()
        if not prompt.begun:
            yield from run.think_steps()
        yield from run.answer()
    except DecodeAbortedError:
        yield from run.interrupted()
    yield run.finished()


def reserved(engine: Engine, prompt: Prompt, settings: Settings) -> int:
    """Positions of the context that a run keeps free: for the closing tag and the answer."""
    # One position more: the token that closes the thinking may come at the last moment.
    closing = len(engine.tokenize(prompt.inject, special=True)) + 1
    return closing + min(settings.max_answer, engine.info.n_ctx // _ANSWER_SHARE)


class _Run:
    """One run: what its parts share, and what is known of it when it ends."""

    def __init__(
        self,
        engine: Engine,
        prompt: Prompt,
        settings: Settings,
        cancelled: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._engine, self._prompt, self._settings = engine, prompt, settings
        self._cancelled, self._clock = cancelled, clock
        self._rng = np.random.default_rng(settings.seed)
        self._inject = engine.tokenize(prompt.inject, special=True)
        self._kept = reserved(engine, prompt, settings)
        cue = engine.tokenize(settings.halt_cue) if settings.halt_cue else []
        self._probe = Probe(engine, [*self._inject, *cue], clock=clock)
        self._began = self._thinking = self._answering = clock()
        self._steps = self._answer_tokens = 0
        self._halted = prompt.begun
        self._finish_reason = FinishReason.LENGTH
        self._lead = b""  # what the closing token spelled behind the tag
        self._opening = ""  # the answer's first words, if a strategy gives them
        self._answer: list[str] = []
        self._pieces: dict[int, str] = {}
        self._rms = 0.0  # of the rows' entries; not asked for yet

    def started(self) -> Started:
        return Started(
            model=self._engine.info,
            settings=self._settings.to_dict(),
            prompt_tokens=self._engine.position + len(self._prompt.tokens),
            question=self._prompt.question,
        )

    def prefill(self) -> Prefill:
        tokens, n_ctx = self._prompt.tokens, self._engine.info.n_ctx
        cached = self._engine.position
        if cached + len(tokens) + self._kept > n_ctx:
            raise ContextError(
                f"the prompt has {cached + len(tokens)} tokens; with room to answer, a context of "
                f"{n_ctx} holds {max(0, n_ctx - self._kept)}",
                hint="shorten it, or give more with --ctx",
            )
        began = self._clock()
        self._logits = self._engine.decode_tokens(tokens)
        self._thinking = self._answering = self._clock()
        return Prefill(tokens=len(tokens), cached=cached, elapsed_s=self._thinking - began)

    def think_steps(self) -> Iterator[Event]:
        """Soft thinking: a step an event, and `Halted` last."""
        settings, engine = self._settings, self._engine
        strategy = make_strategy(settings, self._rng, self._tags())
        cold = ColdStop(tau=settings.tau, patience=settings.patience)
        loop = Loop(steps=settings.loop_steps)
        drift = Drift(entropy=settings.drift_entropy, steps=settings.drift_steps)
        rule = make_rule(settings, self._probe, self._text_of)
        closing = ClosingTag(self._prompt.close)
        reason = HaltReason.STEP_LIMIT
        for index in range(settings.max_think):
            self._stop_if_cancelled()
            p = Distribution(self._logits, settings.temperature)
            entropy = p.entropy
            choice = strategy.choose(p, entropy)
            token = choice.token
            is_cold, is_loop = cold.update(entropy), loop.update(token)
            is_drift = drift.update(entropy, mixed=len(choice.concept.ids) > 1)
            self._steps = index + 1
            yield Step(
                index=index,
                entropy=entropy,
                concept=self._entries(choice.concept),
                below=cold.below,
                mode=choice.mode,
                elapsed_s=self._clock() - self._thinking,
                why=choice.why,
            )
            if closing.update(engine.piece(token)):
                yield from self._halt(HaltReason.CLOSED, [token])
                self._lead = closing.rest
                return
            if engine.is_end(token):
                reason = HaltReason.END_OF_TEXT
            elif choice.halt is not None:
                reason, self._opening = choice.halt, choice.opening
            elif is_cold:
                reason = HaltReason.COLD_STOP
            elif is_loop:
                reason = HaltReason.LOOP
            elif is_drift:
                reason = HaltReason.DRIFT
            elif engine.position + 1 + self._kept > engine.info.n_ctx:
                reason = HaltReason.CONTEXT_FULL
            elif rule is not None and rule.update(engine.piece(token)):
                reason = rule.reason
            else:
                self._feed(choice)
                continue
            break
        yield from self._halt(reason, self._inject)

    def _text_of(self, tokens: list[int]) -> str:
        pieces = (self._engine.piece(token, special=False) for token in tokens)
        return b"".join(pieces).decode("utf-8", "replace")

    def _tags(self) -> TagTokens:
        tags = (self._prompt.open, self._prompt.close)
        first, last = (tuple(self._engine.tokenize(tag, special=True)) for tag in tags)
        return TagTokens(open=first, close=last)

    def _feed(self, choice: Choice) -> None:
        """Put the step's result at the next position: s = Σ w_j E[v_j], or the token itself."""
        if choice.mode is Mode.HARD:
            self._logits = self._engine.decode_tokens([choice.token])
            return
        soft = mixture(choice.concept.weights, self._engine.embedding_rows(choice.concept.ids))
        if choice.noise:
            self._rms = self._rms or _rms(self._engine)
            sigma = np.float32(choice.noise * self._rms)
            soft = soft + sigma * self._rng.standard_normal(len(soft), np.float32)
        self._logits = self._engine.decode_embedding(soft)

    def _halt(self, reason: HaltReason, tokens: list[int]) -> Iterator[Event]:
        """End the thinking with these tokens: the model's own last one, or the injected tag."""
        injected = "" if reason is HaltReason.CLOSED else self._prompt.inject
        self._halted = True
        probe = self._probe
        yield Halted(
            reason=reason,
            steps=self._steps,
            injected=injected,
            probes=probe.looks,
            probe_tokens=probe.tokens,
            probe_s=probe.seconds,
        )
        self._logits = self._engine.decode_tokens(tokens)
        self._answering = self._clock()

    def answer(self) -> Iterator[Event]:
        """The answer as it comes, without the white space between it and the thoughts."""
        settings, engine = self._settings, self._engine
        spelled = Detokenizer()
        text = AnswerText(
            [self._prompt.close.strip(), self._prompt.open.strip()],
            stop_strings(settings.stop),
        )
        loop = Loop(steps=settings.answer_loop)
        penalty = RepeatPenalty(settings.answer_repeat)
        yield from self._say(text.feed(spelled.feed(self._lead)))
        given = deque(engine.tokenize(self._opening))
        for _ in range(settings.max_answer):
            self._stop_if_cancelled()
            token = given.popleft() if given else self._draw(penalty)
            if engine.is_end(token):
                self._finish_reason = FinishReason.STOP
                break
            self._answer_tokens += 1
            penalty.add(token)
            yield from self._say(text.feed(spelled.feed(engine.piece(token, special=False))))
            if text.stopped:
                self._finish_reason = FinishReason.STOP
                break
            if loop.update(token):
                self._finish_reason = FinishReason.LOOP
                break
            if engine.position == engine.info.n_ctx:
                break
            self._logits = engine.decode_tokens([token])
        yield from self._say(text.feed(spelled.finish()) + text.finish())

    def _draw(self, penalty: RepeatPenalty) -> int:
        """The answer's next token."""
        settings = self._settings
        logits = penalty.apply(self._logits)
        kept = Distribution(logits, settings.answer_temperature).keep(
            topn=self._engine.info.n_vocab,
            top_k=settings.answer_top_k,
            top_p=settings.answer_top_p,
            min_p=settings.answer_min_p,
        )
        return sample(kept, self._rng)

    def _say(self, text: str) -> Iterator[Answer]:
        if not self._answer and not self._prompt.begun:
            text = text.lstrip()
        if text:
            self._answer.append(text)
            yield Answer(text=text)

    def _stop_if_cancelled(self) -> None:
        if self._cancelled():
            raise DecodeAbortedError("stopped")

    def interrupted(self) -> Iterator[Event]:
        if not self._halted:
            self._answering = self._clock()
            yield Halted(reason=HaltReason.INTERRUPTED, steps=self._steps, injected="")
        self._finish_reason = FinishReason.INTERRUPTED

    def finished(self) -> Finished:
        now = self._clock()
        return Finished(
            finish_reason=self._finish_reason,
            answer="".join(self._answer),
            steps=self._steps,
            answer_tokens=self._answer_tokens,
            think_s=self._answering - self._thinking,
            answer_s=now - self._answering,
            total_s=now - self._began,
        )

    def _entries(self, concept: Concept) -> tuple[ConceptEntry, ...]:
        return tuple(
            ConceptEntry(id=token, piece=self._piece(token), weight=weight)
            for token, weight in zip(concept.ids.tolist(), concept.weights.tolist(), strict=True)
        )

    def _piece(self, token: int) -> str:
        """The token's piece as text; a part of a character shows as its bytes (`\\xe7`)."""
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._engine.piece(token).decode("utf-8", "backslashreplace")
            self._pieces[token] = piece
        return piece


def _rms(engine: Engine) -> float:
    """The root mean square of the entries of embedding rows, of a sample of the vocabulary."""
    size = engine.info.n_vocab
    ids = np.unique(np.linspace(0, size - 1, min(size, _SAMPLE)).astype(np.intp))
    return float(np.sqrt(np.mean(np.square(engine.embedding_rows(ids)))))
