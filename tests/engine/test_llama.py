"""The engine on a tiny model, and what must hold on the real one."""

from __future__ import annotations

import signal
from dataclasses import replace

import llama_cpp
import numpy as np
import pytest

import softchat.engine.native as native
from softchat.engine import llama
from softchat.engine.batch import run_together
from softchat.engine.embeddings import EmbeddingTable
from softchat.engine.llama import LlamaEngine
from softchat.engine.protocol import LONGEST_DEFAULT_CONTEXT
from softchat.errors import (
    ContextError,
    DecodeAbortedError,
    DecodeError,
    ModelRefusedError,
    NumericsError,
    SoftchatError,
)
from softchat.events import Mode, Step
from softchat.prompt.template import make_prompt, single_turn
from softchat.settings import StrategyName, resolve
from softchat.thinking.prompt import Prompt
from softchat.thinking.think import think
from tests import tiny, zoo

PROMPT = [1, 17, 42, 5]
CHOOSES_HARD = {
    StrategyName.SWITCHING,
    StrategyName.ADAPTIVE,
    StrategyName.SELAR,
    StrategyName.THINKROUTER,
}
"""Strategies that feed some steps as tokens, others as mixtures."""


def test_a_row_is_its_token(engine):
    """E[token] as an embedding gives the logits of the token, bit for bit, at any position."""
    for token in (3, 50, 95):
        place = engine.position
        by_token = engine.decode_tokens([token]).copy()
        engine.rollback(place)
        by_row = engine.decode_embedding(engine.embedding_rows([token])[0]).copy()
        assert by_token.tobytes() == by_row.tobytes()


def test_a_vocabulary_for_another_tokenizer_is_refused(tmp_path):
    """RWKV's tokenizer gives -1 for what the pieces of others do not spell."""
    path = tiny.write(tmp_path / "other.gguf", tokenizer="rwkv")
    with LlamaEngine(path, n_ctx=64, n_threads=1) as engine:
        with pytest.raises(ModelRefusedError, match=r"of other\.gguf gives tokens that are none"):
            engine.tokenize("why?")
        assert engine.tokenize("") == []


def test_loading_leaves_no_trace(engine, tiny_model):
    """After the proof the sequence is empty, and logits are those of any other fresh engine."""
    assert engine.position == 0
    first = engine.decode_tokens(PROMPT).copy()
    with LlamaEngine(tiny_model, n_ctx=1280, n_threads=1) as other:
        assert other.decode_tokens(PROMPT).tobytes() == first.tobytes()
    engine.rollback(0)
    assert engine.decode_tokens(PROMPT).tobytes() == first.tobytes()


def test_the_proof_costs_three_native_calls(tiny_model, monkeypatch):
    """One decode without logits, one of the token, one of its row."""
    calls = []
    process = native.Context.process
    monkeypatch.setattr(native.Context, "process", lambda self: (calls.append(1), process(self))[1])
    LlamaEngine(tiny_model, n_ctx=64, n_threads=1).close()
    assert len(calls) == 3


def test_a_model_that_cannot_be_proven_is_refused(tiny_model, monkeypatch):
    """If rows are not what the model looks up for its tokens, it is refused by name, with why."""
    rows = EmbeddingTable.rows
    monkeypatch.setattr(EmbeddingTable, "rows", lambda self, ids: rows(self, ids) * 1.01)
    with pytest.raises(ModelRefusedError, match=r"exact on tiny\.gguf \(llama\)"):
        LlamaEngine(tiny_model, n_ctx=64, n_threads=1)


def test_a_scale_is_found_and_proven(tiny_model, monkeypatch):
    """Where token input is sqrt(D) times its row, as in Gemma 3, the proof finds that scale."""
    rows = EmbeddingTable.rows
    root = np.float32(np.sqrt(tiny.WIDTH))
    monkeypatch.setattr(EmbeddingTable, "rows", lambda self, ids: rows(self, ids) / root)
    with LlamaEngine(tiny_model, n_ctx=64, n_threads=1) as engine:
        assert engine.scale == pytest.approx(root)
        expected = tiny.weights()["token_embd.weight"][[7]]
        np.testing.assert_allclose(engine.embedding_rows([7]), expected, rtol=1e-6)


@pytest.mark.parametrize("length", [1, 511, 512, 513, 1024, 1025, 1279, 1280])
def test_prompts_longer_than_a_batch(engine, length):
    """Around the batch size of 512 nothing aborts, and the logits are those of smaller pieces."""
    tokens = [1 + i % 90 for i in range(length)]
    whole = engine.decode_tokens(tokens).copy()
    assert engine.position == length
    engine.rollback(0)
    for first in range(0, length, 100):
        pieces = engine.decode_tokens(tokens[first : first + 100])
    np.testing.assert_allclose(whole, pieces, atol=2e-2)


