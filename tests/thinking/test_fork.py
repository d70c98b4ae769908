"""Forks: which step, which token, what goes on from there. Events alone."""

from __future__ import annotations

import pytest

from softchat.errors import UsageError
from softchat.events import (
    Change,
    ConceptEntry,
    Lens,
    Mode,
    ModelInfo,
    Noise,
    Started,
    Step,
    told_last,
)
from softchat.settings import Settings
from softchat.thinking.fork import find_token, make_fork, take_alone, without_heaviest
from softchat.views.wording import UNICODE


def step(index, *tokens, **more):
    """A step of these pieces and weights; the id of a piece is its place in the alphabet."""
    concept = tuple(ConceptEntry(id=i, piece=piece, weight=weight) for i, piece, weight in tokens)
    return Step(
        index=index, entropy=0.5, concept=concept, below=2, mode=Mode.SOFT, elapsed_s=1.0, **more
    )


MIXED = step(3, (7, " wait", 0.5), (8, " Patience", 0.3), (9, "2", 0.2))
STARTED = Started(
    model=ModelInfo(name="m", path="", architecture="a", n_vocab=99, n_embd=4, n_ctx=64),
    settings=Settings(seed=5).to_dict(),
    prompt_tokens=2,
    prompt=(1, 2),
)


@pytest.mark.parametrize(
    ("wanted", "id_"),
    [
        *((" wait", 7), ("wait", 7), ("WAIT", 7), ("patience", 8)),
        *(("1", 7), ("2", 8), ("3", 9), ('"2"', 9), ("'2'", 9)),
    ],
)
def test_a_token_is_found_by_its_place_or_its_text(wanted, id_):
    """A number is a place unless quoted; spaces and capitals need not be said."""
    assert find_token(MIXED, wanted).id == id_


@pytest.mark.parametrize("wanted", ["0", "4", "x", "", "²", "-1", '"9"', "9" * 5000])
def test_what_a_step_has_not_is_told_with_what_it_has(wanted):
    """One error, with the tokens that there are."""
    with pytest.raises(UsageError) as caught:
        find_token(MIXED, wanted)
    assert "' wait', ' Patience', '2'" in caught.value.hint


def test_a_token_taken_alone_is_a_hard_step():
    """It is told as it is fed, with what it is fed in place of; it is not a cold one."""
    taken = take_alone(MIXED, MIXED.concept[1])
    assert taken.mode is Mode.HARD
    assert taken.concept == (ConceptEntry(id=8, piece=" Patience", weight=1.0),)
    assert taken.change == Change(instead_of=MIXED.concept)
    assert taken.below == 0
    assert taken.own == MIXED.own == MIXED.concept
    # Another one can still be taken, of all that there was.
    assert find_token(taken, "3").id == 9


def test_the_heaviest_is_left_out_again_and_again():
    """What is left is renormalised; the last one is a token alone, and it is not left out."""
    once = without_heaviest(MIXED)
    assert [(e.piece, e.weight) for e in once.concept] == [(" Patience", 0.6), ("2", 0.4)]
    assert once.mode is Mode.SOFT
    twice = without_heaviest(once)
    assert [(e.piece, e.weight) for e in twice.concept] == [("2", 1.0)]
    assert twice.mode is Mode.HARD
    assert twice.change.instead_of == MIXED.concept
    assert without_heaviest(twice) is None


def test_a_change_keeps_the_temperature_and_drops_what_was_of_the_mixture():
    """The noise and the drawn token were those of the mixture that is not fed."""
    warm = step(0, (1, "a", 0.5), (2, "b", 0.5), change=Change(temperature=0.9), token=2,
                noise=Noise(sigma=0.3, seed=1))  # fmt: skip
    taken = take_alone(warm, warm.concept[0])
    assert taken.change == Change(instead_of=warm.concept, temperature=0.9)
    assert (taken.token, taken.noise) == (None, None)


def test_a_fork_has_the_steps_before_and_the_settings_of_the_run():
    """The first step of its own is known where a token is taken; the seed stays."""
    steps = [step(i, (i, str(i), 1.0)) for i in range(4)]
    fork, settings = make_fork(STARTED, steps, 2, take=steps[2].concept[0])
    assert fork.steps == tuple(steps[:2])
    assert fork.first.index == 2
    assert fork.prompt == (1, 2)
    assert settings == Settings(seed=5)
    assert fork.parting.step == 2
    assert fork.parting.taken == "2"
    other, settings = make_fork(STARTED, steps, 0, once={"strategy": "hard", "topn": 3})
    assert (other.steps, other.first) == ((), None)
    assert (settings.strategy, settings.topn, settings.seed) == ("hard", 3, 5)
    assert other.parting.settings == {"strategy": "hard", "topn": 3}


