"""Forks in a session: what the commands do, and that the cache stays right whatever comes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from rich.console import Console

from softchat.config.file import Config
from softchat.config.layers import Source
from softchat.errors import SoftchatError
from softchat.events import Finished, FinishReason
from softchat.models import Located
from softchat.record.runs import Run
from softchat.record.session_file import SessionFile
from softchat.record.sessions import load_session
from softchat.repl.loop import Repl
from softchat.repl.session import Session
from softchat.talk.local import LocalBackend
from softchat.testing import FakeEngine
from softchat.thinking.fork import make_fork
from softchat.views.plain import AnswerView
from tests import tiny, zoo
from tests.machine import LETTERS, TEMPLATE, CacheMachine, run_machine
from tests.talk.test_fork import TAGS, Lettered

KNOBS = {"tau": 0.0, "topn": 3, "temperature": 1.5, "max_think": 6, "max_answer": 3, "top_k": 0}


def session_on(engine, **chosen):
    """A session whose model is this engine."""
    return Session(
        Located(name="tiny", path=Path("tiny.gguf"), entry=None),
        lambda found, cancelled: LocalBackend(engine, tags=TAGS),
        config=Config(),
        chosen=Source(values=KNOBS | chosen, origin=lambda name: f"--{name}"),
    )


def make_machine(path, **chosen):
    class Machine(CacheMachine):
        session = None

        def __init__(self):
            super().__init__(partial(Lettered, path, n_ctx=512, n_threads=1))
            self.session = session_on(self.engine, **chosen)

        def conversation(self):
            return self.session.conversation()

        def cancelled(self):
            return super().cancelled() or bool(self.session and self.session.interrupt.pressed)

        def run(self, events, stop_after):
            """Until the end, or a Ctrl-C after so many events."""
            try:
                for number, _ in enumerate(events):
                    if number == stop_after:
                        self.session.interrupt.pressed = True
            except SoftchatError:
                pass  # it was stopped where the prompt was put back
            self.session.interrupt.clear()

        stop = st.one_of(st.just(10**6), st.integers(0, 12))
        seed = st.integers(0, 99)

        @rule(question=st.text(LETTERS, min_size=1, max_size=6), seed=seed, stop=stop)
        def ask(self, question, seed, stop):
            self.run(self.session.ask(question, seed=seed), stop)

        def begin_fork(self, data):
            turn = self.session.last()
            run = Run.of(turn.events)
            at = data.draw(st.integers(0, len(run.steps) - 1))
            entry = data.draw(st.sampled_from([None, *run.steps[at].own]))
            once = data.draw(st.sampled_from([{}, {"strategy": "hard"}, {"topn": 2, "seed": 8}]))
            return run, make_fork(run.started, run.steps, at, take=entry, once=once)

        @precondition(lambda self: self.session.turns and Run.of(self.session.last().events).steps)
        @rule(data=st.data(), stop=stop)
        def fork(self, data, stop):
            turn = self.session.last()
            run, (fork, settings) = self.begin_fork(data)
            self.run(self.session.fork(fork, settings), stop)
            now = self.session.last()
            if now is not turn:
                assert now.forked is turn
                steps = Run.of(now.events).steps[: len(fork.steps)]
                assert steps == run.steps[: len(steps)]

        @precondition(lambda self: self.session.turns and Run.of(self.session.last().events).steps)
        @rule(data=st.data(), left=st.integers(0, 150))
        def fork_and_stop_within_a_decode(self, data, left):
            _, (fork, settings) = self.begin_fork(data)
            self.left = left
            self.run(self.session.fork(fork, settings), 10**6)
            self.left = 10**9

        @precondition(lambda self: self.session.turns and self.session.last().forked)
        @rule()
        def back(self):
            before = self.session.last().forked
            assert self.session.back() is before is self.session.last()

        @precondition(lambda self: self.session.turns)
        @rule(seed=seed, stop=stop)
        def again(self, seed, stop):
            self.run(self.session.again(seed=seed), stop)

        @precondition(lambda self: self.session.turns)
        @rule()
        def undo(self):
            self.session.undo()

    return Machine


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("forking") / "tiny.gguf", chat_template=TEMPLATE)


@pytest.mark.parametrize("keep_thoughts", [False, True])
def test_random_forks(model, keep_thoughts):
    """After any forks, ways back, agains, undos and Ctrl-Cs the cache is right."""
    run_machine(make_machine(model, keep_thoughts=keep_thoughts), 20)


@pytest.mark.parametrize("kind", ["mamba", "jamba"])
def test_random_forks_of_recurrent_models(tmp_path, monkeypatch, kind):
    """So it is where the memory can't be cut."""
    monkeypatch.setattr("softchat.engine.decoder._TAIL", 4)  # these prompts are short
    path = zoo.write(tmp_path / "tiny.gguf", kind, chat_template=TEMPLATE)
    run_machine(make_machine(path, keep_thoughts=True), 6)


