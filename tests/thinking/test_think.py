"""The loop on the fake engine: what is fed, what is said, and every way it ends."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from softchat.errors import ContextError
from softchat.events import (
    Answer,
    Finished,
    FinishReason,
    Halted,
    HaltReason,
    Mode,
    Prefill,
    Started,
    Step,
)
from softchat.settings import resolve
from softchat.testing import FakeEngine
from softchat.thinking.prompt import Prompt
from softchat.thinking.sampling import Draws
from softchat.thinking.think import think

VOCABULARY = ["<end>", "Q", "a", "b", "c", " ", "\n", "</think>", "</", "think", ">", ">\n\nb"]
CLOSE = "</think>"
SURE = {"a": 0.96, "b": 0.03, "c": 0.01}
MIXED = {"a": 0.55, "b": 0.35, "c": 0.10}
END = {"<end>": 1.0}


def run(script, *, engine=None, cancelled=lambda: False, opening="", **flags):
    """The events of a run of this script, and the engine it ran on."""
    engine = engine or FakeEngine(VOCABULARY, script)
    defaults = {"tau": 0.0, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    limits = {"max_think": 4, "max_answer": 8, "answer_temperature": 0.0}
    settings = resolve({}, defaults | limits | flags)
    prompt = Prompt(
        tokens=tuple(engine.tokenize("Q")),
        open=opening,
        close=CLOSE,
        inject="\n</think>\n\n",
        thinks=settings.think,
    )
    ticks = itertools.count()
    clock = lambda: float(next(ticks))  # noqa: E731  # a clock that only moves when it is read
    return list(think(engine, prompt, settings, cancelled=cancelled, clock=clock)), engine


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_a_run_is_told_in_order():
    """started, prefill, steps, halted, answers, finished."""
    events, _ = run([MIXED] * 5 + [{"b": 1.0}, END])
    names = [event.event for event in events]
    assert names == ["started", "prefill", *["step"] * 4, "halted", "answer", "finished"]
    assert isinstance(events[0], Started)
    assert events[0].prompt_tokens == 1
    assert events[0].settings["max_think"] == 4
    assert events[1] == Prefill(tokens=1, cached=0, elapsed_s=1.0)


def test_a_soft_step_feeds_the_mixture():
    """What is fed is 0.55 E_a + 0.35 E_b + 0.10 E_c, and the step says so."""
    events, engine = run([MIXED, END])
    step = only(events, Step)[0]
    assert [entry.piece for entry in step.concept] == ["a", "b", "c"]
    assert [entry.weight for entry in step.concept] == pytest.approx([0.55, 0.35, 0.10], abs=1e-6)
    assert step.mode is Mode.SOFT
    rows = engine.embedding_rows([engine.id(p) for p in "abc"])
    expected = 0.55 * rows[0] + 0.35 * rows[1] + 0.10 * rows[2]
    np.testing.assert_allclose(engine.fed[1], expected, rtol=1e-5)


def test_the_entropy_is_that_of_all_tokens():
    """H is in nats, of the distribution before top-n."""
    events, _ = run([MIXED, END], topn=1)
    step = only(events, Step)[0]
    assert step.entropy == pytest.approx(0.9265, abs=1e-4)
    assert [entry.weight for entry in step.concept] == [1.0]


def test_a_hard_step_feeds_one_token():
    """The baseline draws a token by weight, and feeds it as a token."""
    drawn = []
    for seed in range(40):
        events, engine = run([MIXED, END], strategy="hard", seed=seed)
        step = only(events, Step)[0]
        assert step.mode is Mode.HARD
        assert [entry.weight for entry in step.concept] == [1.0]
        assert engine.fed[1] == step.concept[0].id
        drawn.append(step.concept[0].piece)
    assert {"a", "b"} <= set(drawn) <= {"a", "b", "c"}


def test_temperature_zero_is_the_argmax():
    """At temperature 0 the baseline always takes the likeliest token."""
    for seed in range(10):
        events, _ = run([MIXED, END], strategy="hard", temperature=0.0, seed=seed)
        assert only(events, Step)[0].concept[0].piece == "a"


def test_cold_stop_counts_and_injects():
    """Sure steps in a row end it; the last one is told, not fed; the tag is injected."""
    events, engine = run([SURE, SURE, SURE, END], tau=0.2, patience=3)
    steps = only(events, Step)
    assert [step.below for step in steps] == [1, 2, 3]
    halted = only(events, Halted)[0]
    assert halted == Halted(reason=HaltReason.COLD_STOP, steps=3, injected="\n</think>\n\n")
    assert [type(item) for item in engine.fed[1:3]] == [np.ndarray, np.ndarray]
    assert engine.fed[3:] == engine.tokenize("\n</think>\n\n")


def test_tau_zero_never_stops_early():
    """However sure the model is, τ = 0 lets it think to the limit."""
    events, _ = run([{"a": 1.0}] * 99, tau=0.0, patience=1, max_think=20)
    assert only(events, Halted)[0].reason is HaltReason.STEP_LIMIT
    assert len(only(events, Step)) == 20
    assert {step.below for step in only(events, Step)} == {0}


@pytest.mark.parametrize("strategy", ["soft", "gaussian"])
def test_a_tag_of_several_tokens_is_not_mixed(strategy):
    """Its tokens are fed as they are, each by its own row; what only looks like it is mixed."""
    script = [
        {"think": 0.9, "a": 0.1},
        {"</": 0.8, "a": 0.2},
        {"think": 0.5, "b": 0.4, "c": 0.1},
        {">": 0.6, "a": 0.4},
        {"b": 1.0},
        END,
    ]
    engine = FakeEngine([piece for piece in VOCABULARY if piece != CLOSE], script)
    events, _ = run(script, engine=engine, strategy=strategy)
    kept = [[entry.piece for entry in step.concept] for step in only(events, Step)]
    assert kept == [["think", "a"], ["</"], ["think"], [">"]]
    assert only(events, Halted)[0].reason is HaltReason.CLOSED
    rows = engine.embedding_rows([engine.id("</"), engine.id("think")])
    np.testing.assert_array_equal(np.array(engine.fed[2:4]), rows)
    assert engine.fed[4] == engine.id(">")


def test_the_model_closes_it_itself():
    """The tag as the likeliest token ends the thinking: fed once, as a token, not injected."""
    events, engine = run([MIXED, {"</think>": 0.9, "a": 0.1}, {"b": 1.0}, END])
    halted = only(events, Halted)[0]
    assert halted == Halted(reason=HaltReason.CLOSED, steps=2, injected="", closing=1)
    assert engine.fed[2:] == [engine.id("</think>"), engine.id("b")]
    assert events[-1].answer == "b"


def test_a_tag_in_several_tokens_closes_too():
    """`</`, `think`, `>` on the path of likeliest tokens are the tag."""
    script = [{"</": 0.9, "a": 0.1}, {"think": 1.0}, {">": 1.0}, {"b": 1.0}, END]
    events, engine = run(script)
    halted = only(events, Halted)[0]
    assert halted == Halted(reason=HaltReason.CLOSED, steps=3, injected="", closing=3)
    assert engine.fed[-2] == engine.id(">")


def test_what_the_closing_token_spells_further_is_answer():
    """A token that closes the tag and goes on begins the answer."""
    events, _ = run([{"</": 1.0}, {"think": 1.0}, {">\n\nb": 1.0}, {"c": 1.0}, END])
    assert [event.text for event in only(events, Answer)] == ["b", "c"]
    assert events[-1].answer == "bc"


def test_end_of_text_while_thinking_still_gets_an_answer():
    """An end-of-text token is not fed; the tag is injected in its place."""
    events, engine = run([END, {"b": 1.0}, END])
    halted = only(events, Halted)[0]
    assert halted == Halted(
        reason=HaltReason.END_OF_TEXT, steps=1, injected="\n</think>\n\n", closing=1
    )
    assert engine.fed[1:-1] == engine.tokenize("\n</think>\n\n")
    assert events[-1].answer == "b"


def test_going_in_circles_ends_it():
    """A block of the text three times over, of `loop_steps` tokens: the tag is injected."""
    events, engine = run([{"a": 1.0}, {"b": 1.0}] * 20, max_think=30, loop_steps=8)
    halted = only(events, Halted)[0]
    assert halted == Halted(reason=HaltReason.LOOP, steps=8, injected="\n</think>\n\n")
    assert engine.fed[8 : 8 + 4] == engine.tokenize("\n</think>\n\n")
    events, _ = run([{"a": 1.0}, {"b": 1.0}] * 20, max_think=30, loop_steps=0)
    assert only(events, Halted)[0].reason is HaltReason.STEP_LIMIT


def test_a_settled_answer_ends_it():
    """At a line's end the answer is looked ahead at; a sure one ends the thinking there."""
    script = [MIXED, {"\n": 1.0}, {"b": 1.0}, END, {"b": 1.0}, END]
    events, engine = run(script, sure_entropy=0.1)
    halted = only(events, Halted)[0]
    assert (halted.reason, halted.steps) == (HaltReason.SURE, 2)
    assert halted.injected == "\n</think>\n\n"
    # One look: a tag of four tokens and one of answer; its end is not decoded.
    assert (halted.probes, halted.probe_tokens, halted.probe_s) == (1, 5, 1.0)
    assert events[-1].answer == "b"
    assert engine.fed[2:] == [*engine.tokenize("\n</think>\n\n"), engine.id("b")]


