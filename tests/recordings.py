"""Runs made by hand, as a trace would hold them, and a session of such turns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from softchat.events import (
    Answer,
    ConceptEntry,
    Finished,
    FinishReason,
    Halted,
    HaltReason,
    Mode,
    ModelInfo,
    Prefill,
    Started,
    Step,
)
from softchat.record.trace import TraceWriter
from softchat.settings import Settings
from softchat.talk.conversation import Turn


@dataclass
class Content:
    """What is saved of a session."""

    turns: list[Turn] = field(default_factory=list)
    model_name: str = "fake"
    system: str = "Be brief."
    chosen: dict[str, object] = field(default_factory=dict)


HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202e</script><b>$x^2$&amp;\r\x08"


def started(name="model", **settings):
    model = ModelInfo(name=name, path="/m", architecture="llama", n_vocab=9, n_embd=2, n_ctx=64)
    chosen = Settings(**{"tau": 0.5, "patience": 3, **settings}).to_dict()
    return Started(model=model, settings=chosen, prompt_tokens=12)


def step(index, *, entropy=1.0, below=0, mode=Mode.SOFT, why="", **weights):
    concept = tuple(
        ConceptEntry(id=place, piece=piece.replace("_", " "), weight=weight)
        for place, (piece, weight) in enumerate((weights or {"_a": 0.75, "_b": 0.25}).items())
    )
    return Step(
        index=index, entropy=entropy, concept=concept, below=below, mode=mode,
        elapsed_s=(index + 1) / 10, why=why,
    )  # fmt: skip


def run_of(*steps, answer=("four", " legs"), reason=HaltReason.COLD_STOP, begin=None):
    """All events of a run: read in 0.5 s, a step each 0.1 s, answered in 1 s."""
    return [
        begin or started(),
        Prefill(tokens=12, cached=0, elapsed_s=0.5),
        *steps,
        Halted(reason=reason, steps=len(steps), injected="</think>"),
        *(Answer(text=text) for text in answer),
        Finished(
            finish_reason=FinishReason.STOP, answer="".join(answer), steps=len(steps),
            answer_tokens=len(answer), think_s=len(steps) / 10, answer_s=1.0,
            total_s=1.5 + len(steps) / 10,
        ),
    ]  # fmt: skip


def write_trace(path, *runs):
    """A trace of these events at `path`."""
    with TraceWriter(path) as trace:
        for events in runs:
            for event in events:
                trace.write(event)
    return path


def turn(question="why?", answer="because"):
    """A turn without its run."""
    return Turn(question=question, answer=answer, settings={"tau": 0.1, "seed": 7})


def thought(question="why?"):
    """A turn with its run."""
    run = tuple(run_of(step(0), step(1), answer=(question, "\x1b\n")))
    return replace(turn(question), events=run)