# -- the commands ------------------------------------------------------------------------------

SCRIPT = [
    {"a": 0.6, "b": 0.4},
    {"c": 0.5, "d": 0.3, "e": 0.2},
    {"</think>": 1.0},
    {"x": 1.0},
    {"<end>": 1.0},
    # The fork: what comes behind `d`, and then its answer.
    {"</think>": 1.0},
    {"y": 1.0},
    {"<end>": 1.0},
]


@pytest.fixture
def repl(tmp_path):
    """A session on the fake engine, and what it prints."""
    pieces = ["</think>", "<end>", "\n", *map(chr, range(32, 127))]
    engine = FakeEngine(pieces, SCRIPT)
    session = Session(
        Located(name="fake", path=Path("fake.gguf"), entry=None),
        lambda found, cancelled: LocalBackend(engine),
        config=Config(),
        chosen=Source(values={"temperature": 1.0, "answer_temperature": 0.0, "seed": 1},
                      origin=lambda name: f"--{name}"),
    )  # fmt: skip
    out = StringIO()
    saved = SessionFile(tmp_path / "sessions")
    repl = Repl(
        session,
        Console(file=out, width=100),
        make_view=lambda: AnswerView(out),
        find=pytest.fail,
        saved=saved,
    )
    repl.out, repl.folder, repl.saved = out, tmp_path / "sessions", saved
    yield repl
    repl.close()


def said(repl):
    """What was printed since the last time."""
    text = repl.out.getvalue()
    repl.out.seek(0)
    repl.out.truncate()
    return text


def test_a_fork_is_shown_beside_the_run(repl):
    """Where they part, how they end, what they answer; and the last turn is the fork."""
    repl.handle("Q")
    assert repl.session.last().answer == "x"
    said(repl)
    repl.handle("/fork 1 d")
    text = said(repl)
    assert repl.session.last().answer == "y"
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "as it was" in text
    assert "c 0.50" in rows["step"]
    assert "d alone" in rows["step"]
    assert rows["answer"].split() == ["answer", "x", "y"]
    assert "/back" in text


def test_back_is_the_way_back(repl):
    """The turn is as it was, its steps too; and no fork any more."""
    repl.handle("Q")
    before = repl.session.last()
    repl.handle("/fork 1 2")
    assert repl.session.last().forked is before
    repl.handle("/back")
    assert repl.session.last() is before
    said(repl)
    repl.handle("/back")
    assert "the last turn is no fork" in said(repl)


def test_a_step_without_a_wish_is_shown(repl):
    """With numbers to choose from; nothing is run."""
    repl.handle("Q")
    said(repl)
    repl.handle("/fork 1")
    text = said(repl)
    assert "2  0.3000" in text
    assert "/fork 1 2 goes on with the second" in text
    assert repl.session.last().answer == "x"