def test_what_was_alone_anyway_stays_as_it_was():
    """Taken once more it is as cold as before; another token, and one of a mixture, is not."""
    steps = [step(0, (1, "a", 1.0)), step(1, (1, "a", 0.6), (2, "b", 0.4))]
    alone, mixed = (
        make_fork(STARTED, steps, at, take=steps[at].concept[0])[0].first for at in (0, 1)
    )
    assert alone == steps[0]
    assert (mixed.below, mixed.mode) == (0, Mode.HARD)
    other = make_fork(STARTED, steps, 0, take=ConceptEntry(id=2, piece="b", weight=1.0))[0].first
    assert (other.below, other.change.instead_of) == (0, steps[0].concept)


@pytest.mark.parametrize("at", [-1, 4, 99])
def test_there_must_be_such_a_step(at):
    """The hint says which there are."""
    steps = [step(i, (i, str(i), 1.0)) for i in range(4)]
    with pytest.raises(UsageError, match=f"no step {at}") as caught:
        make_fork(STARTED, steps, at)
    assert "0 to 3" in caught.value.hint


@pytest.mark.parametrize("places", [[0, 2, 3, 4], [0, 1, 3, 3], [5, 1, 2, 3]])
def test_all_steps_before_must_be_there(places):
    """Of a trace that has lost a line, what was fed would be something else."""
    steps = [step(i, (i, str(i), 1.0)) for i in places]
    with pytest.raises(UsageError, match="steps before 2 are missing"):
        make_fork(STARTED, steps, 2)


@pytest.mark.parametrize(
    ("wanted", "id_"),
    [("·wait", 7), ("·Patience", 8), ("·patience", 8), ("⏎", 5), ("·", 6), ("⇥⇥", 4), ("2", 5)],
)
def test_a_token_is_named_as_it_is_shown(wanted, id_):
    """`·` for a space and `⏎` for a line break are what people see, so it is what they type."""
    spaces = (5, "\n", 0.2), (6, " ", 0.1), (4, "\t\t", 0.1)
    one = step(3, (7, " wait", 0.3), *spaces, (8, " Patience", 0.3))
    assert find_token(one, wanted, shown=UNICODE.piece).id == id_


@pytest.mark.parametrize(
    ("at", "take", "once", "message", "hint"),
    [
        (2, False, {"think": False}, "think can't change", "max_think 2"),
        (2, True, {"think": False}, "think can't change", "max_think 3"),
        (2, True, {"effort": "high"}, "effort can't change", "ask once more"),
        (2, False, {"max_think": 1}, "max_think 1 ends it before the fork at 2", "max_think 2"),
        (2, True, {"max_think": 2}, "max_think 2 ends it before the fork at 2", "max_think 3"),
        (0, True, {"max_think": 0}, "max_think 0 ends it before", "max_think 1"),
    ],
)
def test_settings_that_leave_nothing_to_think_are_told(at, take, once, message, hint):
    """What the prompt is made of is as it was; and a thought can't end before it parts."""
    steps = [step(i, (i, str(i), 1.0)) for i in range(4)]
    with pytest.raises(UsageError, match=message) as caught:
        make_fork(STARTED, steps, at, take=steps[at].concept[0] if take else None, once=once)
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint


def test_a_fork_may_end_the_thinking_where_it_parts():
    """Then it answers there; saying what holds anyway is no change."""
    steps = [step(i, (i, str(i), 1.0)) for i in range(4)]
    once = {"max_think": 2, "think": True}
    assert make_fork(STARTED, steps, 2, once=once)[1].max_think == 2
    assert make_fork(STARTED, steps, 1, take=steps[1].concept[0], once=once)[1].max_think == 2


def test_a_temperature_that_is_said_is_stronger_than_one_of_the_hand():
    """Also at the step that is changed."""
    warm = Change(temperature=0.9)
    steps = [step(i, (1, "a", 0.5), (2, "b", 0.5), change=warm) for i in range(3)]
    taken = steps[1].concept[1]
    kept, settings = make_fork(STARTED, steps, 1, take=taken)
    assert (kept.first.change.temperature, kept.settings) == (0.9, {})
    assert settings.temperature == Settings().temperature
    fork, settings = make_fork(STARTED, steps, 1, take=taken, once={"temperature": 0.2})
    assert settings.temperature == 0.2
    assert fork.first.change == Change(instead_of=steps[1].concept)


def test_of_steps_told_again_the_last_count():
    """A step takes the place of that of its index, and of all behind it."""
    a, b, c = (step(i, (i, str(i), 1.0)) for i in range(3))
    other = step(1, (9, "z", 1.0))
    assert told_last([a, b, c, other]) == [a, other]
    assert told_last([a, a, b]) == [a, b]
    assert told_last([]) == []
    early, late = (
        Lens(index=i, text="", entropy=0.0, whole=True, elapsed_s=0.0) for i in (0, 1)
    )  # what was seen ahead goes with its step
    assert told_last([a, early, b, late, other]) == [a, early, other]