def test_an_open_answer_does_not():
    """An unsure look ahead is forgotten, and the thinking goes on from where it was."""
    script = [MIXED, {"\n": 1.0}, MIXED, {"c": 1.0}, {"b": 1.0}, END]
    events, engine = run(script, sure_entropy=0.1, max_think=3)
    assert only(events, Halted)[0].reason is HaltReason.STEP_LIMIT
    assert [step.concept[0].piece for step in only(events, Step)] == ["a", "\n", "c"]
    assert len([item for item in engine.fed if isinstance(item, np.ndarray)]) == 3


@pytest.mark.parametrize(
    ("rule", "script", "reason"),
    [
        ({"halt": "sure", "sure_entropy": 0.1}, [{"b": 1.0}, END], HaltReason.SURE),
        ({"halt": "eat", "eat_probes": 1}, [MIXED], HaltReason.EAT),
        ({"halt": "deer"}, [{"b": 0.96, "a": 0.04}, END], HaltReason.DEER),
        ({"halt": "agree", "agree_count": 1}, [{"b": 1.0}, END], HaltReason.AGREE),
    ],
)
def test_each_rule_tells_its_own_name(rule, script, reason):
    """Looking where the word ends that it is told, each halts for its own reason."""
    word = {"halt_at": "word", "halt_word": "ac"}
    events, _ = run([MIXED, {"c": 1.0}, *script, {"b": 1.0}, END], **rule | word)
    halted = only(events, Halted)[0]
    assert (halted.reason, halted.steps, halted.probes) == (reason, 2, 1)
    assert events[-1].answer == "b"


