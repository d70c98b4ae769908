"""What each strategy makes of a distribution: its formula, on arrays small enough to check."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softchat.events import HaltReason, Mode
from softchat.settings import StrategyName, resolve
from softchat.thinking.concept import Distribution
from softchat.thinking.strategies import TagTokens, make_strategy

P = (0.55, 0.35, 0.10)
OPEN, CLOSE = 7, 9
OFF = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
NOISY = [StrategyName.GUMBEL, StrategyName.DIRICHLET, StrategyName.MIXED_INPUT]


def distribution(p=P, size=12, temperature=1.0):
    """p over the first tokens of a vocabulary; the others have no weight."""
    logits = np.full(size, -np.inf, np.float32)
    logits[: len(p)] = np.log(p)
    return Distribution(logits, temperature)


def sharp(peak):
    """A distribution over two tokens whose likeliest has this much."""
    return distribution((peak, 1 - peak))


def make(name, *, seed=0, tags=TagTokens(open=(OPEN,), close=(CLOSE,)), **knobs):  # noqa: B008  # frozen
    settings = resolve(OFF | {"strategy": name} | knobs)
    return make_strategy(settings, np.random.default_rng(seed), tags)


def choose(strategy, p):
    return strategy.choose(p, p.entropy)


def weights_of(choice, size=12):
    """The concept as a vector over the vocabulary."""
    out = np.zeros(size)
    out[choice.concept.ids] = choice.concept.weights
    return out


# -- gumbel and dirichlet ----------------------------------------------------------------------


def test_gumbel_is_the_softmax_of_noisy_logs():
    """w = softmax((log p + g) / T), with the noise that the generator gives."""
    for temperature in (0.5, 2.0):
        choice = choose(make("gumbel", seed=3, gumbel_temperature=temperature), distribution())
        noise = np.random.default_rng(3).gumbel(size=3)
        powers = np.exp((np.log(P) + noise) / temperature)
        np.testing.assert_allclose(weights_of(choice)[:3], powers / powers.sum(), rtol=1e-5)
        assert choice.mode is Mode.SOFT


def test_the_heaviest_gumbel_token_is_a_draw_from_p():
    """The Gumbel-max trick: the argmax after the noise has the probabilities p."""
    strategy = make("gumbel")
    drawn = np.bincount([choose(strategy, distribution()).token for _ in range(4000)], minlength=3)
    np.testing.assert_allclose(drawn / 4000, P, atol=0.03)


@pytest.mark.parametrize("concentration", [0.5, 1.0, 20.0])
def test_dirichlet_has_the_moments_of_a_dirichlet(concentration):
    """Its mean is p and its variance p (1 - p) / (c + 1)."""
    strategy = make("dirichlet", dirichlet_concentration=concentration)
    drawn = np.array([weights_of(choose(strategy, distribution()))[:3] for _ in range(4000)])
    p = np.array(P)
    np.testing.assert_allclose(drawn.mean(axis=0), p, atol=0.03)
    np.testing.assert_allclose(drawn.var(axis=0), p * (1 - p) / (concentration + 1), atol=0.015)


def test_dirichlet_with_hardly_any_concentration_is_one_token():
    """Where each draw from Gamma is smaller than any float, their shares are still right."""
    strategy = make("dirichlet", dirichlet_concentration=0.01)
    for _ in range(200):
        weights = weights_of(choose(strategy, distribution()))
        assert np.isfinite(weights).all()
        assert weights.sum() == pytest.approx(1)


# -- mixed-input -------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, 1.0, 3.0])
def test_mixed_input_is_the_posterior_mean(beta):
    """w = (H p + (β + 1 - H) y) / (β + 1), H as a share of log n."""
    entropy = -sum(p * math.log(p) for p in P) / math.log(3)
    seen = set()
    for seed in range(20):
        choice = choose(make("mixed-input", seed=seed, topn=3, mixed_beta=beta), distribution())
        drawn = np.eye(3)[choice.token]
        expected = (entropy * np.array(P) + (beta + 1 - entropy) * drawn) / (beta + 1)
        np.testing.assert_allclose(weights_of(choice)[:3], expected, rtol=1e-5)
        seen.add(choice.token)
    assert seen == {0, 1, 2}


def test_mixed_input_by_hand():
    """p = (½, ½) is as even as can be: H = 1, so with β = 1 the drawn token gets ¾."""
    choice = choose(make("mixed-input", topn=2), distribution((0.5, 0.5)))
    assert choice.concept.weights.tolist() == pytest.approx([0.75, 0.25])
    assert choice.concept.argmax == choice.token


# -- multiplex ---------------------------------------------------------------------------------


def test_multiplex_is_the_mean_of_its_draws():
    """Four draws, two of which are the same: ½, ¼, ¼; the first one drawn is that of the text."""
    for seed in range(30):
        choice = choose(make("multiplex", seed=seed, multiplex_k=4), distribution())
        rng = np.random.default_rng(seed)
        # Inverse transform, as the sampler does it: p is 0.55, 0.35, 0.10.
        drawn = [int(np.searchsorted([0.55, 0.90, 1.0], rng.random())) for _ in range(4)]
        np.testing.assert_allclose(weights_of(choice)[:3], np.bincount(drawn, minlength=3) / 4)
        assert choice.token == drawn[0]
        assert choice.mode is Mode.SOFT


def test_multiplex_weighted_by_probability():
    """Each draw counts as much as its token is likely: n p / Σ n p."""
    knobs = {"multiplex_k": 4, "multiplex_weights": "probability"}
    for seed in range(30):
        choice = choose(make("multiplex", seed=seed, **knobs), distribution())
        plain = weights_of(choose(make("multiplex", seed=seed, multiplex_k=4), distribution()))[:3]
        expected = plain * P / (plain * P).sum()
        np.testing.assert_allclose(weights_of(choice)[:3], expected, rtol=1e-5)


def test_multiplex_draws_from_all_that_passes_the_filters():
    """As `hard` does: the top n does not count."""
    drawn = {
        token
        for seed in range(60)
        for token in choose(make("multiplex", seed=seed, topn=1), distribution()).concept.ids
    }
    assert drawn == {0, 1, 2}


def test_one_draw_is_hard():
    """K = 1: the tokens that `hard` draws with that seed, and fed as tokens."""
    one, hard = make("multiplex", seed=4, multiplex_k=1), make("hard", seed=4)
    for _ in range(20):
        a, b = choose(one, distribution()), choose(hard, distribution())
        assert (a.token, a.mode) == (b.token, Mode.HARD)


# -- gaussian ----------------------------------------------------------------------------------


def test_gaussian_asks_for_noise_on_the_mixture():
    """The weights are those of `soft`; how much noise there is goes beside them."""
    noisy, plain = make("gaussian", gaussian_sigma=0.2), make("soft")
    a, b = choose(noisy, distribution()), choose(plain, distribution())
    assert weights_of(a).tolist() == weights_of(b).tolist()
    assert (a.noise, b.noise) == (0.2, 0.0)
    assert a.mode is Mode.SOFT


# -- selar -------------------------------------------------------------------------------------


def test_selar_by_hand():
    """p = (½, ½), k = 2: h = 1, so s + (s - E[top]) has the weights 1 - 1 and 1."""
    choice = choose(make("selar", selar_k=2), distribution((0.5, 0.5)))
    assert choice.mode is Mode.SOFT
    assert choice.concept.ids.tolist() == [0, 1]
    assert choice.concept.weights.tolist() == pytest.approx([0.0, 1.0], abs=1e-6)


def test_selar_pushes_below_nothing():
    """Three equal tokens, h = 1: 2/3 - 1, 2/3, 2/3; they sum to 1, the likeliest token first."""
    choice = choose(make("selar"), distribution((0.34, 0.33, 0.33)))
    assert choice.concept.weights.tolist() == pytest.approx([-0.32, 0.66, 0.66], abs=1e-3)
    assert choice.concept.weights.sum() == pytest.approx(1, abs=1e-6)
    assert choice.why == "h 1.00"


@pytest.mark.parametrize("strength", [0.0, 0.5, 2.0])
def test_selar_is_the_mixture_and_a_push(strength):
    """(1 + c h) w, less c h for the likeliest; with c = 0 it is the mixture of the k likeliest."""
    w = np.array(P)
    h = -(w @ np.log(w)) / math.log(3)
    choice = choose(make("selar", selar_strength=strength), distribution())
    expected = (1 + strength * h) * w - strength * h * np.eye(3)[0]
    np.testing.assert_allclose(weights_of(choice)[:3], expected, rtol=1e-5, atol=1e-6)


def test_selar_draws_where_it_is_sure():
    """h under the threshold is hard; each step draws a token, which is that of the text."""
    strategy, hard = make("selar", seed=2), make("hard", seed=2)
    for peak in (0.9, 0.6, 0.95, 0.5):  # of two tokens, h = H / log 3 is 0.30, 0.61, 0.18, 0.63
        choice, drawn = choose(strategy, sharp(peak)), choose(hard, sharp(peak))
        assert choice.token == drawn.token
        assert choice.mode is (Mode.SOFT if peak < 0.7 else Mode.HARD)
        if choice.mode is Mode.HARD:
            assert choice.concept.ids.tolist() == [choice.token]


# -- thinkrouter -------------------------------------------------------------------------------


def test_thinkrouter_mixes_where_it_is_confident():
    """Soft from `router_peak` on, a drawn token under it; repetitions are nothing to it."""
    strategy = make("thinkrouter", router_peak=0.6)
    assert choose(strategy, sharp(0.61)).mode is Mode.SOFT
    assert choose(strategy, distribution((0.59, 0.3, 0.11))).mode is Mode.HARD
    assert [choose(strategy, sharp(0.99)).mode for _ in range(40)] == [Mode.SOFT] * 40


# -- switching ---------------------------------------------------------------------------------


def test_switching_turns_hard_when_the_entropy_falls_and_soft_when_it_rises():
    """Soft to hard at once, under the reference; back above the new one, after the window."""
    strategy = make("switching", switch_window=3, switch_beta=1.0)
    peaks = [0.6, 0.55, 0.7, 0.6, 0.6, 0.6, 0.9, 0.6]
    chosen = [choose(strategy, sharp(peak)) for peak in peaks]
    #  0.6 sets the reference; 0.55 is above it; 0.7 is below: turns. The window holds the next two.
    modes = [c.mode for c in chosen]
    assert modes[:3] == [Mode.SOFT] * 3
    assert modes[3:5] == [Mode.HARD] * 2
    assert [bool(c.why) for c in chosen] == [False, False, True, False, False, True, True, False]
    assert chosen[2].why == "to hard: H 0.61 < 0.67"
    assert chosen[5].why == "to soft: H 0.67 > 0.61"
    # Soft to hard waits for nothing.
    assert chosen[6].why.startswith("to hard")
    assert modes[7] is Mode.HARD


def test_a_turn_blends_the_tag_in():
    """To hard: b of the concept, the rest </think>; to soft: a of it, the rest <think>."""
    knobs = {"switch_window": 1, "switch_alpha": 0.6, "switch_beta": 0.8, "max_think": 10}
    strategy = make("switching", **knobs)
    first, to_hard, to_soft = (choose(strategy, sharp(peak)) for peak in (0.6, 0.7, 0.6))
    assert weights_of(first)[:2] == pytest.approx([0.6, 0.4])
    b = 0.8 + 0.2 * 1 / 10  # it rises to 1 over max_think steps
    assert weights_of(to_hard)[[0, 1, CLOSE]] == pytest.approx([0.7 * b, 0.3 * b, 1 - b])
    a = 0.6 + 0.4 * 2 / 10
    assert weights_of(to_soft)[[0, 1, OPEN]] == pytest.approx([0.6 * a, 0.4 * a, 1 - a])
    assert {to_hard.mode, to_soft.mode} == {Mode.SOFT}
    assert to_hard.token == to_soft.token == 0


def test_a_tag_of_several_tokens_is_their_mean():
    """And one of them that is in the concept already is counted once, with both weights."""
    tags = TagTokens(close=(1, 8))
    strategy = make("switching", tags=tags, switch_beta=0.5, max_think=10**6)
    choose(strategy, sharp(0.6))
    choice = choose(strategy, sharp(0.7))
    assert weights_of(choice)[[0, 1, 8]] == pytest.approx([0.35, 0.15 + 0.25, 0.25], abs=1e-5)
    assert len(set(choice.concept.ids.tolist())) == 3


@pytest.mark.parametrize(
    ("knob", "reason", "opening"),
    [
        ("switch_converge", HaltReason.CONVERGED, ""),
        ("switch_terminate", HaltReason.TERMINATED, "The final answer is"),
    ],
)
def test_enough_turns_end_it(knob, reason, opening):
    """The step after the second turn to hard halts, with the answer begun or not."""
    strategy = make("switching", switch_window=1, **{knob: 2})
    chosen = [choose(strategy, sharp(peak)) for peak in (0.6, 0.7, 0.6, 0.7, 0.7)]
    assert [c.halt for c in chosen] == [None] * 4 + [reason]
    assert chosen[-1].opening == opening
    assert chosen[-1].why == "2 turns to hard"


# -- adaptive ----------------------------------------------------------------------------------


def test_adaptive_is_soft_where_one_token_leads():
    """Soft from `adaptive_peak` on; under it a token is drawn, of all that the filters leave."""
    strategy = make("adaptive", topn=2)
    soft, hard = choose(strategy, sharp(0.61)), choose(strategy, distribution((0.59, 0.3, 0.11)))
    assert (soft.mode, soft.why) == (Mode.SOFT, "one leads")
    assert (hard.mode, hard.why) == (Mode.HARD, "fork")
    drawn = {
        choose(make("adaptive", seed=seed, topn=2), distribution()).token for seed in range(60)
    }
    assert drawn == {0, 1, 2}


def test_adaptive_leaves_a_repetition():
    """Sixteen tokens of a block twice: the next is another one, however sure the model is."""
    for seed in range(20):
        strategy = make("adaptive", seed=seed, topn=2)
        chosen = [choose(strategy, distribution((0.99, 0.007, 0.003))) for _ in range(18)]
        assert [c.mode for c in chosen] == [Mode.SOFT] * 16 + [Mode.HARD, Mode.SOFT]
        assert chosen[16].why == "repeats"
        assert chosen[16].token in (1, 2)


def test_adaptive_draws_the_other_tokens_by_weight():
    """Of the `topn` likeliest without the forbidden one: 0.008 to 0.002 is four to one."""
    drawn = []
    for seed in range(400):
        strategy = make("adaptive", seed=seed, topn=2)
        p = distribution((0.989, 0.008, 0.002, 0.001))
        drawn.append([choose(strategy, p) for _ in range(17)][-1].token)
    counts = np.bincount(drawn, minlength=4)
    assert counts[0] == counts[3] == 0
    assert counts[1] / 400 == pytest.approx(0.8, abs=0.06)


# -- all of them -------------------------------------------------------------------------------


@given(
    name=st.sampled_from(list(StrategyName)),
    logits=st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=12),
    seed=st.integers(0, 2**32 - 1),
    topn=st.integers(1, 12),
    temperature=st.sampled_from([0.0, 0.3, 1.0]),
    top_p=st.sampled_from([0.5, 0.95, 1.0]),
)
def test_a_concept_is_a_distribution_over_what_was_kept(
    name, logits, seed, topn, temperature, top_p
):
    """Weights are positive, sum to 1, heaviest first, and on tokens that pass the filters.

    But for `selar`, whose likeliest token stands first, also where its weight is negative.
    """
    p = Distribution(np.array(logits, np.float32), temperature)
    strategy = make(name, seed=seed, topn=topn, temperature=temperature, top_p=top_p)
    choice = choose(strategy, p)
    weights = choice.concept.weights
    assert weights.dtype == np.float32
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    pushed = int(name is StrategyName.SELAR)
    assert (weights[pushed:] > 0).all()
    assert (np.diff(weights[pushed:]) <= 0).all()
    free = choice.mode is Mode.HARD or name in (StrategyName.MULTIPLEX, StrategyName.SELAR)
    most = p.size if free else topn
    kept = p.keep(topn=most, top_p=top_p).ids
    assert set(choice.concept.ids.tolist()) <= set(kept.tolist())
    assert choice.token in kept


@pytest.mark.parametrize("name", list(StrategyName))
def test_temperature_zero_is_the_argmax(name):
    """Under every strategy, step after step, whatever the seed: greedy decoding."""
    for seed in range(5):
        strategy = make(name, seed=seed, temperature=0.0, switch_window=1)
        for peak in (0.6, 0.7, 0.6, 0.9, 0.8):
            choice = choose(strategy, distribution((peak, 1 - peak), temperature=0.0))
            assert choice.concept.ids.tolist() == [0]
            assert choice.token == 0


@pytest.mark.parametrize("name", [StrategyName.SOFT, *NOISY])
def test_one_token_kept_is_the_argmax(name):
    """Noise comes after the top n, so `topn=1` leaves it nothing to shake."""
    for seed in range(5):
        choice = choose(make(name, seed=seed, topn=1), distribution())
        assert choice.concept.ids.tolist() == [0]
        assert choice.concept.weights.tolist() == [1.0]


@pytest.mark.parametrize("name", list(StrategyName))
def test_a_seed_decides(name):
    """The same seed makes the same choices; those that draw differ with another."""

    def run(seed):
        strategy = make(name, seed=seed)
        chosen = [choose(strategy, distribution()) for _ in range(12)]
        return [(one.token, weights_of(one).tolist()) for one in chosen]

    once, again, other = (run(seed) for seed in (5, 5, 6))
    assert once == again
    # What `gaussian` draws is the noise, which is not the strategy's.
    unchanged = (StrategyName.SOFT, StrategyName.SWITCHING, StrategyName.GAUSSIAN)
    assert (once == other) is (name in unchanged)
