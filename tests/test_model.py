"""softchat as a library, on the fake engine; on a tiny model, what only native code can show."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import softchat
from softchat import (
    Answer,
    Conversation,
    Finished,
    Halted,
    Model,
    Settings,
    Started,
    Step,
    TraceWriter,
    load,
    replay,
)
from softchat.engine.protocol import Lora
from softchat.errors import SoftchatError, UsageError
from softchat.events import HaltReason
from softchat.prompt.tags import ThinkTags
from softchat.testing import FakeEngine
from softchat.thinking.think import think
from tests import tiny

PIECES = [*"abcdefghijklmnopqrstuvwxyz", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *" \n:<>/?.", "<end>"]
TAGS = ThinkTags(open="<t>\n", close="</t>", before_close="\n", after_close="\n")
SCRIPT = [{"a": 0.5, "b": 0.5}, {"a": 1.0}, {"a": 1.0}, {"y": 1.0}, {"<end>": 1.0}]

BRIEF = {"seed": 1, "max_think": 8, "max_answer": 8, "tau": 0.0}
LATER = "a later run has begun on the same model"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("tiny") / "tiny.gguf", letters=tiny.ASCII)


@pytest.fixture
def small(tiny_model):
    """The tiny model, loaded."""
    with load(tiny_model, n_ctx=512, n_threads=1) as model:
        yield model


class Engine(FakeEngine):
    """A fake that knows when it is closed, and whose script begins anew when it is emptied."""

    closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def rollback(self, position):
        super().rollback(position)
        self._decodes = 0


def model_of(**more):
    return Model(
        engine=Engine(PIECES, SCRIPT), tags=TAGS, system="Be brief.",
        defaults={"tau": 0.1, "patience": 2, "topn": 2, "max_think": 9, "seed": 4}, **more,
    )  # fmt: skip


def test_a_question_is_thought_about_and_answered():
    """With the model's own settings, tags and system prompt."""
    model = model_of()
    events = list(model.ask("Why?"))
    started, finished = events[0], events[-1]
    assert isinstance(started, Started)
    assert (started.settings["tau"], started.settings["patience"]) == (0.1, 2)
    assert isinstance(finished, Finished)
    assert finished.answer == "y"
    assert [event.text for event in events if isinstance(event, Answer)] == ["y"]
    halted = next(event for event in events if isinstance(event, Halted))
    assert (halted.reason, halted.injected) == (HaltReason.COLD_STOP, "\n</t>\n")
    said = b"".join(model.engine.piece(token) for token in model.prompt("Why?").tokens).decode()
    assert said == "System: Be brief.\n\nUser: Why?\n\nAssistant:<t>\n"


def test_what_is_given_is_stronger():
    """A setting, a system prompt; a name that is none is refused as it is."""
    model = model_of()
    events = list(model.ask("Why?", system="", tau=0.0, max_think=1))
    assert len([event for event in events if isinstance(event, Step)]) == 1
    assert events[0].settings["tau"] == 0.0
    assert events[0].prompt_tokens == len(model.prompt("Why?", "").tokens)
    with pytest.raises(UsageError, match="no setting 'tua'"):
        list(model.ask("Why?", tua=1))


def test_each_question_begins_anew():
    """Nothing of the one before is in the engine's memory."""
    model = model_of()
    first, second = ([e for e in model.ask("Why?") if isinstance(e, Step)] for _ in range(2))
    assert [step.concept for step in first] == [step.concept for step in second]
    assert len(first) == 3


def test_asking_is_thinking_about_the_prompt():
    """`ask` is what `think` does with the model's own prompt and settings."""

    def timeless(events):
        return [type(e) if isinstance(e, Step) else getattr(e, "answer", None) for e in events]

    asked, model = list(model_of().ask("Why?")), model_of()
    thought = list(think(model.engine, model.prompt("Why?"), model.settings()))
    assert timeless(asked) == timeless(thought)


