"""`softchat ask` without a terminal, on the real model."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHORT = ("--max-think", "4", "--max-answer", "4")
FLAGS = """
--tau --patience --topn --temperature --top-k --top-p --min-p --answer-temperature --answer-top-k
--answer-top-p --answer-min-p --max-think --max-answer --strategy --seed --system --model --ctx
--threads --gpu-layers --json --trace --panel --no-panel --quiet --verbose
"""
FIELDS = {
    "started": {"schema", "model", "settings", "prompt_tokens", "question", "prompt"},
    "prefill": {"tokens", "cached", "elapsed_s"},
    "step": {"index", "entropy", "concept", "below", "mode", "elapsed_s", "why"},
    "halted": {"reason", "steps", "injected", "probes", "probe_tokens", "probe_s"},
    "answer": {"text"},
    "finished": {"finish_reason", "answer", "steps", "answer_tokens"}
    | {"think_s", "answer_s", "total_s"},
}


def events_of(result):
    assert result.status == 0, result
    return [json.loads(line) for line in result.out.splitlines()]


def timeless(events):
    return [{k: v for k, v in event.items() if not k.endswith("_s")} for event in events]


def test_an_answer_and_nothing_else(softchat):
    """Without a terminal there is no panel: stdout holds the answer, stderr nothing."""
    question = "Tom has 12 apples. He buys 9 more and gives away 5. How many has he now?"
    result = softchat("ask", question)
    assert result.status == 0, result
    assert "16" in result.out
    assert result.out.endswith("\n")
    assert result.err == ""
    assert "\x1b" not in result.out


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_the_question_may_come_through_a_pipe(softchat, arguments):
    """`echo question | softchat ask -`, and without the dash too, ask what the words ask."""
    piped = softchat("ask", *arguments, "--json", "--seed", "1", *SHORT, stdin="Why?\n")
    given = softchat("ask", "Why?", "--json", "--seed", "1", *SHORT)
    assert timeless(events_of(piped)) == timeless(events_of(given))


def test_json_is_the_event_contract(softchat):
    """One object a line: the named fields, in the named order, weights that sum to 1."""
    events = events_of(softchat("ask", "Why?", "--json", *SHORT))
    names = [event["event"] for event in events]
    assert names[:6] == ["started", "prefill", "step", "step", "step", "step"]
    assert names[6] == "halted"
    assert names[-1] == "finished"
    assert set(names[7:-1]) <= {"answer"}
    for event in events:
        assert set(event) - {"event"} == FIELDS[event["event"]]
    for step in events[2:6]:
        weights = [entry["weight"] for entry in step["concept"]]
        assert sum(weights) == pytest.approx(1, abs=1e-5)
        assert weights == sorted(weights, reverse=True)
    started, finished = events[0], events[-1]
    assert started["settings"]["max_think"] == 4
    assert started["model"]["name"] == "smollm2-135m"
    assert finished["answer"] == "".join(e["text"] for e in events if e["event"] == "answer")


def test_the_baseline_tells_steps_too(softchat):
    """`--strategy hard` has steps of one token of weight 1, and no cold stop of the model's own."""
    events = events_of(softchat("ask", "Why?", "--json", "--strategy", "hard", *SHORT))
    steps = [event for event in events if event["event"] == "step"]
    assert len(steps) == 4
    assert {step["mode"] for step in steps} == {"hard"}
    assert [[entry["weight"] for entry in step["concept"]] for step in steps] == [[1.0]] * 4
    assert events[0]["settings"]["tau"] == 0


@pytest.mark.parametrize("strategy", ["soft", "hard"])
def test_the_same_seed_gives_the_same_events(softchat, strategy):
    """Same seed, same model, same flags: the same events, elapsed times aside."""
    flags = ("--json", "--seed", "7", "--strategy", strategy, "--answer-temperature", "1")
    flags += ("--max-think", "12", "--max-answer", "12")
    first, second = (events_of(softchat("ask", "Name a colour.", *flags)) for _ in range(2))
    assert timeless(first) == timeless(second)


def test_a_cold_stop_on_the_real_model(softchat):
    """Under a τ that every step is under, the thinking ends after `patience` steps."""
    flags = ("--tau", "100", "--patience", "3", "--json", "--max-answer", "4")
    events = events_of(softchat("ask", "Why is the sky blue?", *flags))
    halted = next(event for event in events if event["event"] == "halted")
    assert halted == {
        "event": "halted",
        "reason": "cold_stop",
        "steps": 3,
        "injected": "\n</think>\n\n",
        "probes": 0,
        "probe_tokens": 0,
        "probe_s": 0.0,
    }


