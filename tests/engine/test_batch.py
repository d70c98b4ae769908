"""Several runs at once: each gets what it would get alone."""

from __future__ import annotations

import threading
from importlib.resources import as_file, files

import numpy as np
import pytest

import softchat.engine.batch as batch
import softchat.engine.native as native
from softchat.engine.batch import run_together
from softchat.engine.llama import LlamaEngine
from softchat.engine.protocol import Lora
from softchat.errors import ContextError, DecodeAbortedError, SoftchatError
from tests import zoo

# The largest difference of logits that is taken as the same result, where they span 12: for several
# rows llama.cpp may take the sums of a product in another order than for one.
TOLERANCE = 2e-3


@pytest.fixture
def together(tiny_model):
    with LlamaEngine(tiny_model, n_ctx=1280, n_threads=1, sequences=4) as engine:
        yield engine


def prompt_of(length: int):
    """The tokens of a prompt; shorter ones are what longer ones begin with."""
    return [1, *(3 + i % 60 for i in range(length))]


def job_of(length: int, steps: int):
    """A job: a prompt, then tokens and embeddings by turns; the logits of each decode."""

    def job(engine):
        rng = np.random.default_rng(length)
        rows = [engine.decode_tokens(prompt_of(length)).copy()]
        for step in range(steps):
            if (step + length) % 3:
                weights = rng.dirichlet(np.ones(3)).astype(np.float32)
                embedding = weights @ engine.embedding_rows([5 + step, 9 + step, 40])
                rows.append(engine.decode_embedding(embedding).copy())
            else:
                rows.append(engine.decode_tokens([7 + step]).copy())
        return np.stack(rows)

    return job


# Prompts of unlike length, the longest over a native batch of 512; runs that end early and late.
JOBS = [(1, 12), (700, 3), (40, 20), (9, 0), (300, 5), (5, 9), (600, 2), (17, 16), (3, 1)]


def test_a_context_shorter_than_there_are_sequences(tiny_model):
    """A batch holds a token of each: llama.cpp would abort otherwise."""
    with LlamaEngine(tiny_model, n_ctx=1, n_threads=1, sequences=4) as engine:
        assert len(dict(run_together(engine, [job_of(1, 1)] * 4))) == 4


def test_runs_together_are_runs_alone(engine, together):
    """Whatever else runs beside it, the logits of a run are those that it gives by itself."""
    list(run_together(together, [job_of(8, 2)] * 4))  # leaves no trace
    found = dict(run_together(together, [job_of(*job) for job in JOBS]))
    assert sorted(found) == list(range(len(JOBS)))
    for number, job in enumerate(JOBS):
        engine.rollback(0)
        gap = np.abs(found[number] - job_of(*job)(engine)).max()
        assert gap <= TOLERANCE


def test_a_small_context(tiny_model):
    """Prompts that fill all of a small context, together more than a native batch."""
    jobs = [job_of(length, 1) for length in (250, 254, 200, 253)]
    with LlamaEngine(tiny_model, n_ctx=256, n_threads=1, sequences=4) as engine:
        found = dict(run_together(engine, jobs))
    with LlamaEngine(tiny_model, n_ctx=256, n_threads=1) as engine:
        for number, job in enumerate(jobs):
            engine.rollback(0)
            assert np.abs(found[number] - job(engine)).max() <= TOLERANCE


@pytest.mark.parametrize("model", ["gemma3", "llama4", "mamba", "jamba", "qwen3next"])
def test_other_memories(tmp_path, model):
    """Windows and recurrent states are kept apart too; sums differ by parts of their range."""
    path = tmp_path / "tiny.gguf"
    zoo.write(path, model)
    lengths_and_steps = ((5, 6), (100, 4), (20, 9), (3, 2), (100, 7), (20, 1))
    jobs = [job_of(*job) for job in lengths_and_steps]
    with LlamaEngine(path, n_ctx=256, n_threads=1, sequences=3) as engine:
        found = dict(run_together(engine, jobs, prefix=prompt_of(4)))
    with LlamaEngine(path, n_ctx=256, n_threads=1) as engine:
        for number, job in enumerate(jobs):
            engine.rollback(0)
            alone = job(engine)
            assert np.abs(found[number] - alone).max() <= TOLERANCE * np.ptp(alone)