def test_a_look_ahead_can_have_a_cue():
    """It stands behind the closing tag while looking, and not in the answer."""
    script = [MIXED, {"\n": 1.0}, {"b": 1.0}, END, {"b": 1.0}, END]
    events, engine = run(script, sure_entropy=0.1, halt_cue="a b")
    assert only(events, Halted)[0].probe_tokens == 4 + 3 + 1
    assert engine.fed[2:] == [*engine.tokenize("\n</think>\n\n"), engine.id("b")]


def test_gaussian_noise_is_put_onto_the_mixture():
    """s = Σ w E + σ N(0, I), σ a share of the rows' root mean square, the noise the seed's."""
    knobs = {"max_think": 1, "seed": 5, "topn": 3}
    _, plain = run([MIXED, END], strategy="soft", **knobs)
    _, noisy = run([MIXED, END], strategy="gaussian", gaussian_sigma=0.5, **knobs)
    rms = np.sqrt(np.mean(plain.embeddings**2))
    noise = Draws(5).at_step(0).standard_normal(4, np.float32)
    np.testing.assert_allclose(noisy.fed[1] - plain.fed[1], 0.5 * rms * noise, rtol=1e-4, atol=1e-5)


def test_a_negative_weight_pushes_away():
    """What `selar` feeds is s + h (s - E[top]); the step tells its weights as they are."""
    even = {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}
    events, engine = run([even, END], strategy="selar", max_think=1)
    rows = engine.embedding_rows([engine.id(piece) for piece in "abc"])
    s = rows.mean(axis=0)
    np.testing.assert_allclose(engine.fed[1], s + (s - rows[0]), rtol=1e-5)
    weights = [entry.weight for entry in only(events, Step)[0].concept]
    assert weights == pytest.approx([-1 / 3, 2 / 3, 2 / 3])


