"""A model on servers says what it says here, bit for bit, where both are processors."""

from __future__ import annotations

import json

import pytest

from softchat.engine.placement import Placement
from softchat.engine.protocol import Lora
from softchat.events import Started, Step, to_dict
from softchat.settings import StrategyName, resolve
from softchat.talk.conversation import Conversation
from softchat.talk.load import Load
from softchat.talk.worker.process import Worker
from softchat.talk.worker.remote import WorkerBackend
from tests import tiny, zoo
from tests.engine import test_adapters

SHORT = {"tau": 0.0, "topn": 4, "temperature": 1.2, "max_think": 12, "max_answer": 6, "seed": 1}
HERE = Placement(gpu_layers=0)


def said(path, placement, *, loras=(), strategies=tuple(StrategyName)):
    """All events of a conversation but times, and what the first of them says of its model."""
    load = Load(
        path=path, name="x", n_ctx=512, n_threads=1, placement=placement, loras=tuple(loras)
    )
    seen, model = [], None
    with WorkerBackend(Worker(), load) as backend:
        talk = Conversation(backend, keep_thoughts=True)
        for strategy in strategies:
            for event in talk.ask("Why?", resolve(SHORT, {"strategy": strategy})):
                if isinstance(event, Started):
                    model = event.model
                else:
                    kept = to_dict(event)
                    seen.append({k: v for k, v in kept.items() if not k.endswith("_s")})
            del talk.turns[1:]  # a rollback, and then on from what was thought before
        talk.turns.clear()
        list(talk.ask("So?", resolve(SHORT)))
    return seen, model


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("kind", ["llama", "gemma3", "granite", "mamba", "jamba", "qwen3moe"])
def test_every_strategy_is_bit_identical(servers, tmp_path, kind, count):
    """With token input that is scaled, with recurrent states and their checkpoints, with experts;
    over turns that keep thoughts, and are taken back.
    """
    path = zoo.write(tmp_path / "tiny.gguf", kind, letters=tiny.ASCII)
    addresses = servers.take(count)
    here, there = said(path, HERE), said(path, Placement(servers=addresses))
    assert here[0] == there[0]
    assert sum(event["event"] == "step" for event in here[0]) > 20
    assert (here[1].devices, here[1].gpu_layers) == ((), 0)
    assert (there[1].devices, there[1].gpu_layers) == (addresses, zoo.LAYERS + 1)


@pytest.mark.parametrize("count", [1, 2])
def test_an_adapter_goes_along(servers, tiny_model, tmp_path, count):
    """Its matrices lie on the servers, and the traces are the same."""
    loras = [Lora(path=test_adapters.write(tmp_path / "a.gguf"), scale=0.5)]
    there = Placement(servers=servers.take(count))
    assert said(tiny_model, HERE, loras=loras)[0] == said(tiny_model, there, loras=loras)[0]
    assert said(tiny_model, HERE, loras=loras)[0] != said(tiny_model, HERE)[0]


@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_any_share_of_the_layers(servers, tiny_model, layers):
    """Some on servers and the others here: the same, and the model says how many."""
    placement = Placement(servers=servers.take(2), gpu_layers=layers)
    there, model = said(tiny_model, placement, strategies=["soft"])
    assert there == said(tiny_model, HERE, strategies=["soft"])[0]
    assert model.gpu_layers == layers
    assert bool(model.devices) == (layers > 0)


@pytest.mark.parametrize("cache_type", ["q8_0", "q4_0"])
def test_a_smaller_cache(servers, real_model, cache_type):
    """A cache of few bits changes what is thought; it can be rolled back, and be on a server."""

    def steps(placement):
        load = Load(path=real_model, name="x", n_ctx=256, n_threads=1, placement=placement)
        with WorkerBackend(Worker(), load) as backend:
            talk, settings = Conversation(backend), resolve(SHORT, {"max_think": 4})
            first = [e.entropy for e in talk.ask("Why?", settings) if isinstance(e, Step)]
            talk.turns.clear()
            again = [e.entropy for e in talk.ask("Why?", settings) if isinstance(e, Step)]
        assert first == again
        return first

    small = Placement(gpu_layers=0, cache_type=cache_type)
    assert steps(small) != steps(HERE)
    assert steps(Placement(servers=servers.take(1), cache_type=cache_type)) == steps(small)


def test_the_command_line_and_evaluations(servers, softchat, real_model, tmp_path):
    """`ask` and `eval --parallel` with --rpc print what they print without."""
    rpc = ("--rpc", ",".join(servers.take(2)))
    few = ("-m", str(real_model), "--threads", "1", "--max-think", "3", "--max-answer", "3")
    same = ("--seed", "1", "--gpu-layers")
    here = softchat("ask", "--json", *few, *same, "0", "Why?")
    there = softchat("ask", "--json", *few, *same, "auto", *rpc, "Why?")
    assert (here.status, there.status) == (0, 0), there
    kept = [[json.loads(line) for line in one.out.splitlines()] for one in (here, there)]
    assert [e["entropy"] for e in kept[0] if e["event"] == "step"] == [
        e["entropy"] for e in kept[1] if e["event"] == "step"
    ]
    assert kept[1][0]["model"]["gpu_layers"] == 31
    (tmp_path / "q.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n' * 3)
    done = softchat(
        "eval", "q.jsonl", *few, *rpc, "--seed", "1", "--parallel", "2", "--out", "r.jsonl"
    )
    assert done.status == 0, done
