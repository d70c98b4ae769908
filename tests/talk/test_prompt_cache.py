"""Long prompts on disk: found again by their beginning, equal afterwards, never trusted."""

from __future__ import annotations

import json
import os
import stat
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from softchat.engine.kv_cache import CachedSequence
from softchat.engine.llama import LlamaEngine
from softchat.engine.protocol import BATCH, Lora
from softchat.settings import resolve
from softchat.talk import prompt_cache
from softchat.talk.backend import ChatRequest
from softchat.talk.load import Load
from softchat.talk.open import open_backend
from softchat.talk.prompt_cache import LEAST, PromptCache, clear, entries
from tests import tiny, zoo
from tests.engine.test_adapters import write


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("tiny") / "tiny.gguf", letters=tiny.ASCII)


@pytest.fixture
def open_engine(tiny_model):
    """A function that opens the tiny model as a new process would."""
    opened = []

    def open_(path=tiny_model, **how):
        opened.append(LlamaEngine(path, n_ctx=1024, n_threads=1, **how))
        return opened[-1]

    yield open_
    for engine in opened:
        engine.close()


def tokens_of(count, *, last=5):
    return [3 + i % 7 for i in range(count - 1)] + [last]


def kept(open_engine, folder, tokens):
    """The prompt cache of a process that has read this."""
    engine = open_engine()
    sequence, cache = CachedSequence(engine), PromptCache(folder, engine)
    sequence.decode_tokens(tokens)
    cache.keep(sequence, model="m")
    return cache


def test_what_was_read_need_not_be_read_again(tmp_path, open_engine):
    """And the logits are those of a process that has read it all."""
    tokens = tokens_of(400)
    kept(open_engine, tmp_path, tokens)
    engine = open_engine()
    sequence = CachedSequence(engine)
    assert PromptCache(tmp_path, engine).restore(sequence, [*tokens, 4, 6], model="m") == 400
    assert sequence.position == 400
    restored = sequence.decode_tokens([4, 6]).copy()
    other = open_engine()
    other.decode_tokens(tokens)
    assert np.array_equal(restored, other.decode_tokens([4, 6]))


LONG = ChatRequest(text=" ".join(f"The dog ran to house {n} and saw a cat." for n in range(40)))


def told_of(backend):
    """All that a turn tells but times."""
    settings = resolve({"seed": 3, "max_think": 4, "max_answer": 6})
    return [
        getattr(event, "concept", None) or getattr(event, "answer", None)
        for event in backend.ask(LONG, settings)
    ]


def test_what_is_asked_once_more_is_answered_as_it_was(tmp_path, real_model):
    """To the last bit: in a session, and in a process that finds the prompt on disk.

    llama.cpp's attention sums a prompt as long as this in blocks, and one token alone otherwise.
    """
    load = Load(path=real_model, name="m", n_ctx=1024, n_threads=1, prompt_cache=tmp_path)
    with open_backend(load) as backend:
        first = told_of(backend)
        assert told_of(backend) == first
    assert entries(tmp_path)
    with open_backend(load) as backend:
        assert told_of(backend) == first
    with open_backend(replace(load, prompt_cache=None)) as backend:
        assert told_of(backend) == first


def test_another_question_on_a_text_changes_nothing(tmp_path, real_model):
    """Of what it leaves on disk whole batches are taken: the next one reads on as if alone."""
    text = " ".join(f"The dog ran to house {n} and saw a cat." for n in range(80))
    load = Load(path=real_model, name="m", n_ctx=2048, n_threads=1, prompt_cache=tmp_path)
    settings = resolve({"seed": 3, "max_think": 4, "max_answer": 6})

    def entropies(load, question):
        with open_backend(load) as backend:
            events = [*backend.ask(ChatRequest(text=f"{text} {question}"), settings)]
        steps = [event.entropy for event in events if event.event == "step"]
        return steps, next(event.cached for event in events if event.event == "prefill")

    alone, read = entropies(replace(load, prompt_cache=None), "Who ran?")
    assert read == 0
    entropies(load, "Why, and to which house did it run at last?")
    assert entropies(load, "Who ran?") == (alone, 2 * BATCH)


def test_a_session_that_goes_on_takes_all_that_is_shared(tmp_path, open_engine):
    """It was read in pieces anyway."""
    tokens = tokens_of(400)
    kept(open_engine, tmp_path, tokens)
    engine = open_engine()
    for exact, shared in ((False, 400), (True, 0)):
        sequence, wanted = CachedSequence(engine), [*tokens, 4, 6]
        cache = PromptCache(tmp_path, engine)
        assert cache.restore(sequence, wanted, model="m", exact=exact) == shared
    assert cache.restore(sequence, tokens, model="m", exact=True) == 400