@pytest.mark.parametrize("flags", [{}, {"sure_entropy": 0.0}, {"sure_entropy": 9, "halt": "none"}])
def test_nobody_looks_ahead_unasked(flags):
    """Off by default: the script is read on from the line's end."""
    events, _ = run([MIXED, {"\n": 1.0}, {"b": 1.0}, END], **flags)
    assert only(events, Halted)[0].reason is HaltReason.END_OF_TEXT


def test_drifting_ends_it():
    """`drift_steps` steps in a row above `drift_entropy` nats; a sure one between them counts."""
    script = [MIXED, MIXED, SURE, MIXED, MIXED, MIXED]
    drifting = {"max_think": 9, "drift_steps": 3, "drift_entropy": 0.9}
    events, _ = run(script, **drifting)
    assert only(events, Halted)[0].reason is HaltReason.DRIFT
    assert only(events, Halted)[0].steps == 6
    events, _ = run(script, **drifting | {"drift_entropy": 1.0})
    assert only(events, Halted)[0].reason is HaltReason.STEP_LIMIT


def test_switching_is_told_step_by_step():
    """Soft, a turn with the closing tag mixed in, hard, a turn with the opening tag, soft."""
    engine = FakeEngine([*VOCABULARY, "<think>"], [MIXED, SURE, SURE, MIXED, MIXED, END])
    knobs = {"switch_window": 1, "switch_alpha": 0.5, "switch_beta": 0.5, "max_think": 5}
    events, _ = run([], engine=engine, strategy="switching", opening="<think>", **knobs)
    steps = only(events, Step)
    assert [step.mode for step in steps] == ["soft", "soft", "hard", "soft", "soft"]
    assert [step.why for step in steps] == [
        "", "to hard: H 0.19 < 0.93", "", "to soft: H 0.93 > 0.19", "",
    ]  # fmt: skip
    share = 0.5 + 0.5 * 1 / 5  # of the concept at step 1 of 5
    rows = engine.embedding_rows([engine.id(piece) for piece in ("a", "b", "c", "</think>")])
    expected = np.array([0.96, 0.03, 0.01]) * share @ rows[:3] + (1 - share) * rows[3]
    np.testing.assert_allclose(engine.fed[2], expected, rtol=1e-5)
    assert engine.fed[3] == steps[2].concept[0].id  # hard: a token, as a token
    assert "<think>" in [entry.piece for entry in steps[3].concept]


def test_switching_closes_the_thinking_after_enough_turns():
    """The step after the turn is told, not fed; the tag is injected and the model answers."""
    script = [MIXED, SURE, SURE, {"b": 1.0}, END]
    events, engine = run(script, strategy="switching", switch_converge=1)
    assert only(events, Halted)[0] == Halted(
        reason=HaltReason.CONVERGED, steps=3, injected="\n</think>\n\n"
    )
    assert engine.fed[3:7] == engine.tokenize("\n</think>\n\n")
    assert events[-1].answer == "b"


def test_switching_begins_the_answer_after_too_many_turns():
    """softchat's first words of the answer are fed, told and counted as answer."""
    vocabulary = [*VOCABULARY, "The final ", "answer is"]
    engine = FakeEngine(vocabulary, [MIXED, SURE, SURE, END, MIXED, {"b": 1.0}, END])
    flags = {"strategy": "switching", "switch_terminate": 1, "switch_converge": 1}
    events, _ = run([], engine=engine, **flags)
    assert only(events, Halted)[0].reason is HaltReason.TERMINATED
    assert events[-1].answer == "The final answer isb"
    assert events[-1].answer_tokens == 3
    assert engine.fed[-3:] == [engine.id(p) for p in ("The final ", "answer is", "b")]


def test_the_drawn_token_is_the_one_that_closes():
    """Under `mixed-input` the text of the thoughts is what was drawn, not what weighs most."""
    close = {"</think>": 0.5, "a": 0.5}
    for seed in range(8):
        events, engine = run([close, {"b": 1.0}, END], strategy="mixed-input", topn=2, seed=seed)
        step = only(events, Step)[0]
        closed = step.concept[0].piece == "</think>"  # with β = 1 the drawn one weighs 3/4
        assert (only(events, Halted)[0].steps == 1) is closed
        assert isinstance(engine.fed[1], int) is closed


