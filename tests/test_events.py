"""The event contract, as JSON."""

from __future__ import annotations

import json

from softchat.events import (
    Answer,
    AnswerToken,
    ConceptEntry,
    Error,
    Finished,
    FinishReason,
    Halted,
    HaltReason,
    Lens,
    Mode,
    ModelInfo,
    Prefill,
    Started,
    Step,
    to_dict,
    to_json,
)

MODEL = ModelInfo(name="m", path="/m", architecture="llama", n_vocab=3, n_embd=2, n_ctx=8)
EXAMPLES = [
    Started(model=MODEL, settings={"tau": 0.1}, prompt_tokens=2),
    Prefill(tokens=2, cached=0, elapsed_s=0.1),
    Step(
        index=0,
        entropy=0.5,
        concept=(ConceptEntry(id=1, piece=" é\n", weight=1.0),),
        below=0,
        mode=Mode.SOFT,
        elapsed_s=0.2,
    ),
    Lens(index=0, text="four", entropy=0.5, whole=True, elapsed_s=0.2),
    Halted(reason=HaltReason.COLD_STOP, steps=1, injected="</think>"),
    Answer(text="\u2028 four"),
    Finished(
        finish_reason=FinishReason.STOP,
        answer="four",
        steps=1,
        answer_tokens=1,
        think_s=0.1,
        answer_s=0.2,
        total_s=0.3,
    ),
    Error(kind="usage", message="no", hint="yes"),
]
TOKEN = AnswerToken(
    id=2,
    piece=" four",
    probability=0.9,
    entropy=0.3,
    alternatives=(ConceptEntry(id=1, piece=" é\n", weight=0.1),),
)
CONTRACT = {
    "started": {"schema", "model", "settings", "prompt_tokens", "question", "prompt"},
    "prefill": {"tokens", "cached", "elapsed_s"},
    "step": {"index", "entropy", "concept", "below", "mode", "elapsed_s", "why"},
    "halted": {"reason", "steps", "injected", "probes", "probe_tokens", "probe_s"},
    "lens": {"index", "text", "entropy", "whole", "elapsed_s"},
    "answer": {"text"},
    "finished": {
        "finish_reason",
        "answer",
        "steps",
        "answer_tokens",
        "think_s",
        "answer_s",
        "total_s",
    },
    "error": {"kind", "message", "hint"},
}


def test_each_event_has_the_fields_of_the_contract():
    """Kind by kind, nothing missing and nothing renamed."""
    assert {e.event: set(to_dict(e)) - {"event"} for e in EXAMPLES} == CONTRACT
    assert set(to_dict(EXAMPLES[0])["model"]) == {
        "name",
        "path",
        "architecture",
        "n_vocab",
        "n_embd",
        "n_ctx",
        "loras",
        "devices",
        "gpu_layers",
        "merged",
    }
    assert to_dict(EXAMPLES[2])["concept"] == [{"id": 1, "piece": " é\n", "weight": 1.0}]
    assert to_dict(Answer(text="", token=TOKEN))["token"] == {
        "id": 2,
        "piece": " four",
        "probability": 0.9,
        "entropy": 0.3,
        "alternatives": [{"id": 1, "piece": " é\n", "weight": 0.1}],
    }


def test_an_event_is_one_line_that_json_reads_back():
    """Text with line breaks stays on its line, and comes back as it was."""
    for event in EXAMPLES:
        line = to_json(event)
        assert "\n" not in line
        assert json.loads(line) == to_dict(event)
        line.encode("utf-8")


def test_the_schema_is_told():
    """A reader can see which contract it has before it."""
    assert to_dict(EXAMPLES[0])["schema"] == 1