def test_a_full_context_is_a_reason_not_a_crash(softchat):
    """A small context ends the thinking with `context_full`, and still answers."""
    flags = ("--ctx", "256", "--max-think", "9999", "--tau", "0", "--json", "--seed", "1")
    flags += ("--system", "", "--topn", "1", "--temperature", "1", "--min-p", "0")
    flags += ("-m", "smollm2-plain")  # it does not close its thinking
    events = events_of(softchat("ask", "Count from one to five hundred, slowly.", *flags))
    halted = next(event for event in events if event["event"] == "halted")
    assert halted["reason"] in {"context_full", "end_of_text"}
    assert events[-1]["event"] == "finished"


def test_a_trace_is_the_same_lines(softchat, tmp_path):
    """`--trace` writes what `--json` prints, into a file that only its owner can read."""
    result = softchat("ask", "Why?", "--json", "--trace", "run.jsonl", *SHORT)
    trace = tmp_path / "run.jsonl"
    assert trace.read_text(encoding="utf-8") == result.out
    assert stat.S_IMODE(trace.stat().st_mode) == 0o600


def test_verbose_prints_plain_step_lines(softchat):
    """`--verbose`: a line a step on stderr, the answer alone on stdout."""
    result = softchat("ask", "Why?", "-v", *SHORT)
    assert result.status == 0
    lines = result.err.splitlines()
    assert sum(line.startswith("step ") for line in lines) == 4
    assert "\x1b" not in result.err
    assert "step" not in result.out


def test_flags_come_from_variables_too(softchat):
    """SOFTCHAT_TOP_K=3 is --top-k 3; a flag given is stronger."""
    variables = {"SOFTCHAT_TOP_K": "3", "SOFTCHAT_MAX_THINK": "2", "SOFTCHAT_JSON": "1"}
    events = events_of(softchat("ask", "Why?", "--max-answer", "2", "--top-k", "4", **variables))
    settings = events[0]["settings"]
    assert (settings["top_k"], settings["max_think"]) == (4, 2)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("ask",), 2, "no question"),
        (("ask", "  "), 2, "no question"),
        (("ask", "x", "--tau", "-1"), 2, "--tau"),
        (("ask", "x", "--tau", "nan"), 2, "tau"),
        (("ask", "x", "--top-p", "1.5"), 2, "--top-p"),
        (("ask", "x", "--topn", "0"), 2, "--topn"),
        (("ask", "x", "--strategy", "softer"), 2, "--strategy"),
        (("ask", "x", "--tua", "1"), 2, "--tua"),
        (("ask", "x", "-v", "-q"), 2, "exclude"),
        (("ask", "x", "--trace", "/nowhere/x"), 2, "trace"),
        (("ask", "--frobnicate"), 2, "frobnicate"),
        (("ask", "x", "-m", "smolm2"), 3, "smolm2"),
        (("ask", "x", "-m", "./none.gguf"), 3, "none.gguf"),
        (("ask", "x", "-m", "/etc/passwd"), 3, "GGUF"),
        (("ask", "x", "-m", "."), 3, "folder"),
        (("ask", "many words " * 3000), 1, "context"),
    ],
)
def test_a_mistake_is_one_line_and_a_hint(softchat, arguments, status, says):
    """No traceback: an error and a hint on stderr, nothing on stdout, the contract's status."""
    result = softchat(*arguments)
    assert result.status == status, result
    error, hint = result.err.splitlines()
    assert error.startswith("error: ")
    assert says in error
    assert hint.startswith("hint: ")
    assert result.out == ""


@pytest.mark.parametrize(
    ("arguments", "status", "kind"),
    [
        (("ask", "x", "--json", "--tau", "z"), 2, "usage"),
        (("ask", "x", "--json", "-q"), 2, "usage"),
        (("ask", "x", "--json", "-m", "nope"), 3, "model_not_found"),
    ],
)
def test_with_json_a_mistake_is_an_event_too(softchat, arguments, status, kind):
    """The last line on stdout is the `error` event."""
    result = softchat(*arguments)
    assert result.status == status
    event = json.loads(result.out.splitlines()[-1])
    assert (event["event"], event["kind"]) == ("error", kind)
    assert set(event) == {"event", "kind", "message", "hint"}


def test_stdin_that_is_no_text_is_a_mistake(softchat):
    """Bytes that are not UTF-8 are not asked."""
    result = softchat("ask", "-", stdin=b"caf\xe9")
    assert result.status == 2
    assert "UTF-8" in result.err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["caf\udce9?"], "the question"),
        (["x", "-s", "\udce9"], "--system"),
        (["x", "--stop", "\udce9"], "--stop"),
    ],
)
def test_words_that_are_no_text_are_a_mistake(softchat, arguments, what):
    """The model is not asked something else."""
    result = softchat("ask", *arguments)
    assert result.status == 2
    assert f"{what} is not UTF-8 text" in result.err


def test_more_context_than_a_model_was_trained_for(softchat):
    """It is taken, and told."""
    asked = ("ask", "Hi", "--max-think", "1", "--max-answer", "1")
    told = "note: a context of 8,193, and it was trained for 8,192 positions\n"
    assert told in softchat(*asked, "--ctx", "8193").err
    assert "trained" not in softchat(*asked, "--ctx", "8192").err