def test_a_decode_of_all_is_one_native_call(together, monkeypatch):
    """But for their prompts, four runs, soft and hard ones, take the native calls of one."""
    calls = []
    process = native.Context.process
    monkeypatch.setattr(native.Context, "process", lambda self: (calls.append(1), process(self))[1])
    jobs = [job_of(5 + number, 10) for number in range(4)]
    list(run_together(together, jobs))
    assert len(calls) == 4 + 10


@pytest.mark.parametrize("prefix", [0, 20])
def test_what_prompts_share_is_read_once(engine, together, monkeypatch, prefix):
    """A prompt that another run has read is copied, when that run has gone on or ended, too."""
    rows = []
    add = native.Context.add
    monkeypatch.setattr(
        native.Context, "add", lambda self, *given: (rows.append(1), add(self, *given))[1]
    )
    # Six on four sequences: the last two begin where others have ended. Three prompts in all.
    jobs = [job_of(*job) for job in ((40, 9), (40, 0), (600, 2), (600, 5), (40, 3), (25, 1))]
    shared = prompt_of(prefix) if prefix else []
    found = dict(run_together(together, jobs, prefix=shared))
    lone = len(rows) - len(shared) - sum(len(prompt_of(n)) - len(shared) for n in (40, 600, 25))
    # Each step of a run is a row, and two where it is the only run left.
    assert 20 <= lone <= 20 + 9
    for number, job in enumerate(jobs):
        engine.rollback(0)
        assert np.abs(found[number] - job(engine)).max() <= TOLERANCE


def test_a_prompt_that_is_the_prefix(engine, together):
    """Or shorter than it, or unlike it: it is read as any other."""
    jobs = [job_of(length, 2) for length in (20, 21, 3, 19, 20)]
    for prefix in (prompt_of(20), [9, 9, 9]):
        found = dict(run_together(together, jobs, prefix=prefix))
        for number, job in enumerate(jobs):
            engine.rollback(0)
            assert np.abs(found[number] - job(engine)).max() <= TOLERANCE


def test_a_run_that_fails_leaves_the_others_alone(engine, together):
    """One that needs more context than it has fails, and is handed out as the others are."""

    def too_long(engine):
        try:
            engine.decode_tokens([1] * 1281)
        except ContextError as error:
            return str(error)
        return "no error"

    found = dict(run_together(together, [job_of(9, 6), too_long, job_of(30, 6)]))
    assert "1281 tokens" in found[1]
    assert np.abs(found[0] - job_of(9, 6)(engine)).max() <= TOLERANCE


def test_a_native_failure_is_told_to_those_it_hit(together, monkeypatch):
    """If llama.cpp fails, the runs of that batch fail, and the sequence is as before it."""
    process = native.Context.process
    codes = iter([0, 2, 0])  # of the prompt that both have, and of two steps
    monkeypatch.setattr(native.Context, "process", lambda self: process(self) or next(codes))

    def job(engine):
        engine.decode_tokens([1, 2, 3])
        with pytest.raises(DecodeAbortedError):
            engine.decode_tokens([4])
        after = engine.position
        engine.decode_tokens([4])
        return after, engine.position

    assert dict(run_together(together, [job, job])) == {0: (3, 4), 1: (3, 4)}


def test_what_a_job_raises_stops_all(together):
    """A bug in one run ends them all, and is raised with its own traceback."""
    stopped = []

    def endless(engine):
        try:
            while True:
                engine.decode_tokens([5])
        except DecodeAbortedError:
            stopped.append(True)

    def broken(engine):
        engine.decode_tokens([5])
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        list(run_together(together, [endless, broken, endless]))
    assert stopped == [True, True]


def test_whoever_leaves_stops_all(together):
    """When the results are not wanted any more, no thread stays behind."""
    ended = []

    def job(steps):
        def run(engine):
            try:
                for _ in range(steps):
                    engine.decode_tokens([5])
            finally:
                ended.append(steps)

        return run

    results = run_together(together, [job(2), job(1000), job(1000)])
    assert next(results)[0] == 0
    results.close()
    assert ended == [2, 1000, 1000]


def test_runs_that_outlive_their_engine_end_with_an_error(tiny_model):
    """Taken on behind its `with` block they raise, where native code would end the process."""
    with LlamaEngine(tiny_model, n_ctx=128, n_threads=1, sequences=2) as engine:
        results = run_together(engine, [job_of(3, steps) for steps in (1, 30, 3, 4)])
        next(results)
    with pytest.raises(SoftchatError, match="the model was closed"):
        list(results)