def test_a_shared_beginning_is_enough(tmp_path, open_engine):
    """As of a file with another question behind it; what lies behind is forgotten."""
    kept(open_engine, tmp_path, [*tokens_of(300), 8, 8, 8])
    engine = open_engine()
    sequence = CachedSequence(engine)
    wanted = [*tokens_of(300), 9, 9]
    assert PromptCache(tmp_path, engine).restore(sequence, wanted, model="m") == 300
    assert sequence.rewind(wanted) == 300
    restored = sequence.decode_tokens([9, 9]).copy()
    other = open_engine()
    other.decode_tokens(tokens_of(300))
    assert np.array_equal(restored, other.decode_tokens([9, 9]))


def test_soft_positions_are_left_out(tmp_path, open_engine):
    """Only the tokens before the first thought are found again."""
    engine = open_engine()
    sequence, tokens = CachedSequence(engine), tokens_of(300)
    sequence.decode_tokens(tokens)
    sequence.decode_embedding(engine.embedding_rows([3, 4]).mean(axis=0))
    sequence.decode_tokens([7])
    PromptCache(tmp_path, engine).keep(sequence, model="m")
    (entry,) = entries(tmp_path)
    assert entry.count == 300
    later = CachedSequence(open_engine())
    assert PromptCache(tmp_path, later._engine).restore(later, [*tokens, 7, 7], model="m") == 300
    assert later.position == 300


@pytest.mark.parametrize("count", [LEAST - 1, LEAST])
def test_what_is_short_is_not_kept(tmp_path, open_engine, count):
    """It is read sooner than a file is written."""
    kept(open_engine, tmp_path, tokens_of(count))
    assert len(entries(tmp_path)) == (count >= LEAST)


def test_a_little_more_is_not_kept_again(tmp_path, open_engine):
    """A turn behind a long prompt makes no second file; much more does."""
    engine = open_engine()
    sequence, cache = CachedSequence(engine), PromptCache(tmp_path, engine)
    sequence.decode_tokens(tokens_of(300))
    for more, count in ((40, 1), (300, 2)):
        cache.keep(sequence, model="m")
        sequence.decode_tokens(tokens_of(more))
        cache.keep(sequence, model="m")
        assert len(entries(tmp_path)) == count