def test_a_full_context_is_an_error_and_no_more(engine):
    """One token too many is refused before native code; the engine goes on after a rollback."""
    before = engine.decode_tokens(PROMPT).copy()
    with pytest.raises(ContextError, match="1280"):
        engine.decode_tokens([3] * 1277)
    assert engine.position == len(PROMPT)
    engine.decode_tokens([3] * 1276)
    with pytest.raises(ContextError):
        engine.decode_embedding(engine.embedding_rows([3])[0])
    engine.rollback(0)
    assert engine.decode_tokens(PROMPT).tobytes() == before.tobytes()


def bad_row(rng):
    """A row that is none: of another width, rank or type, or not finite somewhere."""
    row = rng.standard_normal(tiny.WIDTH).astype(np.float32)
    match rng.integers(5):
        case 0:
            return np.resize(row, rng.choice([*range(tiny.WIDTH), tiny.WIDTH + 1, 4096]))
        case 1:
            return row.reshape([(1, -1), (-1, 1), (2, -1), (1, 1, -1)][rng.integers(4)])
        case 2:
            return row.astype(rng.choice(["f8", "f2", "i4", "c8", "?", ">f4"]))
        case 3:
            return np.repeat(row, 2)[:: rng.choice([1, 3])]
        case _:
            row[rng.integers(tiny.WIDTH)] = rng.choice([np.nan, np.inf, -np.inf])
            return row


def test_bad_rows_never_reach_native_code(engine, monkeypatch):
    """A thousand of them are refused before any native call, and the cache is not poisoned."""
    engine.decode_tokens(PROMPT)
    expected = engine.decode_tokens([9]).copy()
    engine.rollback(len(PROMPT))
    rng = np.random.default_rng(0)
    with monkeypatch.context() as patched:
        patched.setattr(native.Context, "clear", lambda self: pytest.fail("native code was called"))
        for _ in range(1000):
            with pytest.raises((NumericsError, ValueError), match="embedding"):
                engine.decode_embedding(bad_row(rng))
    assert engine.position == len(PROMPT)
    assert engine.decode_tokens([9]).tobytes() == expected.tobytes()


def test_a_row_need_not_be_contiguous(engine):
    """It is copied to a place of its own: every second number of a longer one is a row too."""
    row = engine.embedding_rows([9])[0]
    expected = engine.decode_embedding(row).copy()
    engine.rollback(0)
    assert engine.decode_embedding(np.repeat(row, 2)[::2]).tobytes() == expected.tobytes()


@pytest.mark.parametrize("token", [-1, tiny.VOCABULARY, 2**31 - 1])
def test_a_token_that_is_none_is_an_error(engine, token):
    """llama.cpp refuses it, and the engine goes on."""
    engine.decode_tokens(PROMPT)
    with pytest.raises(DecodeError):
        engine.decode_tokens([5, token])
    assert engine.position == len(PROMPT)
    engine.decode_tokens([9])


def test_a_cancelled_decode_is_undone(tiny_model):
    """A decode that is stopped half way leaves the sequence as it was before it."""
    stop = [False]
    with LlamaEngine(tiny_model, n_ctx=1280, n_threads=1, cancelled=lambda: stop[0]) as engine:
        engine.decode_tokens(PROMPT)
        expected = engine.decode_tokens([9]).copy()
        engine.rollback(len(PROMPT))
        stop[0] = True
        with pytest.raises(DecodeAbortedError):
            engine.decode_tokens([3] * 900)
        stop[0] = False
        assert engine.position == len(PROMPT)
        assert engine.decode_tokens([9]).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "use",
    [
        lambda engine: engine.decode_tokens([5]),
        lambda engine: engine.decode_embedding(np.ones(tiny.WIDTH, np.float32)),
        lambda engine: engine.embedding_rows([5]),
        lambda engine: engine.rollback(0),
        lambda engine: engine.tokenize("a"),
        lambda engine: engine.piece(7),
        lambda engine: engine.is_end(7),
        lambda engine: engine.is_special(7),
        lambda engine: engine.special_text("bos"),
        lambda engine: engine.adds_bos,
        lambda engine: engine.chat_template,
        lambda engine: engine.grammar('root ::= "a"'),
        lambda engine: engine.save_state(),
        lambda engine: engine.load_state(b"", 1),
        lambda engine: engine.context.logits(),
        lambda engine: list(run_together(engine, [lambda lane: lane.position])),
    ],
)
def test_a_closed_engine_says_so(tiny_model, use):
    """Whatever would need native memory is an error, not the end of the process; also twice."""
    engine = LlamaEngine(tiny_model, n_ctx=64, n_threads=1)
    engine.decode_tokens(PROMPT)
    for _ in range(2):
        engine.close()
        with pytest.raises(SoftchatError, match="the model was closed") as info:
            use(engine)
        assert info.value.hint == "use it inside its `with` block"
    assert engine.info.n_ctx == 256
    assert not hasattr(engine, "frobnicate")