def test_a_broken_file_is_refused(softchat, real_model, tmp_path):
    """A model cut short, and one whose header is damaged, are refused by name with status 3."""
    data = real_model.read_bytes()
    (tmp_path / "cut.gguf").write_bytes(data[: len(data) // 2])
    (tmp_path / "torn.gguf").write_bytes(data[:2000])
    for name in ("cut.gguf", "torn.gguf"):
        result = softchat("ask", "x", "-m", f"./{name}")
        assert result.status == 3, result
        assert name in result.err
        assert len(result.err.splitlines()) == 2


def test_a_reader_that_leaves_is_no_error(environ, tmp_path):
    """`softchat ask … | head -1` ends quietly."""
    command = f"{sys.executable} -m softchat ask 'Name ten animals.' --json | head -1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environ, cwd=tmp_path,
        stdin=subprocess.DEVNULL, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert json.loads(done.stdout)["event"] == "started"
    assert done.stderr == ""


def test_help_and_version(softchat):
    """Both print to stdout and succeed; every flag of the issue is in the help."""
    assert softchat("--version").out.startswith("softchat 0.")
    text = softchat("ask", "--help").out
    for flag in FLAGS.split():
        assert flag in text


def test_help_does_not_load_the_engine(environ):
    """llama.cpp, numpy and rich are imported only where they are used."""
    code = (
        "import contextlib, os, sys\nos._exit = sys.exit\nsys.argv = ['softchat', '--help']\n"
        "from softchat.cli import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "print(sorted({'llama_cpp', 'numpy', 'rich', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_looking_ahead_changes_nothing(softchat):
    """The same seed thinks the same and answers the same; only the looks are told, and tokens."""
    flags = ("--seed", "2", "--max-think", "14", "--max-answer", "6", "--answer-temperature", "1")
    question = ("ask", "-m", "smollm2-plain", "Why is the sky blue?", "--json", *flags)
    plain = events_of(softchat(*question))
    looked = events_of(softchat(*question, "--lens-every", "5", "--answer-entropy"))

    def told(events, name, *fields):
        return [[event[field] for field in fields] for event in events if event["event"] == name]

    assert told(looked, "step", "entropy", "concept") == told(plain, "step", "entropy", "concept")
    assert looked[-1]["answer"] == plain[-1]["answer"]
    assert told(plain, "lens") == []
    last = len(told(plain, "step")) - 1  # nobody looks from the step that ends it
    assert told(looked, "lens", "index") == [[index] for index in (4, 9) if index < last]
    assert all(0 <= entropy < 11 for [entropy] in told(looked, "lens", "entropy"))
    # Of what was held back, as a tag may begin so, the rest comes without a token.
    tokens = [one["token"] for one in looked if one["event"] == "answer" and "token" in one]
    assert len(tokens) == looked[-1]["answer_tokens"]
    for token in tokens:
        mass = token["probability"] + sum(one["weight"] for one in token["alternatives"])
        assert 0 < mass < 1.001
        assert len(token["alternatives"]) == 5
        assert token["id"] not in {one["id"] for one in token["alternatives"]}
    assert told(plain, "halted", "probes") == [[0]]
    assert told(looked, "halted", "probes")[0][0] == len(told(looked, "lens"))


def test_a_search_goes_both_ways_at_once(softchat):
    """The README's first question: bag and ring in one thought; one of them alone leads astray."""
    swaps = (
        "You can swap a coin for a key, a hat for a cup, a boat for a bag, a bag for a drum, a "
        "ring for a cake, a coin for a hat, a boat for a ring, a key for a lamp. You have a boat. "
        "Can you end up with a cup or a cake?"
    )
    soft = softchat("ask", swaps, "--json")
    assert softchat("ask", swaps, "--topn", "1", "-q").out == "cup\n"
    answer = [event["text"] for event in events_of(soft) if event["event"] == "answer"]
    assert "".join(answer).strip() == "cake"
    second = [event for event in events_of(soft) if event["event"] == "step"][1]
    both = {entry["piece"]: entry["weight"] for entry in second["concept"]}
    assert both[" bag"] > both[" ring"] > 0.1
    assert swaps in (ROOT / "README.md").read_text("utf-8")


def test_what_the_docs_say_that_it_can_search(softchat, tmp_path):
    """The first question of each kind, as docs/models.md has them: all seven are right."""
    page = (ROOT / "docs" / "models.md").read_text("utf-8")
    rows = re.findall(r"^\| [^|\n]+ \| ([^|\n]+\?) \| (\w+) \|$", page, re.MULTILINE)
    assert len(rows) == 7
    data = tmp_path / "seven.jsonl"
    data.write_text("\n".join(json.dumps({"question": q, "answer": a}) for q, a in rows))
    flags = ("--extract", "exact", "--run", "soft", "--max-answer", "8", "--json")
    report = json.loads(softchat("eval", str(data), *flags).out)
    assert report["runs"][0]["right"] == 7