def test_no_thinking_at_all():
    """max-think 0 closes the tag at once."""
    events, _ = run([{"b": 1.0}, {"b": 1.0}, END], max_think=0)
    assert only(events, Step) == []
    assert only(events, Halted)[0].reason is HaltReason.STEP_LIMIT


def test_a_full_context_keeps_room_for_the_answer():
    """The thinking ends while the tag and the answer still fit."""
    engine = FakeEngine(VOCABULARY, [MIXED], n_ctx=32)
    events, _ = run([], engine=engine, max_think=999, max_answer=999)
    assert only(events, Halted)[0].reason is HaltReason.CONTEXT_FULL
    finished = events[-1]
    assert finished.finish_reason is FinishReason.LENGTH
    assert engine.position == 32
    assert finished.answer_tokens >= 32 // 4


@pytest.mark.parametrize("n_ctx", range(1, 40))
def test_no_context_is_too_small_to_say_so(n_ctx):
    """Any size of context gives a run that ends, or an error that names it; never an overrun."""
    engine = FakeEngine(VOCABULARY, [MIXED], n_ctx=n_ctx)
    limits = {"max_think": 999, "max_answer": 999}
    if n_ctx < 7:  # prompt, closing token, tag and its white space take 6, the answer a fourth
        with pytest.raises(ContextError, match=rf"\b{n_ctx}\b"):
            run([], engine=engine, **limits)
    else:
        events, _ = run([], engine=engine, **limits)
        assert isinstance(events[-1], Finished)
        assert engine.position <= n_ctx


def test_what_the_engine_holds_is_said_to_be_cached():
    """A run appends to what is there."""
    engine = FakeEngine(VOCABULARY, [MIXED, END])
    engine.decode_tokens([1, 1, 1])
    events, _ = run([], engine=engine)
    assert (events[1].tokens, events[1].cached) == (1, 3)


def test_ctrl_c_between_steps():
    """The steps so far are told, then that it was interrupted; nothing is injected or answered."""
    asked = itertools.count()
    events, engine = run([MIXED], cancelled=lambda: next(asked) >= 2)
    assert [event.event for event in events[2:]] == ["step", "step", "halted", "finished"]
    assert events[-2] == Halted(reason=HaltReason.INTERRUPTED, steps=2, injected="")
    assert events[-1].finish_reason is FinishReason.INTERRUPTED
    assert engine.position == 3


@pytest.mark.parametrize("decode", [1, 2, 3])
def test_ctrl_c_inside_a_decode(decode):
    """A decode that was stopped half way ends the run in the same way, in the prefill too."""
    engine = FakeEngine(VOCABULARY, [MIXED], abort_at=decode)
    events, _ = run([], engine=engine)
    assert only(events, Halted)[0].reason is HaltReason.INTERRUPTED
    assert only(events, Halted)[0].steps == len(only(events, Step)) == decode - 1
    assert events[-1].finish_reason is FinishReason.INTERRUPTED


def test_ctrl_c_while_answering():
    """What was answered stays; the thinking is not said to be interrupted."""
    engine = FakeEngine(VOCABULARY, [MIXED, MIXED, {"b": 1.0}], abort_at=5)
    events, _ = run([], engine=engine, max_think=1)
    assert only(events, Halted)[0].reason is HaltReason.STEP_LIMIT
    assert (events[-1].finish_reason, events[-1].answer) == (FinishReason.INTERRUPTED, "bb")


def test_the_answer_ends_at_its_limit():
    """max-answer tokens and no more, with `length` as the reason."""
    events, _ = run([MIXED, {"b": 1.0}], max_think=1, max_answer=3)
    assert (events[-1].answer, events[-1].answer_tokens) == ("bbb", 3)
    assert events[-1].finish_reason is FinishReason.LENGTH


def test_white_space_before_the_answer_is_dropped():
    """The answer starts with its first sign; inside it white space stays."""
    events, _ = run(
        [MIXED, {"\n": 1.0}, {" ": 1.0}, {"b": 1.0}, {" ": 1.0}, {"c": 1.0}, END], max_think=1
    )
    assert events[-1].answer == "b c"
    assert "".join(event.text for event in only(events, Answer)) == "b c"