@pytest.mark.parametrize("taken", range(1, 8))
def test_a_run_on_an_engine_that_is_closed(tiny_model, taken):
    """Wherever it stands, it tells nothing wrong: at most one event more, then the error."""
    tag = tiny.LETTERS[0]
    prompt = Prompt(tokens=tuple(PROMPT), close=tag, inject=tag)
    settings = resolve({}, {"seed": 1, "tau": 0.0, "max_answer": 8})
    with LlamaEngine(tiny_model, n_ctx=64, n_threads=1) as engine:
        expected = timeless(think(engine, prompt, settings))
        engine.rollback(0)
        run = think(engine, prompt, settings)
        told = [next(run) for _ in range(taken)]
    with pytest.raises(SoftchatError, match="the model was closed"):
        told += run
    assert len(told) <= taken + 1
    assert timeless(told) == expected[: len(timeless(told))]


def test_no_rollback_to_before_the_beginning(engine):
    """A negative position is refused, and the sequence stays as it is."""
    engine.decode_tokens(PROMPT)
    expected = engine.decode_tokens([9]).copy()
    engine.rollback(len(PROMPT))
    with pytest.raises(ValueError, match="no position -1"):
        engine.rollback(-1)
    assert engine.decode_tokens([9]).tobytes() == expected.tobytes()


def test_a_file_without_its_weights_is_refused(tmp_path):
    """A vocabulary alone, a missing table, a missing tensor: each is refused with its reason."""
    cases = {
        "all": "vocabulary only",
        "token_embd.weight": "no token-embedding matrix",
        "blk.1.ffn_up.weight": "blk.1.ffn_up",
    }
    for number, (tensor, reason) in enumerate(cases.items()):
        path = tiny.write(tmp_path / f"{number}.gguf", leave_out=tensor)
        with pytest.raises(ModelRefusedError, match=reason):
            LlamaEngine(path, n_ctx=64, n_threads=1)


def test_every_cut_of_a_file_is_refused(tiny_model, tmp_path):
    """Wherever a file is cut short, it is refused and the process lives."""
    data = tiny_model.read_bytes()
    for share in (0.01, 0.1, 0.3, 0.5, 0.9, 0.999):
        path = tmp_path / "cut.gguf"
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ModelRefusedError):
            LlamaEngine(path, n_ctx=64, n_threads=1)


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_a_model_that_looks_ahead_is_an_embedding_model(tmp_path, kind):
    """Whatever its architecture: its header says that what comes later is looked at too."""
    path = zoo.write(tmp_path / "m.gguf", kind, **{"attention.causal": False})
    with pytest.raises(ModelRefusedError, match=r"m\.gguf is an embedding model"):
        LlamaEngine(path, n_ctx=64, n_threads=1)
    path = zoo.write(tmp_path / "m.gguf", kind, **{"attention.causal": True})
    LlamaEngine(path, n_ctx=64, n_threads=1).close()


def test_a_split_model(tiny_model, tmp_path):
    """A model in parts, the table in the last one, gives the logits of the whole."""
    first = tiny.write(tmp_path / "parts.gguf", parts=3)
    with LlamaEngine(tiny_model, n_ctx=64, n_threads=1) as whole:
        expected = whole.decode_tokens(PROMPT).copy()
    with LlamaEngine(first, n_ctx=64, n_threads=1) as engine:
        assert engine.decode_tokens(PROMPT).tobytes() == expected.tobytes()
    first.with_name("parts-00002-of-00003.gguf").unlink()
    with pytest.raises(ModelRefusedError, match="missing"):
        LlamaEngine(first, n_ctx=64, n_threads=1)


def steps_of(engine, question, **flags):
    engine.rollback(0)
    never = {"tau": 0.0, "loop_steps": 0, "drift_steps": 0}
    base = never | {"max_think": 64, "max_answer": 8, "answer_temperature": 0.0}
    events = list(
        think(engine, make_prompt(engine, single_turn(question)), resolve({}, base | flags))
    )
    return events, [e.concept[0].id for e in events if isinstance(e, Step)]


