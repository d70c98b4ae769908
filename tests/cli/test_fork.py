"""`softchat fork`, on the real model."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from softchat.record.runs import Run, split_runs
from softchat.record.trace import replay
from tests import tiny
from tests.recordings import HOSTILE, run_of, started, step, write_trace

ASKED = ("ask", "-q", "How many legs have three spiders?", "--max-answer", "30", "--seed", "3")


@pytest.fixture
def trace(softchat, tmp_path):
    """A run of the real model, in which single tokens are drawn."""
    path = tmp_path / "run.jsonl"
    hard = ("--strategy", "hard", "--temperature", "1", "--max-think", "24")
    assert softchat(*ASKED, *hard, "--trace", str(path)).status == 0
    return path


def test_the_token_it_took_anyway_is_the_same_run(softchat, trace):
    """In a new process, from the file alone: each entropy, each token, the answer."""
    run = Run.of(replay(trace))
    at = len(run.steps) // 2
    done = softchat("fork", str(trace), "--at", str(at), "--take", "1", "--json")
    assert done.status == 0, done
    lines = trace.with_name("again.jsonl")
    lines.write_text(done.out)
    again = Run.of(replay(lines))
    assert [s.entropy for s in again.steps] == [s.entropy for s in run.steps]
    assert [s.concept for s in again.steps] == [s.concept for s in run.steps]
    assert again.halted.reason == run.halted.reason
    assert again.answer == run.answer
    assert again.started.fork.step == at


def test_the_token_it_took_anyway_is_as_cold(softchat, tmp_path):
    """A run that the cold stop has ended ends there again."""
    path = tmp_path / "cold.jsonl"
    cold = ("--tau", "0.5", "--patience", "4", "--topn", "1")
    assert softchat(*ASKED, *cold, "--trace", str(path)).status == 0
    run = Run.of(replay(path))
    assert run.halted.reason == "cold_stop"
    at = len(run.steps) - 2
    done = softchat("fork", str(path), "--at", str(at), "--take", "1", "--json")
    path.write_text(done.out)
    again = Run.of(replay(path))
    assert [step.below for step in again.steps] == [step.below for step in run.steps]
    assert (again.halted.reason, again.answer) == ("cold_stop", run.answer)


def test_both_are_shown_side_by_side_and_traced(softchat, trace, tmp_path):
    """Where they part, how they end, what they answer; and `plot` has the fork as a branch."""
    run = Run.of(replay(trace))
    both, page = tmp_path / "both.jsonl", tmp_path / "both.html"
    done = softchat(
        "fork", str(trace), "--at", "2", "--strategy", "soft", "--trace", str(both), COLUMNS="90"
    )
    assert done.status == 0, done
    assert re.search(r"as it was +strategy soft", done.out)
    assert re.search(r"^step 2 ", done.out, re.MULTILINE)
    assert re.search(rf"^steps +{len(run.steps)} +\d+ *$", done.out, re.MULTILINE)
    assert re.search(r"^answer ", done.out, re.MULTILINE)
    first, second = split_runs(replay(both))
    assert first.events == run.events
    assert second.steps[:2] == run.steps[:2]
    assert second.started.fork.settings == {"strategy": "soft"}
    assert softchat("plot", str(both), "-o", str(page)).status == 0
    assert '"start": ' in page.read_text()
    assert "fork at step 2: strategy soft" in softchat("show", str(both), "--turn", "2").out


def test_which_token_leads_where(softchat, tmp_path):
    """Each token of the step in turn, and each answer with the weight that leads to it."""
    path = tmp_path / "soft.jsonl"
    assert softchat(*ASKED, "--max-think", "12", "--trace", str(path)).status == 0
    run = Run.of(replay(path))
    at, widest = max(enumerate(run.steps), key=lambda pair: len(pair[1].concept))
    done = softchat("fork", "last", "--at", str(at), "--all")  # it is what was asked last
    assert done.status == 0, done
    rows = re.findall(r"^ (\d\.\d{3})  ", done.out, re.MULTILINE)
    weights = [round(entry.weight, 3) for entry in widest.concept]
    assert [float(row) for row in rows[: len(weights)]] == pytest.approx(weights, abs=2e-3)
    answers = [float(row) for row in rows[len(weights) :]]
    assert sum(answers) == pytest.approx(1, abs=0.02)
    assert answers == sorted(answers, reverse=True)


def test_other_weights_are_a_fork(softchat, trace):
    """Another adapter or model is what differs; one that is not there is told of as anywhere."""
    done = softchat("fork", str(trace), "--at", "1", "--lora", "none")
    assert done.status == 0, done
    assert re.search(r"as it was +lora none", done.out)
    assert "its adapters were others" in done.err
    done = softchat("fork", str(trace), "--at", "1", "-m", "nope")
    assert done.err.startswith("error: no model 'nope'")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--at", "999", "--take", "1"), "no step 999"),
        (("--at", "1"), "nothing would differ"),
        (("--at", "1", "--take", "1", "--all"), "exclude each other"),
        (("--at", "1", "--take", "no such"), "step 1 has no token"),
        (("--at", "1", "--topn", "0"), "topn"),
        (("--at", "1", "--no-think"), "think can't change"),
        (("--at", "1", "--take", "1", "--no-think"), "think can't change"),
        (("--at", "1", "--all", "--max-think", "1"), "max_think 1 ends it before"),
        (("--at", "1", "--strategy", "hard", "--topn", "3"), "--topn does nothing with strategy"),
        (("--at", "1", "--all", "--selar-k", "4"), "--selar-k does nothing with strategy soft"),
        ((), "--at"),
    ],
)
def test_what_can_not_be_forked_is_told(softchat, tmp_path, flags, message):
    """Before a model is loaded: one line, a hint, status 2."""
    path = write_trace(tmp_path / "t.jsonl", run_of(step(0), step(1), begin=with_prompt()))
    done = softchat("fork", str(path), *flags)
    assert done.status == 2
    assert message in done.err
    assert "hint: " in done.err
    assert "Traceback" not in done.err


def test_what_is_forked_is_not_written_over(softchat, tmp_path):
    """Not through a link either; nor is another trace, where the fork never begins."""
    path = write_trace(tmp_path / "t.jsonl", run_of(step(0), begin=with_prompt()))
    other = write_trace(tmp_path / "other.jsonl", run_of(step(0)))
    before = path.read_bytes(), other.read_bytes()
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    for into, says in ((path, "overwrite"), (link, "overwrite"), (other, "the run is of model")):
        taken = ("--at", "0", "--take", "1", "-m", "smollm2-135m")
        done = softchat("fork", str(path), *taken, "--trace", str(into))
        assert done.status == 2, done
        assert says in done.err
        assert (path.read_bytes(), other.read_bytes()) == before


@pytest.mark.parametrize("name", ["9" * 5000, "²"])
def test_what_is_no_number_of_the_log_is_a_file(softchat, name):
    """Python refuses to read numbers of thousands of digits; the message is not as long either."""
    done = softchat("show", name)
    assert done.status == 2, done
    message, hint = done.err.splitlines()
    assert message.startswith("error: can't read the trace ")
    assert len(message) < 1100
    assert hint.startswith("hint: ")


@pytest.mark.parametrize("flags", [("--take", "1"), ("--all",)])
def test_a_step_without_tokens_is_told(softchat, tmp_path, flags):
    """As somebody has left it who has changed the file."""
    path = write_trace(tmp_path / "t.jsonl", run_of(step(0), begin=with_prompt()))
    path.write_text(re.sub(r'"concept": ?\[[^]]*\]', '"concept": []', path.read_text()))
    done = softchat("fork", str(path), "--at", "0", *flags)
    assert (done.status, done.out) == (2, "")
    assert done.err == "error: step 0 has no token to take\nhint: name another step\n"


def with_prompt(**more):
    return replace(started(**more), prompt=(1, 2))


def test_a_trace_without_its_prompt_or_model_is_told(softchat, tmp_path):
    """An older trace holds no prompt; a model that is not here is not fetched for a trace."""
    old = write_trace(tmp_path / "old.jsonl", run_of(step(0)))
    done = softchat("fork", str(old), "--at", "0", "--take", "1")
    assert (done.status, "does not hold its prompt" in done.err) == (2, True)
    begin = with_prompt(name=f"hf:somebody/else{HOSTILE}")
    other = write_trace(tmp_path / "other.jsonl", run_of(step(0), begin=begin))
    done = softchat("fork", str(other), "--at", "0", "--take", "1")
    assert done.status == 3
    assert "is not here" in done.err
    assert "\x1b" not in done.err


def test_a_trace_of_another_model_is_refused(softchat, tmp_path):
    """Tokens of the one mean nothing to the other."""
    path = write_trace(tmp_path / "t.jsonl", run_of(step(0), begin=with_prompt()))
    done = softchat("fork", str(path), "--at", "0", "--take", "1", "-m", "smollm2-135m")
    assert done.status == 2
    message, hint = done.err.splitlines()
    assert message.startswith("error: the run is of model (llama, 9 tokens); this is smollm2")
    assert hint.endswith("what was model then is not here now; -m FILE names it")


def test_the_model_of_a_run_is_named_as_it_is_had(softchat, real_model, tmp_path):
    """By its name, by its file where the name means another one now, or by the pull of it."""
    path = tmp_path / "t.jsonl"
    taken = ("fork", str(path), "--at", "0", "--take", "1", "-m")
    then = with_prompt(name="smollm2-plain")
    write_trace(path, run_of(step(0), begin=then))
    other = tiny.write(tmp_path / "tiny.gguf", chat_template="{{ '<think>' }}")
    assert softchat(*taken, str(other)).err.endswith("; -m smollm2-plain\n")
    gone = replace(then, model=replace(then.model, name="gone", path=str(real_model)))
    write_trace(path, run_of(step(0), begin=gone))
    assert softchat(*taken, str(other)).err.endswith(f"; -m {real_model}\n")
    write_trace(path, run_of(step(0), begin=with_prompt(name="qwen3-0.6b")))
    hint = "; softchat models pull qwen3-0.6b, then -m qwen3-0.6b\n"
    assert softchat(*taken, str(other)).err.endswith(hint)


@pytest.mark.parametrize("flag", ["--lens", "--answer-entropy"])
def test_what_the_table_does_not_show_is_refused(softchat, tmp_path, flag):
    """Before anything is read; events and traces have it."""
    done = softchat("fork", "none.jsonl", "--at", "0", flag)
    assert done.status == 2
    assert done.err == f"error: {flag} does nothing here\nhint: with --json, or --trace FILE\n"
    assert "can't read" in softchat("fork", "none.jsonl", "--at", "0", flag, "--json").err


def test_no_model_is_fetched_for_a_trace(softchat, tmp_path):
    """One that models.toml knows, and that is not on this disk: told how to have it."""
    begin = with_prompt(name="qwen3-0.6b")
    path = write_trace(tmp_path / "t.jsonl", run_of(step(0), begin=begin))
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    done = softchat("fork", str(path), "--at", "0", "--take", "1", **nowhere)
    assert done.status == 3
    message, hint = done.err.splitlines()
    assert message == "error: the model of this run, qwen3-0.6b, is not here"
    assert hint == "hint: softchat models pull qwen3-0.6b fetches it; or -m NAME|FILE"


def test_a_token_is_taken_as_it_is_shown(softchat, tmp_path):
    """`·` stands for a space: no such token is told in the same signs."""
    path = write_trace(tmp_path / "t.jsonl", run_of(step(0), begin=with_prompt()))
    done = softchat("fork", str(path), "--at", "0", "--take", "zebra")
    shown = re.search(r"it has (\S+?)[,;]", done.err)[1]
    done = softchat("fork", str(path), "--at", "0", "--take", shown)
    assert "has no token" not in done.err
    assert "is not here" in done.err


def test_a_model_that_was_replaced_is_told(softchat, tmp_path):
    """Of the same size, under the same name, with other tokens: those of the run mean others."""
    model, run = tmp_path / "m.gguf", tmp_path / "run.jsonl"
    tiny.write(model, letters=tiny.ASCII)
    flags = ("--max-think", "4", "--max-answer", "5", "--temperature", "2", "--top-p", "1")
    done = softchat("ask", "hi", "-m", str(model), *flags, "--trace", str(run), "--tau", "0")
    assert done.status == 0, done
    fork = ("fork", str(run), "--at", "2", "--take", "1")
    assert softchat(*fork).status == 0
    tiny.write(model, letters=tiny.ASCII[::-1])
    kept = write_trace(tmp_path / "kept.jsonl", run_of(step(0)))
    before = kept.read_bytes()
    done = softchat(*fork, "--trace", str(kept))
    assert kept.read_bytes() == before, "there is nothing in its place"
    assert done.status == 2, done
    error, hint = done.err.splitlines()[-2:]
    assert re.match(r"error: token \d+ of the run was .*, and is .* here$", error)
    assert hint == "hint: was the model's file replaced? name the one that it had with -m"