def test_it_can_be_stopped():
    """`cancelled` is asked before each step."""
    answers = iter([False, True])
    events = list(model_of().ask("Why?", cancelled=lambda: next(answers)))
    assert len([event for event in events if isinstance(event, Step)]) == 1
    assert events[-1].finish_reason == "interrupted"


def test_a_seed_that_nobody_gives_is_drawn():
    """Anew each time; the events tell it."""
    model = Model(engine=Engine(PIECES, SCRIPT))
    assert len({model.settings().seed for _ in range(20)}) > 1
    assert model.settings(seed=7).seed == 7


def test_the_engine_is_freed_at_the_end():
    """Whatever happens; an engine that has nothing to free is left alone."""
    model = model_of()
    with pytest.raises(ZeroDivisionError), model:
        _ = 1 / 0
    assert model.engine.closed
    with Model(engine=FakeEngine(PIECES, SCRIPT)):
        pass


def thought(events):
    """What the steps kept, and the answer: all of a run but its times."""
    events = list(events)
    return [e.concept for e in events if isinstance(e, Step)], events[-1].answer


def talk_with(model):
    return Conversation(model.engine, tags=model.tags, system=model.system)


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.ask("one"),
        lambda model: model.prompt("one"),
        lambda model: talk_with(model).ask("one", model.settings()),
    ],
)
def test_a_model_that_is_used_behind_its_block_says_so(tiny_model, use):
    """What is begun there is an error with a way out, where native code would end the process."""
    with load(tiny_model, n_ctx=512, n_threads=1) as model:
        pass
    with pytest.raises(SoftchatError, match="the model was closed") as info:
        list(use(model))
    assert info.value.hint == "use it inside its `with` block"


@pytest.mark.parametrize("taken", range(12))
@pytest.mark.parametrize("in_talk", [False, True])
def test_a_run_is_not_finished_behind_the_block(tiny_model, taken, in_talk):
    """Wherever it stands: unasked for, behind its prompt, thinking or answering."""
    with load(tiny_model, n_ctx=512, n_threads=1) as model:
        talk = talk_with(model)
        settings = model.settings(**BRIEF)
        run = talk.ask("one", settings) if in_talk else model.ask("one", **BRIEF)
        for _ in range(taken):
            next(run)
    with pytest.raises(SoftchatError, match="the model was closed"):
        next(run)
    assert talk.turns == []


def test_a_model_is_closed_between_steps(tiny_model):
    """Of a run on another thread, which then ends with the error."""
    ended = []
    begun = threading.Event()

    def run():
        try:
            while True:
                for _ in model.ask("one", **BRIEF):
                    begun.set()
        except SoftchatError as error:
            ended.append(error.message)

    with load(tiny_model, n_ctx=512, n_threads=1) as model:
        thread = threading.Thread(target=run)
        thread.start()
        begun.wait()
    thread.join()
    assert ended == ["the model was closed"]


def test_of_two_runs_taken_in_turn_the_later_one_is_right(small):
    """The earlier one is refused when it is taken on; never is an answer another one than alone."""
    alone = [thought(small.ask(text, **BRIEF)) for text in ("one", "two")]
    assert alone[0] != alone[1]
    for taken in range(1, 14):
        first, second = small.ask("one", **BRIEF), small.ask("two", **BRIEF)
        for _ in range(taken):
            next(first)
        begun = [next(second)]
        with pytest.raises(SoftchatError, match=LATER):
            next(first)
        assert list(first) == []
        assert thought([*begun, *second]) == alone[1]