def timeless(events):
    """The steps, without when they were made."""
    return [replace(event, elapsed_s=0.0) for event in events if isinstance(event, Step)]


def test_one_token_concepts_are_greedy_decoding(real_model):
    """On the real model `topn=1` reproduces greedy decoding, token for token, and the answer."""
    with LlamaEngine(real_model, n_ctx=1024) as engine:
        engine.is_end = lambda token: False  # 64 steps, whatever the model would rather do
        soft, soft_path = steps_of(engine, "Why is the sky blue?", topn=1)
        hard, hard_path = steps_of(engine, "Why is the sky blue?", strategy="hard", temperature=0.0)
    assert len(soft_path) == 64
    assert soft_path == hard_path
    assert soft[-1].answer == hard[-1].answer


def test_every_strategy_is_the_same_run_for_a_seed(real_model):
    """On the real model: same seed, same steps and answer, to the last bit of every weight."""
    runs = {}
    with LlamaEngine(real_model, n_ctx=512, n_threads=1) as engine:
        engine.is_end = lambda token: False
        for name in StrategyName:
            flags = {"strategy": name, "max_think": 12, "switch_window": 2, "seed": 3}
            first, _ = steps_of(engine, "Why is the sky blue?", **flags)
            again, _ = steps_of(engine, "Why is the sky blue?", **flags)
            runs[name] = timeless(first)
            assert runs[name] == timeless(again)
            assert len(runs[name]) == 12
            assert first[-1].answer == again[-1].answer
            modes = {step.mode for step in runs[name]}
            if name in CHOOSES_HARD:
                assert modes == set(Mode)
            else:
                assert modes == {Mode.HARD if name is StrategyName.HARD else Mode.SOFT}
    assert len({str(run) for run in runs.values()}) == len(StrategyName)


def test_the_real_model_needs_no_scale(real_model):
    """SmolLM2 takes its rows as they are, and its description is its header's."""
    with LlamaEngine(real_model, n_ctx=512) as engine:
        assert engine.scale == 1.0
        assert (engine.info.n_vocab, engine.info.n_embd) == (49152, 576)
        assert engine.info.architecture == "llama"
        assert (
            engine.tokenize("a b<|im_end|>", special=True)[-1]
            == engine.tokenize("<|im_end|>", special=True)[0]
        )
        assert engine.is_end(engine.tokenize("<|im_end|>", special=True)[0])


@pytest.mark.parametrize("context", [0, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_trained_context_that_can_not_be(tmp_path, context):
    """None, the longest there is, a negative one: no more than is needed is taken."""
    path = tiny.write(tmp_path / "m.gguf", context=context)
    with LlamaEngine(path, n_ctx_most=300) as engine:
        assert 300 <= engine.info.n_ctx <= 512
    with LlamaEngine(path) as engine:
        assert engine.info.n_ctx == LONGEST_DEFAULT_CONTEXT


@pytest.mark.parametrize(("asked", "taken"), [(0, 3), (1, 1), (2, 2)])
def test_threads_are_the_free_cores(tiny_model, monkeypatch, asked, taken):
    """0 is what suits this machine now, not llama.cpp's own four; else as many as are asked for."""
    monkeypatch.setattr(llama, "default_threads", lambda: 3)
    with LlamaEngine(tiny_model, n_ctx=64, n_threads=asked) as engine:
        context = engine.context.handle
        assert llama_cpp.llama_n_threads(context) == taken
        assert llama_cpp.llama_n_threads_batch(context) == taken


class Alarm(Exception):  # noqa: N818  # of a signal
    """What a program raises when its time is over."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.5])
def test_what_a_signal_raises_in_a_decode_is_raised(real_model, capfd, after_s):
    """As Ctrl-C does in a program of one's own: llama.cpp stops, and nothing of it is kept."""

    def ring(*_):
        raise Alarm

    with LlamaEngine(real_model, n_ctx=2048, n_threads=1) as engine:
        capfd.readouterr()
        before = signal.signal(signal.SIGALRM, ring)
        try:
            signal.setitimer(signal.ITIMER_REAL, after_s)
            with pytest.raises(Alarm):
                engine.decode_tokens([1000 + n for n in range(2000)])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert engine.position == 0
        assert capfd.readouterr() == ("", "")
        engine.decode_tokens([1, 2, 3])


def test_what_is_raised_while_a_model_is_loaded_is_raised(tiny_model, capfd):
    """By the function that is asked whether to stop; nothing is printed."""

    def asked():
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        LlamaEngine(tiny_model, n_ctx=64, n_threads=1, cancelled=asked)
    assert capfd.readouterr() == ("", "")