def test_where_the_steps_are_shown_it_says_how_to_take_another_token(repl):
    """Of the last turn, which can be forked, at the first step that has a second token."""
    repl.handle("Q")
    said(repl)
    repl.handle("/think")
    assert "/fork 0 2 goes on from step 0 with its second token alone" in said(repl)
    repl.handle("/fork 0 1")
    said(repl)
    repl.handle("/think")
    assert "/fork 0 2" in said(repl)  # it has two, whichever was fed
    repl.handle("Q")
    said(repl)
    repl.handle("/think 1")
    assert "/fork" not in said(repl)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/fork", "no step named"),
        ("/fork x", "no step named"),
        ("/fork 9 d", "no step 9"),
        ("/fork -1 d", "no step -1"),
        ("/fork 1 zebra", "step 1 has no token 'zebra'"),
        ("/fork 1 99", "step 1 has "),
        ("/fork 1 topn=0", "topn is 0"),
        ("/fork 1 \x1b[2J", "step 1 has no token"),
        ("/fork 1 think=off", "think can't change"),
        ("/fork 1 d think=off", "think can't change"),
        ("/fork 1 d max_think=1", "max_think 1 ends it before the fork at 1"),
        ("/fork 1 max_think=0", "max_think 0 ends it before the fork at 1"),
        ("/fork 1 strategy=hard topn=3", "topn does nothing with strategy hard"),
        ("/fork 1 topn=2 topn=3", "topn is there twice"),
        ("/again tau=0.1 tau=0.2", "tau is there twice"),
        ("/again selar_k=4", "selar_k does nothing with strategy soft"),
        ("/retry strategy=hard patience=4", "patience does nothing with tau 0"),
    ],
)
def test_what_can_not_be_thought_otherwise_is_told(repl, line, message):
    """In a line, with a hint; the turn stays."""
    repl.handle("Q")
    before = repl.session.last()
    said(repl)
    repl.handle(line)
    text = said(repl)
    assert message in text
    assert "hint: " in text
    assert "\x1b[2J" not in text
    assert repl.session.last() is before


def test_without_a_turn_there_is_nothing_to_fork(repl):
    """The hint says what to do first."""
    repl.handle("/fork 1 d")
    assert "nothing has been asked yet" in said(repl)


def test_other_settings_go_on_from_a_step(repl):
    """Named as /again names them; told in the trace."""
    repl.handle("Q")
    repl.handle("/fork 1 strategy=hard temperature=0")
    turn = repl.session.last()
    fork = Run.of(turn.events).started.fork
    assert (fork.step, fork.taken) == (1, "")
    assert fork.settings == {"strategy": "hard", "temperature": 0.0}
    assert turn.settings["strategy"] == "hard"


def test_a_fork_outlives_the_session(repl):
    """Both runs are in its trace, and the way back is there when it is resumed."""
    repl.handle("Q")
    repl.handle("/fork 1 d")
    before = repl.session.last()
    turn = load_session(repl.folder, repl.saved.id).turns[-1]
    assert turn.answer == "y"
    assert turn.events == before.events
    assert turn.forked.answer == "x"
    assert turn.forked.events == before.forked.events


def test_a_stopped_fork_is_a_turn_that_was_stopped(repl):
    """Ctrl-C while a fork is told: it can be taken back."""
    repl.handle("Q")
    turn = repl.session.last()
    run = Run.of(turn.events)
    fork, settings = make_fork(run.started, run.steps, 1, take=run.steps[1].concept[1])
    repl.session.interrupt.pressed = True
    events = list(repl.session.fork(fork, settings))
    repl.session.interrupt.clear()
    assert isinstance(events[-1], Finished)
    assert events[-1].finish_reason is FinishReason.INTERRUPTED
    assert repl.session.back() is turn


def test_a_turn_of_another_model_is_not_forked(repl):
    """Its tokens mean nothing to this one."""
    repl.handle("Q")
    repl.session.conversation().backend._engine.info = replace(repl.session.info, name="other")
    said(repl)
    repl.handle("/fork 1 d")
    assert "the last turn was thought by fake" in said(repl)