def test_of_two_runs_on_threads_none_is_wrong(small):
    """Each answers as alone or is refused, and the last one to begin is not."""
    texts = ["one", "two", "three"]
    alone = {text: thought(small.ask(text, **BRIEF)) for text in texts}
    answers, refused = {}, []

    def run(text):
        try:
            answers[text] = thought(small.ask(text, **BRIEF))
        except SoftchatError as error:
            refused.append(error.message)

    for _ in range(10):
        threads = [threading.Thread(target=run, args=[text]) for text in texts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers
        assert answers == {text: alone[text] for text in answers}
        answers.clear()
    assert all(message.startswith(LATER) for message in refused)


def test_a_run_is_not_begun_in_the_middle_of_another_ones_step(small):
    """As in its `cancelled`; the model goes on with the next question."""
    alone = thought(small.ask("one", **BRIEF))

    def nested():
        return bool(list(small.ask("two", **BRIEF)))

    with pytest.raises(UsageError, match="in the middle of a step"):
        list(small.ask("one", cancelled=nested, **BRIEF))
    assert thought(small.ask("one", **BRIEF)) == alone


@pytest.mark.parametrize("use", [next, lambda run: run.close()])
def test_a_run_is_not_used_in_the_middle_of_its_own_step(use):
    """As in its `cancelled`; it goes on, and can be left behind its event."""
    refused = []

    def nested():
        with pytest.raises(UsageError, match="the run is in the middle of a step"):
            use(run)
        refused.append(run)

    run = model_of().ask("Why?", cancelled=nested)
    assert thought(run) == thought(model_of().ask("Why?"))
    assert refused
    run.close()


def test_there_is_nothing_to_go_on_with_before_a_turn():
    """A mistake, as in a session."""
    with pytest.raises(UsageError, match="nothing has been asked yet"):
        list(talk_with(model_of()).continue_(Settings()))


def turns_of(talk, settings, *texts):
    return [thought(talk.ask(text, settings)) for text in texts]


def test_conversations_take_turns_on_one_model(small):
    """Each answers as if it were alone, whatever the model was asked between two of its turns."""
    settings = small.settings(**BRIEF)
    alone = [turns_of(talk_with(small), settings, a, b) for a, b in (("one", "two"), ("x", "y"))]
    first = talk_with(small)
    answers = turns_of(first, settings, "one")
    second = talk_with(small)
    others = turns_of(second, settings, "x")
    answers += turns_of(first, settings, "two")
    list(small.ask("three", **BRIEF))
    others += turns_of(second, settings, "y")
    assert [answers, others] == alone


def test_a_turn_ends_where_another_run_begins(small):
    """It is refused when it is taken on, and is no part of the conversation."""
    settings, talk = small.settings(**BRIEF), talk_with(small)
    for later in (small.ask("two"), talk.ask("two", settings)):
        turn = talk.ask("one", settings)
        for _ in range(4):
            next(turn)
        next(later)
        with pytest.raises(SoftchatError, match=LATER):
            next(turn)
    assert talk.turns == []


def test_a_run_ends_where_a_conversation_is_made(small):
    """It empties the model's memory, as it begins with nothing."""
    run = small.ask("one")
    next(run)
    talk_with(small)
    with pytest.raises(SoftchatError, match=LATER):
        next(run)


def test_a_question_that_is_refused_disturbs_no_run():
    """What is wrong with it is told before it begins."""
    model = model_of()
    run = model.ask("Why?")
    events = [next(run)]
    with pytest.raises(UsageError, match="no setting"):
        model.ask("Why?", tua=1)
    assert thought([*events, *run]) == thought(model_of().ask("Why?"))


def spoken_to(model, system):
    """A conversation whose system prompt is changed to this."""
    talk = talk_with(model)
    talk.system = system
    return talk


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (lambda model: model.ask(5), "the question is 5"),
        (lambda model: model.ask(None), "the question is None"),
        (lambda model: model.ask("Why?", system=5), "the system prompt is 5"),
        (lambda model: model.prompt(b"Why?"), "the question is b'Why"),
        (lambda model: Conversation(model.engine, system=None), "the system prompt is None"),
        (lambda model: list(talk_with(model).ask(5, Settings())), "the question is 5"),
        (lambda model: talk_with(model).room(5, Settings()), "the question is 5"),
        (lambda model: list(spoken_to(model, 5).ask("Why?", Settings())), "the system prompt is 5"),
        (lambda model: spoken_to(model, None).room("Why?", Settings()), "the system prompt is No"),
        (
            lambda model: list(talk_with(model).ask("Why?", Settings(), grammar=5)),
            "the grammar is 5",
        ),
        (lambda model: list(talk_with(model).ask("Why?", {})), "settings is {}"),
        (lambda model: talk_with(model).room("Why?", {}), "settings is {}"),
        (lambda model: model.prompt("Why?", settings={}), "settings is {}"),
        (lambda model: list(think(model.engine, model.prompt("Why?"), {})), "settings is {}"),
        (lambda _: TraceWriter(5), "the trace is 5"),
        (lambda _: list(replay(None)), "the trace is None"),
        (lambda model: list(talk_with(model).continue_(None)), "settings is None"),
        (lambda _: load(5), "the model is 5"),
        (lambda _: load(n_ctx="512"), "n_ctx is '512'"),
        (lambda _: load(n_ctx=-1), "n_ctx is -1"),
        (lambda _: load(n_ctx=2**32 + 512), "n_ctx is 4294967808"),
        (lambda _: load(n_threads=-1), "n_threads is -1"),
        (lambda _: load(n_threads=100_000), "n_threads is 100000"),
        (lambda _: load(n_gpu_layers=True), "n_gpu_layers is True"),
        (lambda _: load(n_gpu_layers=-5), "n_gpu_layers is -5"),
        (lambda _: load(placement="cpu"), "placement is 'cpu'"),
        (lambda _: load(loras=5), "loras is 5"),
        (lambda _: load(loras=["x"]), "one of loras is 'x'"),
        (lambda _: load(cancelled=3), "cancelled is 3"),
        (lambda model: model.ask("Why?", cancelled=3), "cancelled is 3"),
        (lambda model: model.ask("Why?", schema="age int"), "the schema is 'age int'"),
        (
            lambda model: list(think(model.engine, model.prompt("Why?"), Settings(), cancelled=3)),
            "cancelled is 3",
        ),
        (lambda model: Model(engine=model.engine, tags=5), "tags is 5"),
        (lambda model: Model(engine=model.engine, system=None), "the system prompt is None"),
        (lambda model: Model(engine=model.engine, defaults=[]), "defaults is []"),
        (lambda model: Conversation(model.engine, tags=5), "tags is 5"),
        (lambda model: list(talk_with(model).ask("Why?", Settings(), fork=5)), "fork is 5"),
        (lambda model: list(talk_with(model).ask("Why?", Settings(), keys="g")), "keys is 'g'"),
        (
            lambda model: list(talk_with(model).ask("Why?", Settings(), cancelled=True)),
            "cancelled is True",
        ),
        (
            lambda model: list(talk_with(model).ask("Why?", Settings(), answer_now=3)),
            "answer_now is 3",
        ),
        (
            lambda model: list(talk_with(model).continue_(Settings(), cancelled=3)),
            "cancelled is 3",
        ),
        (lambda _: Lora(path="x.gguf"), "the path of a LoRA adapter is 'x.gguf'"),
        (lambda _: Lora(path=Path("x"), scale="1"), "the scale of a LoRA adapter is '1'"),
    ],
)
def test_what_is_of_another_type_is_told_at_once(use, told):
    """As the error that settings have, with what it must be; not from somewhere deep inside."""
    with pytest.raises(UsageError) as info:
        use(model_of())
    assert info.value.message.startswith(told)
    assert info.value.hint.startswith("it must be ")


def test_importing_softchat_imports_nothing_else():
    """Neither numpy nor llama.cpp, until something is asked for."""
    code = "import sys, softchat; print([m for m in sys.modules if m.startswith('softchat')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "['softchat']\n"


def test_what_type_checkers_see_is_what_there_is():
    """The names of the package for them, and those that can be had."""
    tree = ast.parse(Path(softchat.__file__).read_text(encoding="utf-8"))
    seen = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("softchat."):
            seen |= {alias.asname: node.module for alias in node.names}
    given = {name: f"softchat.{home}" for home, names in softchat._HOMES.items() for name in names}
    assert seen == given
    assert set(given) <= set(dir(softchat))
    for name in given:
        assert getattr(softchat, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'frobnicate'"):
        _ = softchat.frobnicate