def test_a_character_split_over_tokens_is_answered_whole():
    """No increment of the answer holds half of a character."""
    engine = FakeEngine(
        ["<end>", "Q", b"\xc3", b"\xa9", "</think>", "\n", "a"],
        [{"a": 1.0}, {"a": 1.0}, {b"\xc3": 1.0}, {b"\xa9": 1.0}, {"a": 1.0}, END],
    )
    events, _ = run([], engine=engine, max_think=1)
    assert [event.text for event in only(events, Answer)] == ["é", "a"]


def test_the_seed_decides():
    """Same seed, same script, same flags: the same events; another seed draws otherwise."""
    uniform = {"a": 0.25, "b": 0.25, "c": 0.25, " ": 0.25}
    flags = {"strategy": "hard", "max_think": 20, "answer_temperature": 1.0, "max_answer": 20}
    once, again, other = (run([uniform], seed=seed, **flags)[0] for seed in (3, 3, 4))
    assert once == again
    assert [s.concept for s in only(once, Step)] != [s.concept for s in only(other, Step)]


def test_times_add_up():
    """Thinking and answering are told apart, and both lie within the whole."""
    events, _ = run([MIXED, {"b": 1.0}, {"b": 1.0}, END], max_think=1)
    finished = events[-1]
    assert finished.think_s > 0
    assert finished.answer_s > 0
    assert finished.think_s + finished.answer_s < finished.total_s


def test_the_closing_tag_is_no_time_of_either():
    """So the last step's time is that of the thinking, and an answer's pace that of its tokens."""
    now = [0.0]

    class Slow(FakeEngine):
        def decode_tokens(self, tokens):
            now[0] += 10 * len(tokens)
            return super().decode_tokens(tokens)

    engine = Slow(VOCABULARY, [MIXED, {"b": 1.0}, {"b": 1.0}, END])
    prompt = Prompt(tokens=(engine.id("Q"),), close=CLOSE, inject=CLOSE)
    settings = resolve({}, {"answer_temperature": 0.0, "max_think": 1})
    *_, finished = think(engine, prompt, settings, clock=lambda: now[0])
    assert (finished.think_s, finished.answer_tokens, finished.answer_s) == (0.0, 1, 10.0)
    assert finished.total_s > 20


def test_a_thought_that_is_switched_off_is_not_told():
    """Behind a prompt that closes the thinking comes the answer, and no halt."""
    engine = FakeEngine(VOCABULARY, [{"b": 1.0}, END])
    prompt = Prompt(tokens=(engine.id("Q"),), close=CLOSE, inject=CLOSE, thinks=False)
    events = list(think(engine, prompt, resolve({}, {"answer_temperature": 0.0})))
    assert [event.event for event in events] == ["started", "prefill", "answer", "finished"]
    assert (events[-1].answer, events[-1].steps, events[-1].think_s) == ("b", 0, 0.0)


def test_closing_words_are_fed_before_the_tag_and_told():
    """They are part of what is injected."""
    engine = FakeEngine(VOCABULARY, [MIXED, {"b": 1.0}, END])
    prompt = Prompt(tokens=(engine.id("Q"),), close=CLOSE, closing="\nc", inject="\n</think>")
    settings = resolve({}, {"max_think": 1, "answer_temperature": 0.0, "min_p": 0.0})
    halted = only(list(think(engine, prompt, settings)), Halted)[0]
    assert halted.injected == "\nc\n</think>"
    assert engine.fed[2:6] == [engine.id(piece) for piece in ("\n", "c", "\n", "</think>")]


def test_who_asks_for_the_answer_gets_it():
    """Behind the step that was under way the tag is injected, and the model answers."""
    engine = FakeEngine(VOCABULARY, [MIXED, MIXED, {"b": 1.0}, END])
    prompt = Prompt(tokens=(engine.id("Q"),), close=CLOSE, inject="\n</think>")
    settings = resolve({}, {"answer_temperature": 0.0, "min_p": 0.0})
    asked = itertools.count()
    events = list(think(engine, prompt, settings, answer_now=lambda: next(asked) >= 1))
    assert only(events, Halted)[0] == Halted(
        reason=HaltReason.ASKED, steps=1, injected="\n</think>"
    )
    assert (events[-1].answer, events[-1].finish_reason) == ("b", FinishReason.STOP)