def endless(ended, begun=None):
    """A job that ends when it is stopped; each that has begun, and ended, is told."""

    def run(engine):
        if begun is not None:
            begun.append(True)
        try:
            while True:
                engine.decode_tokens([5])
        finally:
            ended.append(True)

    return run


def test_a_signal_while_a_run_is_started_stops_all(together, monkeypatch):
    """The others have ended then, and the thread that comes to life later begins nothing."""
    start = threading.Thread.start
    late, begun, ended = [], [], []

    def interrupted(thread):
        if thread.name == "run 2":
            late.append(thread)
            raise KeyboardInterrupt
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(run_together(together, [endless(ended, begun)] * 3))
    assert ended == begun == [True, True]
    start(late[0])
    late[0].join()
    assert len(begun) == 2


def test_a_signal_while_runs_are_stopped_is_raised_behind_their_end(together, monkeypatch):
    """However often one comes: whoever frees the model then finds no thread in it."""
    stop, ended = batch._Lane.stop, []
    signals = iter([True, False, True, False, False])

    def interrupted(lane):
        if next(signals):
            raise KeyboardInterrupt
        stop(lane)

    monkeypatch.setattr(batch._Lane, "stop", interrupted)
    results = run_together(together, [job_of(1, 1), *[endless(ended)] * 3])
    next(results)
    with pytest.raises(KeyboardInterrupt):
        results.close()
    assert ended == [True] * 3


def test_an_engine_is_freed_when_its_runs_have_ended(tiny_model):
    """Also where the loop over their results raises, and somebody holds it still."""
    ended, at_free = [], []

    engine = LlamaEngine(tiny_model, n_ctx=128, n_threads=1, sequences=3)
    engine._owned.callback(lambda: at_free.extend(ended))  # called before all else is freed
    results = run_together(engine, [job_of(3, 1), *[endless(ended)] * 2])

    def leave():
        with engine:
            for _ in results:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        leave()
    assert at_free == [True, True]


def test_cancelling_reaches_every_run(tiny_model):
    """What `cancelled` says while a batch is decoded is heard by all runs in it."""
    asked = []
    with LlamaEngine(
        tiny_model, n_ctx=256, n_threads=1, sequences=3, cancelled=lambda: bool(asked)
    ) as engine:

        def job(lane):
            for _ in range(3):
                lane.decode_tokens([5])
            asked.append(True)
            with pytest.raises(DecodeAbortedError):
                lane.decode_tokens([5])
            return lane.position

        assert dict(run_together(engine, [job] * 3)) == {0: 3, 1: 3, 2: 3}


def test_an_adapter_shows_nothing_of_who_is_beside(real_model):
    """With a LoRA adapter, too, a run gives the same bits beside one run, beside seven, and last.

    llama.cpp takes the adapter's products in another order for one row than for several, and what
    is rounded otherwise in one layer grows in the next.
    """
    with as_file(files("softchat") / "adapters" / "smollm2-135m.gguf") as path:
        loras = (Lora(path=path),)
        found = []
        for beside in (0, 1, 7):
            jobs = [job_of(15, 12), *(job_of(8 + number, 3 + number) for number in range(beside))]
            with LlamaEngine(real_model, n_ctx=64, n_threads=1, sequences=8, loras=loras) as engine:
                found.append(dict(run_together(engine, jobs))[0])
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_at_the_end_of_the_context(tiny_model):
    """A run that is alone fills its context to the last position, as it would by itself."""
    with LlamaEngine(tiny_model, n_ctx=64, n_threads=1, sequences=2) as engine:
        size = engine.info.n_ctx
        found = dict(run_together(engine, [job_of(size - 6, 5)]))[0]
    with LlamaEngine(tiny_model, n_ctx=64, n_threads=1) as engine:
        assert engine.info.n_ctx == size
        assert np.abs(found - job_of(size - 6, 5)(engine)).max() <= TOLERANCE


def test_on_the_real_model(real_model):
    """On SmolLM2, runs together are bit for bit runs alone: soft and hard, long and short ones."""
    jobs = [job_of(length, 4) for length in (3, 90, 11, 60, 60, 11)]
    with LlamaEngine(real_model, n_ctx=128, n_threads=1, sequences=3) as engine:
        found = dict(run_together(engine, jobs))
    with LlamaEngine(real_model, n_ctx=128, n_threads=1) as engine:
        for number, job in enumerate(jobs):
            engine.rollback(0)
            assert np.array_equal(found[number], job(engine))
