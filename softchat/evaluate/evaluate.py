"""The runs of an evaluation, one result after another. Knows engines, no files or terminals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from softchat.engine.protocol import Engine
from softchat.errors import ContextError, NumericsError
from softchat.evaluate.answers import Reader
from softchat.evaluate.plan import Run
from softchat.evaluate.questions import Question
from softchat.events import Finished, FinishReason, Halted
from softchat.prompt.tags import ThinkTags
from softchat.prompt.template import make_prompt, single_turn
from softchat.settings import Settings
from softchat.thinking.think import think

if TYPE_CHECKING:
    from softchat.engine.llama import LlamaEngine

Job = Callable[[Engine], "Outcome | None"]
Key = tuple[str, int, int]
"""Run, question's index, sample."""
Pool = Callable[[Iterable[Job]], Iterator[tuple[int, "Outcome | None"]]]
"""Runs jobs and hands out the number of each with its result, as they end."""


# Tokens. A system prompt without examples has fewer, and prompts that are read whole give the very
# logits that they give alone: llama.cpp's attention sums otherwise from 64 rows on.
_LONG_PREFIX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run on one question went."""

    answer: str = ""
    steps: int = 0
    answer_tokens: int = 0
    probe_tokens: int = 0
    """Tokens that a rule which halts has looked ahead at."""
    halted: str = ""
    """Why the thinking ended."""
    finished: str = ""
    """Why the answer ended."""
    think_s: float = 0.0
    answer_s: float = 0.0
    total_s: float = 0.0
    """Seconds as they passed; what ran beside it took its share of them."""
    error: str = ""
    """Why there is nothing of all this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An outcome, whose it is, and whether the answer is right."""

    run: str
    index: int
    """Of the question."""
    seed: int
    """With it, `softchat ask --seed` draws the same."""
    given: str | None
    """The answer that was read in the text; None if there was none."""
    correct: bool | None
    """None if the question has no answer to compare with."""
    outcome: Outcome
    sample: int = 0
    """Which of the question's answers this is, if it is asked several times."""

    @property
    def key(self) -> Key:
        """What no other result of the evaluation has."""
        return self.run, self.index, self.sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is evaluated, and how."""

    questions: Sequence[Question]
    runs: Sequence[Run]
    reader: Reader
    system: str = ""
    tags: ThinkTags | None = None
    """None: as the model's chat template says."""
    samples: int = 1
    """How often each run answers each question, each time with another seed."""

    @property
    def keys(self) -> list[Key]:
        """Of every result that is wanted, in the order in which they are made."""
        return [
            (run.name, question.index, sample)
            for question in self.questions
            for run in self.runs
            for sample in range(self.samples)
        ]


def evaluate(
    pool: Pool,
    plan: Plan,
    *,
    done: Collection[Key] = (),
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Result]:
    """Every run on every question, but those that are done.

    All runs have a question before any has the next, so that what there is can be compared at any
    time. A run that was cancelled gives no result; one whose prompt does not fit, or whose numbers
    are none, gives its error.

    Raises:
        DecodeError: the model failed.
        ModelRefusedError: the chat template fails.

    """
    runs = {run.name: run for run in plan.runs}
    questions = {question.index: question for question in plan.questions}
    wanted = [
        (runs[run], questions[index], sample)
        for run, index, sample in plan.keys
        if (run, index, sample) not in done
    ]

    def jobs() -> Iterator[Job]:
        for run, question, sample in wanted:
            if cancelled():
                return
            yield _job(plan, question, seeded(run.settings, question, sample), cancelled)

    for number, outcome in pool(jobs()):
        if outcome is not None:
            yield judge(plan, *wanted[number], outcome)


def one_by_one(engine: Engine, jobs: Iterable[Job]) -> Iterator[tuple[int, Outcome | None]]:
    """The pool of an engine with one sequence."""
    for number, job in enumerate(jobs):
        engine.rollback(0)
        yield number, job(engine)


def pool_of(engine: LlamaEngine, plan: Plan) -> Pool:
    """How this engine runs the jobs of a plan: as many at once as it has sequences."""
    if engine.sequences == 1:
        return partial(one_by_one, engine)
    from softchat.engine.batch import run_together

    return partial(run_together, engine, prefix=shared_prefix(engine, plan))


def shared_prefix(engine: Engine, plan: Plan) -> list[int]:
    """The tokens with which the prompts of nearly all questions begin, if they are many.

    The system prompt, and what the chat template puts before a question. It is found without the
    questions, so that a prompt is cut at the same place whatever others there are.

    Raises:
        ModelRefusedError: the chat template fails.

    """
    one, other = (
        make_prompt(engine, single_turn(text, plan.system), tags=plan.tags).tokens
        for text in ("0", "A")
    )
    pairs = zip(one, other, strict=False)
    prefix = [token for token, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return prefix if len(prefix) >= _LONG_PREFIX else []


def seeded(settings: Settings, question: Question, sample: int = 0) -> Settings:
    """The settings with a seed of the question's own, and of the sample's if it is not the first.

    The draws are the same alone or beside others, in one go or resumed, and for every run with that
    seed.
    """
    return replace(settings, seed=seed_of(settings.seed, question.index, sample))


def seed_of(seed: int, index: int, sample: int) -> int:
    """A result's seed: of its run's seed, its question's place in the file, and its sample only."""
    place = [seed, index] + [sample] * bool(sample)
    return int(np.random.SeedSequence(place).generate_state(1)[0])


def judge(plan: Plan, run: Run, question: Question, sample: int, outcome: Outcome) -> Result:
    """Read the answer and compare it; a run that failed is wrong."""
    given = plan.reader.extract(outcome.answer)
    correct = None
    if question.answer:
        same = plan.reader.same
        right = question.verify or (lambda answer: same(answer, question.answer))
        correct = not outcome.error and given is not None and right(given)
    return Result(
        run=run.name,
        index=question.index,
        seed=seeded(run.settings, question, sample).seed,
        given=given,
        correct=correct,
        outcome=outcome,
        sample=sample,
    )


def _job(plan: Plan, question: Question, settings: Settings, cancelled: Callable[[], bool]) -> Job:
    def job(engine: Engine) -> Outcome | None:
        messages = single_turn(question.text, plan.system)
        halted: Halted | None = None
        try:
            prompt = make_prompt(engine, messages, tags=plan.tags, settings=settings)
            for event in think(engine, prompt, settings, cancelled=cancelled):
                if isinstance(event, Halted):
                    halted = event
                if isinstance(event, Finished):
                    return _outcome(event, halted)
        except (ContextError, NumericsError) as error:
            return Outcome(error=error.message)
        return None

    return job


def _outcome(event: Finished, halted: Halted | None) -> Outcome | None:
    if event.finish_reason is FinishReason.INTERRUPTED:
        return None
    return Outcome(
        answer=event.answer,
        steps=event.steps,
        answer_tokens=event.answer_tokens,
        probe_tokens=halted.probe_tokens if halted else 0,
        halted=str(halted.reason) if halted else "",
        finished=str(event.finish_reason),
        think_s=round(event.think_s, 3),
        answer_s=round(event.answer_s, 3),
        total_s=round(event.total_s, 3),
    )
