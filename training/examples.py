"""What is trained on, as tokens: prompt, thinking, answer, and which of them count."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random

from softchat.engine.protocol import Engine
from softchat.prompt.template import make_prompt
from training.chat import THOUGHT
from training.distil import Told
from training.prompt import CLOSE, END, SYSTEM, TAGS
from training.targets import Likely
from training.tasks import EVERYDAY, HELD_OUT, TRAINED, Problem, problems

CHAT_SHARE = 0.22
"""How many of the examples are ordinary questions."""
_CUT_SHARE = 0.25
_OTHER_SYSTEM_SHARE = 0.1
_HISTORY_SHARE = 0.06
_OTHER_SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
    "Answer briefly.",
    "You are a friendly teacher.",
    "You are a helpful assistant. First think about the question inside <think> and </think>, "
    "then write the answer.",
)

SPLITS = {
    "dev": (TRAINED, 270),
    "test-seeds": (TRAINED, 540),
    "test-families": (HELD_OUT, 550),
    "test-everyday": (EVERYDAY, 480),
    "test-more": (TRAINED, 700),
}
"""The sets that are only ever asked: their families, and of how many questions.

The last one was made when adapters had been trained; it has those that they had not seen.
"""
_MADE_LATER = "test-more"
_SEEDS_BEFORE, _MOST_BEFORE = (0, 1, 2, 3, 100), 16_000  # of trainings, and their problems each

CHAT_HELD_OUT = 60
"""How many of the ordinary questions, the last ones, are to measure by, not to train on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One text to train on, (T,) tokens."""

    tokens: tuple[int, ...]
    counts: tuple[bool, ...]  # (T,) whether the model must learn to say this token
    thinking: range
    """Where its thoughts stand: positions that may be fed as mixtures."""
    taught: tuple[Likely, ...] = ()
    """For the last positions: what to learn there instead of the token alone."""


def split(name: str) -> Iterator[tuple[str, Problem]]:
    """The problems of a set that is only asked, each with its family's name."""
    families, count = SPLITS[name]
    earlier = [
        p.question for other in list(SPLITS)[: list(SPLITS).index(name)] for _, p in split(other)
    ]
    found = islice(problems(families, name, without=earlier), count)
    if name != _MADE_LATER:
        return found
    trained = [problems(families, f"train {seed}", without=earlier) for seed in _SEEDS_BEFORE]
    seen = {p.question for stream in trained for _, p in islice(stream, _MOST_BEFORE)}
    return ((family, p) for family, p in found if p.question not in seen)


def make_examples(
    engine: Engine,
    chat: Path,
    count: int,
    seed: int,
    *,
    everyday_share: float = 0.5,
    chat_share: float = CHAT_SHARE,
) -> list[Example]:
    """So many examples: mostly problems, some of them cut short, and ordinary questions.

    A problem that is cut short has its thinking closed at some line's end. The model learns to
    answer from there as well as it can, though not to close there: so its sureness of the answer
    means something at any time.

    Args:
        engine: for its tokens only.
        chat: the answers of `training.distil`.
        count: how many.
        seed: of all that is drawn.
        everyday_share: how many of the problems are small sums as people type them.
        chat_share: how many of the examples are ordinary questions.

    """
    rng = Random(seed)
    lines = chat.read_text("utf-8").splitlines()[:-CHAT_HELD_OUT]
    ordinary = [Told(**json.loads(line)) for line in lines]
    asked = [p.question for name in SPLITS for _, p in split(name)]
    trained = problems(TRAINED, f"train {seed}", without=asked)
    everyday = problems(EVERYDAY, f"train {seed}", without=asked)
    made: list[Example] = []
    before: Problem | None = None
    for _ in range(count):
        system = rng.choice(_OTHER_SYSTEMS) if rng.random() < _OTHER_SYSTEM_SHARE else SYSTEM
        messages = [{"role": "system", "content": system}]
        if before and rng.random() < _HISTORY_SHARE:
            messages.append({"role": "user", "content": before.question})
            messages.append({"role": "assistant", "content": before.answer})
        if rng.random() < chat_share:
            told = rng.choice(ordinary)
            messages.append({"role": "user", "content": told.question})
            example = _encode(engine, messages, [THOUGHT], told.tokens, cut=False)
            taught = tuple(zip(told.likely, told.weights, strict=True))
            made.append(replace(example, taught=taught))
            continue
        _, before = next(everyday if rng.random() < everyday_share else trained)
        messages.append({"role": "user", "content": before.question})
        steps: Sequence[str] = before.steps
        cut = rng.random() < _CUT_SHARE
        if cut:
            steps = steps[: rng.randrange(len(steps))]
        said = engine.tokenize(before.answer + END, special=True)
        made.append(_encode(engine, messages, steps, said, cut=cut))
    return made


def _encode(
    engine: Engine,
    messages: list[dict[str, str]],
    lines: Sequence[str],
    said: Sequence[int],
    *,
    cut: bool,
) -> Example:
    prompt = make_prompt(engine, messages, tags=TAGS).tokens
    thoughts = engine.tokenize("\n".join(lines)) if lines else []
    close = engine.tokenize(CLOSE, special=True)
    # softchat feeds the token that completes the closing tag as itself, never as a mixture.
    closing = 0 if cut else len(engine.tokenize(TAGS.before_close + TAGS.close)) - 1
    parts = ((prompt, False), (thoughts, True), (close, not cut), (said, True))
    return Example(
        tokens=tuple(token for part, _ in parts for token in part),
        counts=tuple(counted for part, counted in parts for _ in part),
        thinking=range(len(prompt), len(prompt) + len(thoughts) + closing),
    )