def test_step_by_step_in_a_session(repl, monkeypatch):
    """Each step waits for a key, and the turn has what was changed; /step off ends it."""
    monkeypatch.setattr("softchat.repl.forking.can_listen", lambda: True)
    repl.handle("/step")
    assert repl.session.by_hand
    assert "space goes on" in said(repl)
    keys = iter(" 2 a")
    monkeypatch.setattr(type(repl.session.keys), "__call__", lambda self: next(keys, ""))
    repl.handle("Q")
    steps = Run.of(repl.session.last().events).steps
    assert [step.concept[0].piece for step in steps[:2]] == ["a", "d"]
    assert steps[1].change.instead_of[0].piece == "c"
    assert next(keys, "") == "a"  # the third step closed the thoughts
    repl.handle("/step off")
    assert not repl.session.by_hand
    repl.handle("/step maybe")
    assert "/step takes" in said(repl)


def test_steps_need_keys_that_can_be_read(repl):
    """As on Windows: told at once, and nothing waits for ever."""
    repl.handle("/step")
    text = said(repl)
    assert "no keys can be read here" in text
    assert "hint: " in text
    assert not repl.session.by_hand
    repl.handle("/step off")
    assert "without waiting" in said(repl)


def test_a_turn_of_another_model_is_not_forked_while_this_one_loads(repl):
    """The check waits for the model, as the fork would."""
    repl.handle("Q")
    turn = repl.session.last()
    begin = replace(turn.events[0], model=replace(turn.events[0].model, name="other"))
    repl.session.turns[-1] = replace(turn, events=(begin, *turn.events[1:]))
    repl.session._model.backend = None  # as after a restart
    assert repl.session.info is None
    said(repl)
    repl.handle("/fork 1 d")
    text = said(repl)
    assert "the last turn was thought by other" in text
    assert "/again asks the model of now" in text
    assert repl.session.last().answer == "x"


def test_a_token_is_named_as_the_panel_shows_it(repl):
    """A space is `·` there."""
    repl.session.conversation().backend._engine._script[1] = {"c": 0.6, " ": 0.3, "\n": 0.1}
    repl.handle("Q")
    repl.handle("/fork 1 ·")
    assert Run.of(repl.session.last().events).started.fork.taken == " "
    repl.handle("/back")
    repl.handle("/fork 1 ⏎")
    assert Run.of(repl.session.last().events).started.fork.taken == "\n"
    said(repl)
    repl.handle("/back")
    repl.handle("/fork 1 zebra")
    assert "it has c, ·, ⏎; or a number" in said(repl)


MEGABYTE = "x" * 10**6


@pytest.mark.parametrize(
    "before",
    [
        "/", "/file ", "/load ", "/save /no/", "/trace /no/", "/set ", "/set tau ", "/set stop ",
        "/unset ", "/strategy ", "/fork ", "/fork 0 ", "/fork 0 tau=", "/think ", "/why ",
        "/why answer ", "/lens ", "/step ", "/drop ", "/resume ", "/again tau=", "/help ",
    ],
)  # fmt: skip
def test_an_error_is_short_whatever_it_quotes(repl, before):
    """As the commands' errors are: its beginning and its end; nothing is a traceback."""
    repl.handle("Q")
    said(repl)
    repl.handle(before + MEGABYTE)
    text = said(repl)
    assert "error: " in text
    assert len(text) < 3000


def test_what_a_model_makes_an_error_say_is_short(repl):
    """Of its worker, of a trace that ends; warnings and hints too."""

    def fail(question):
        raise SoftchatError(MEGABYTE, hint=MEGABYTE)

    repl.session.ask = fail
    repl.note(MEGABYTE)
    repl._say_notes()
    repl.handle("Q")
    text = said(repl)
    assert text.count("…") == 3
    assert len(text) < 4000