def test_it_is_private(tmp_path, open_engine):
    """What was said is in it."""
    kept(open_engine, tmp_path / "new" / "prompts", tokens_of(300))
    (entry,) = entries(tmp_path / "new" / "prompts")
    assert stat.S_IMODE(entry.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(entry.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("at", [0, 30, 200, 2_000, -1])
def test_a_damaged_file_is_removed_and_the_prompt_read_anew(tmp_path, open_engine, at):
    """Wherever the damage is: llama.cpp never sees it."""
    tokens = tokens_of(300)
    kept(open_engine, tmp_path, tokens)
    (path,) = tmp_path.glob("*.kv")
    data = bytearray(path.read_bytes())
    data[at] ^= 0x55
    path.write_bytes(data)
    engine = open_engine()
    sequence = CachedSequence(engine)
    assert PromptCache(tmp_path, engine).restore(sequence, [*tokens, 4], model="m") in (0, 300)
    if sequence.position:  # a byte of the head that says nothing about the memory
        assert at < 2_000
    else:
        assert entries(tmp_path) == [] or at < 2_000


def rewritten(path, change):
    """The file of a prompt, as who changes it and knows its checks writes it again."""
    magic, rest = path.read_bytes().split(b"\n", 1)
    size = int.from_bytes(rest[:4], "little")
    head, rest = json.loads(rest[4 : 4 + size]), rest[4 + size :]
    told, rest = rest[: 4 * head["count"]], rest[4 * head.pop("count") :]
    state, logits = rest[: head["bytes"]], rest[head["bytes"] :]
    del head["bytes"], head["crc32"], head["logits"]
    head, state = change(head | {"count": len(told) // 4}, state)
    logits = head.pop("behind", logits)
    sums = zlib.crc32(logits, zlib.crc32(state, zlib.crc32(told)))
    head = {"bytes": len(state), "logits": len(logits), "crc32": sums} | head
    text = json.dumps(head).encode()
    path.write_bytes(magic + b"\n" + len(text).to_bytes(4, "little") + text + told + state + logits)


@pytest.mark.parametrize(
    "change",
    [
        *(lambda head, state, n=n: (head | {"positions": n}, state) for n in (-5, 3, 299, 301)),
        *(lambda head, state, n=n: (head | {"positions": n}, state) for n in (2**31, 2**70, "300")),
        *(
            lambda head, state, n=n: (head | {"count": n}, state)
            for n in ("4", 1.5, float("inf"), None, [4], -1, 0, 299, 301, 2**31 - 1, 2**62)
        ),
        *(lambda head, state, n=n: (head | {"bytes": n}, state) for n in (-1, 0, 2**40, "4", None)),
        *(
            lambda head, state, ends=ends: (head | {"ends": ends}, state)
            for ends in ([0], [301], [300, 299], [], "x", [True], None, [2**70])
        ),
        *(lambda head, state, n=n: (head | {"batched": n}, state) for n in (-1, 301, "x", None)),
        *(
            lambda head, state, logits=logits: (head | {"behind": logits}, state)
            for logits in (b"", bytes(4), b"\xff" * 4 * tiny.VOCABULARY)
        ),
        lambda head, state: (head | {"model": 3}, state),
        lambda head, state: ({}, state),
        lambda head, _: (head, b""),
        lambda head, state: (head, state[:100]),
        lambda head, state: (head, bytes(len(state))),
    ],
)
def test_a_file_that_lies_is_not_believed(tmp_path, open_engine, change):
    """The prompt is read anew, and its logits are those of a process that has no such file."""
    tokens = tokens_of(300)
    kept(open_engine, tmp_path, tokens)
    (path,) = tmp_path.glob("*.kv")
    rewritten(path, change)
    engine = open_engine()
    sequence = CachedSequence(engine)
    assert PromptCache(tmp_path, engine).restore(sequence, [*tokens, 4], model="m") == 0
    assert sequence.position == 0
    other = open_engine()
    assert np.array_equal(sequence.decode_tokens(tokens), other.decode_tokens(tokens))


@pytest.mark.skipif(os.name != "posix", reason="pipes with a name are of POSIX")
@pytest.mark.parametrize(
    "put",
    [
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.write_bytes(b"softchat prompt cache 3\n\x00\x10\x00\x00" + b"[" * 2**17),
        lambda path: path.write_bytes(b"softchat prompt cache 3\n\xff\xff\xff\xff" + b"[" * 2**17),
        lambda path: path.write_bytes(b"softchat prompt cache 2\n\x02\x00\x00\x00{}"),
    ],
)
def test_what_is_no_such_file_is_passed_over(tmp_path, put):
    """A pipe, which would be waited for; a folder; lists in lists; an older softchat's."""
    put(tmp_path / "1795895366-453b8ac9.kv")
    assert entries(tmp_path) == []
    clear(tmp_path)


def test_thousands_of_files_delay_nothing(tmp_path, open_engine, monkeypatch):
    """The newest are looked into, up to the end of the head, and its tokens up to the prompt's end.

    The prompt is found among them all the same, and the room that they take is had back.
    """
    tokens = tokens_of(300)
    kept(open_engine, tmp_path, tokens)
    (own,) = tmp_path.glob("*.kv")
    length = len(own.read_bytes().split(b"}", 1)[0]) + 1
    for i in range(40):
        file = own.with_name(f"{i}-00000000.kv")
        file.write_bytes(own.read_bytes())
        rewritten(file, lambda head, state, i=i: (head | {"key": f"{i % 2}"}, state))
        os.truncate(file, 2**24)
        os.utime(file, (1, i))  # older than the other one
    read = []

    class Counted:
        def __init__(self, path):
            self._file = opened(path)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._file.close()

        def __getattr__(self, name):
            return getattr(self._file, name)

        def read(self, size):
            data = self._file.read(size)
            read.append(len(data))
            return data

    opened = prompt_cache._open
    monkeypatch.setattr(prompt_cache, "_open", Counted)
    monkeypatch.setattr(prompt_cache, "LOOKED_AT", 20)
    assert len(entries(tmp_path)) == 20
    assert 19 * 100 < sum(read) < 20 * (length + 40)
    engine = open_engine()
    sequence = CachedSequence(engine)
    assert PromptCache(tmp_path, engine).restore(sequence, [*tokens, 4], model="m") == 300
    sequence.decode_tokens([4] * LEAST)
    most = own.stat().st_size * 5 // 2
    PromptCache(tmp_path, engine, most_bytes=most).keep(sequence, model="m")
    (entry,) = entries(tmp_path)
    assert entry.count == 300 + LEAST  # it is more of the same, and the only one left
    assert list(tmp_path.iterdir()) == [entry.path]


def test_the_files_of_others_are_theirs(tmp_path, open_engine):
    """Where the folder is a link to one that others use too."""
    kept(open_engine, tmp_path, tokens_of(300))
    (tmp_path / "mine.kv").write_text("precious")
    assert (clear(tmp_path), entries(tmp_path)) == (1, [])
    assert (tmp_path / "mine.kv").read_text() == "precious"


def test_a_file_that_was_cut_short(tmp_path, open_engine):
    """As by a disk that filled up."""
    tokens = tokens_of(300)
    kept(open_engine, tmp_path, tokens)
    (path,) = tmp_path.glob("*.kv")
    path.write_bytes(path.read_bytes()[:-100])
    engine = open_engine()
    sequence = CachedSequence(engine)
    assert PromptCache(tmp_path, engine).restore(sequence, [*tokens, 4], model="m") == 0
    assert (sequence.position, list(tmp_path.glob("*.kv"))) == (0, [])


def test_another_model_or_adapter_has_its_own(tmp_path, open_engine, tiny_model):
    """The same tokens mean something else to it."""
    tokens = tokens_of(300)
    kept(open_engine, tmp_path, tokens)
    other = tmp_path / "other.gguf"
    other.write_bytes(tiny_model.read_bytes())
    adapted = write(tmp_path / "lora.gguf")
    for engine in (open_engine(other), open_engine(loras=[Lora(path=adapted)])):
        cache = PromptCache(tmp_path, engine)
        assert cache.restore(CachedSequence(engine), [*tokens, 4], model="m") == 0
    assert len(entries(tmp_path)) == 1


def test_the_folder_stays_within_its_bound(tmp_path, open_engine):
    """The oldest go; what is larger than all of it is not kept."""
    engine = open_engine()
    sequence = CachedSequence(engine)
    sequence.decode_tokens(tokens_of(300))
    PromptCache(tmp_path, engine).keep(sequence, model="m")
    (first,) = entries(tmp_path)
    sequence.rollback(0)
    sequence.decode_tokens([9, *tokens_of(300)])
    PromptCache(tmp_path, engine, most_bytes=first.bytes * 3 // 2).keep(sequence, model="m")
    (second,) = entries(tmp_path)
    assert second.path != first.path
    sequence.rollback(0)
    sequence.decode_tokens([8, *tokens_of(300)])
    PromptCache(tmp_path, engine, most_bytes=first.bytes // 2).keep(sequence, model="m")
    assert entries(tmp_path) == [second]
    assert (clear(tmp_path), entries(tmp_path)) == (1, [])


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path, open_engine):
    """The turn goes on."""
    (tmp_path / "file").touch()
    kept(open_engine, tmp_path / "file" / "prompts", tokens_of(300))


def test_a_backend_goes_on_where_an_earlier_one_was(tmp_path, tiny_model):
    """The events tell it, and are the same otherwise."""
    load = Load(path=tiny_model, name="t", n_ctx=1024, n_threads=1, prompt_cache=tmp_path)
    assert Load.read(load.to_dict()) == load
    settings = resolve({"max_think": 3, "max_answer": 4, "seed": 1, "tau": 0})
    runs = []
    for _ in range(2):
        with open_backend(load) as backend:
            runs.append(list(backend.ask(ChatRequest(text="abc" * 110), settings)))
    (_, read, *first), (_, spared, *second) = runs
    assert (read.cached, spared.cached) == (0, read.tokens - 1)
    for one, other in zip(first[:3], second[:3], strict=True):
        assert [part.id for part in one.concept] == [part.id for part in other.concept]
        # The last token is decoded alone, not in a batch with the others: rounded otherwise.
        weights = [part.weight for part in other.concept]
        assert [part.weight for part in one.concept] == pytest.approx(weights, abs=0.01)


def test_a_window_is_read_anew(tmp_path):
    """llama.cpp saves of it what the last position looks at: cut back, it would answer wrong."""
    path = zoo.write(tmp_path / "g.gguf", "gemma3", letters=tiny.ASCII, context_length=2048)
    load = Load(path=path, name="g", n_ctx=2048, n_threads=1, prompt_cache=tmp_path / "prompts")
    with open_backend(load) as backend:
        first = told_of(backend)
        assert told_of(backend) == first
    assert not entries(tmp_path / "prompts")
    with open_backend(load) as backend:
        assert told_of(backend) == first


def test_a_key_tells_what_a_memory_depends_on(tmp_path, tiny_model, open_engine):
    """Each part of a split model, the file behind a link, what turns with the context's length."""
    engine = open_engine()
    key = engine.state_key
    engine._first_context = engine.info.n_ctx - 1
    beyond = engine.state_key
    engine._first_context = engine.info.n_ctx
    assert beyond != engine.state_key
    link = tmp_path / "link.gguf"
    link.symlink_to(tiny_model)
    assert open_engine(link).state_key == key
    first = tiny.write(tmp_path / "s.gguf", parts=2)
    split = open_engine(first)
    key = split.state_key
    second = first.with_name(first.name.replace("00001-of", "00002-of"))
    os.utime(second, (1, 1))
    assert split.state_key != key
