"""The maths of a concept token, on arrays that fit into a hand."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softchat.errors import NumericsError
from softchat.thinking.concept import Concept, Distribution, mixture

ADD, SUB, MUL = 0, 1, 2


def logits_of(*probabilities: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(np.array(probabilities, np.float32))


def entropy_of(p: np.ndarray) -> float:
    p = p[p > 0].astype(np.float64)
    return float(-(p * np.log(p)).sum())


def softmax64(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    x = logits.astype(np.float64) / temperature
    e = np.exp(x - x.max())
    return e / e.sum()


def test_the_seed_example_mixes_three_rows():
    """p = (0.55, 0.35, 0.10) gives s = 0.55 E_ADD + 0.35 E_SUB + 0.10 E_MUL."""
    rows = np.array([[1, 0, 2], [0, 1, 4], [3, 0, 8]], np.float32)
    concept = Distribution(logits_of(0.55, 0.35, 0.10)).keep(topn=3)
    assert concept.ids.tolist() == [ADD, SUB, MUL]
    np.testing.assert_allclose(concept.weights, [0.55, 0.35, 0.10], rtol=1e-6)
    s = mixture(concept.weights, rows[concept.ids])
    np.testing.assert_allclose(s, [0.55 + 0.30, 0.35, 1.10 + 1.40 + 0.80], rtol=1e-6)
    assert s.dtype == np.float32


def test_keeping_fewer_renormalises():
    """With n = 2 of (0.55, 0.35, 0.10) the weights are 0.55/0.90 and 0.35/0.90."""
    concept = Distribution(logits_of(0.10, 0.55, 0.35)).keep(topn=2)
    assert concept.ids.tolist() == [1, 2]
    np.testing.assert_allclose(concept.weights, [0.55 / 0.9, 0.35 / 0.9], rtol=1e-6)


def test_one_token_is_its_row_bit_for_bit():
    """A one-hot concept token is its embedding row."""
    rows = np.random.default_rng(0).standard_normal((5, 64), np.float32)
    concept = Distribution(logits_of(0.1, 0.2, 0.4, 0.2, 0.1)).keep(topn=1)
    assert concept.ids.tolist() == [2]
    assert mixture(concept.weights, rows[concept.ids]).tobytes() == rows[2].tobytes()


def test_a_single_token_is_a_concept_with_all_the_weight():
    """Of the same types as any other."""
    concept = Concept.one_hot(3)
    assert (concept.argmax, concept.ids.tolist(), concept.weights.tolist()) == (3, [3], [1.0])
    assert (concept.ids.dtype, concept.weights.dtype) == (np.intp, np.float32)


def test_entropy_is_in_nats():
    """Two equal tokens have ln 2; n equal ones ln n; a certain one 0."""
    assert Distribution(logits_of(0.5, 0.5)).entropy == pytest.approx(np.log(2), abs=1e-6)
    assert Distribution(np.zeros(1000, np.float32)).entropy == pytest.approx(np.log(1000), abs=1e-5)
    assert Distribution(np.array([0, 1000], np.float32)).entropy < 1e-30
    assert Distribution(logits_of(0.96, 0.03, 0.01)).entropy == pytest.approx(0.19044, abs=1e-4)


def test_entropy_is_of_the_whole_distribution():
    """Filters and top-n do not change the entropy; the temperature does."""
    p = Distribution(logits_of(0.4, 0.3, 0.2, 0.1))
    before = p.entropy
    p.keep(topn=1, top_k=2, top_p=0.1, min_p=0.9)
    assert p.entropy == before == pytest.approx(1.2799, abs=1e-4)
    assert Distribution(logits_of(0.4, 0.3, 0.2, 0.1), 0.5).entropy < before


def test_the_peak_is_the_likeliest_tokens_share_of_all():
    """Of the whole distribution, at its temperature, whatever is kept of it."""
    logits = logits_of(0.35, 0.55, 0.10)
    assert Distribution(logits).peak == pytest.approx(0.55, abs=1e-6)
    squared = np.array([0.35, 0.55, 0.10]) ** 2
    assert Distribution(logits, 0.5).peak == pytest.approx(0.55**2 / squared.sum(), abs=1e-6)


def test_ties_are_ordered_by_id():
    """Of equal tokens the one with the lowest id comes first, also beyond the grouping's size."""
    assert Distribution(np.zeros(5, np.float32)).keep(topn=3).ids.tolist() == [0, 1, 2]
    many = np.zeros(10_000, np.float32)
    many[[9_000, 17, 4_242]] = 1.0
    assert Distribution(many).keep(topn=5).ids.tolist() == [17, 4_242, 9_000, 0, 1]


def test_more_than_the_vocabulary_keeps_the_vocabulary():
    """n ≥ V keeps every token, with the softmax as weights."""
    logits = np.array([0.0, 2.0, 1.0], np.float32)
    concept = Distribution(logits).keep(topn=99)
    assert concept.ids.tolist() == [1, 2, 0]
    np.testing.assert_allclose(concept.weights, softmax64(logits)[[1, 2, 0]], rtol=1e-6)


def test_impossible_tokens_are_never_kept():
    """A logit of -inf has no weight and is not in the concept, whatever n is."""
    logits = np.array([-np.inf, 3.0, -np.inf, 2.0], np.float32)
    p = Distribution(logits)
    assert p.keep(topn=4).ids.tolist() == [1, 3]
    assert p.entropy == pytest.approx(entropy_of(softmax64(logits)), abs=1e-6)


@pytest.mark.parametrize("shift", [-3e38, -1e4, 1e4, 3e38])
def test_extreme_logits_do_not_overflow(shift):
    """Adding a constant to all logits changes nothing, up to the range of float32."""
    p = Distribution(np.array([shift, shift, -3.4e38], np.float32), 0.01)
    assert p.entropy == pytest.approx(np.log(2), abs=1e-6)
    assert p.keep(topn=3).weights.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("logits", "temperature"), [([3e38, -3e38], 1.0), ([0.0, -1e10], 1e-31), ([0.0, -1e10], 1e-9)]
)
def test_the_widest_gaps_do_not_overflow(logits, temperature):
    """Neither the difference of two logits, nor what it is divided by."""
    p = Distribution(np.array(logits, np.float32), temperature)
    assert 0 <= p.entropy < 1e-30
    assert p.peak == 1.0
    assert p.keep(topn=2).ids.tolist() == [0]


@pytest.mark.parametrize("temperature", [1e31, 1e46, 1.7e308])
def test_however_hot_what_is_left_out_stays_out(temperature):
    """All that is possible weighs the same: -inf times 0 would be no number."""
    p = Distribution(np.array([1.0, -np.inf, 9.0, -np.inf], np.float32), temperature)
    kept = p.keep(topn=4)
    assert (kept.ids.tolist(), kept.weights.tolist()) == ([2, 0], [0.5, 0.5])
    assert p.entropy == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    "logits", [[np.nan, 1.0], [np.inf, 1.0], [-np.inf, -np.inf], [], [[1.0, 2.0]]]
)
def test_what_is_no_distribution_is_refused(logits):
    """NaN, +inf, nothing possible, and a wrong shape are errors, not weights."""
    with pytest.raises((NumericsError, ValueError), match="logits"):
        Distribution(np.array(logits, np.float32))


def test_temperature_zero_is_the_argmax():
    """At T = 0 one token is left, and the entropy is that of T = 1."""
    logits = logits_of(0.2, 0.5, 0.3)
    cold, plain = Distribution(logits, 0.0), Distribution(logits)
    assert cold.keep(topn=3).ids.tolist() == [1]
    assert cold.entropy == plain.entropy > 0


def test_top_k_keeps_k():
    """top-k 2 leaves the two likeliest."""
    assert Distribution(logits_of(0.1, 0.2, 0.3, 0.4)).keep(topn=4, top_k=2).ids.tolist() == [3, 2]


def test_top_p_includes_the_token_that_reaches_it():
    """top-p 0.6 of (0.5, 0.3, 0.2) keeps two: the second one passes 0.6."""
    p = Distribution(logits_of(0.5, 0.3, 0.2))
    assert len(p.keep(topn=3, top_p=0.6).ids) == 2
    assert len(p.keep(topn=3, top_p=0.4).ids) == 1
    assert len(p.keep(topn=3, top_p=0.0).ids) == 1
    assert len(p.keep(topn=3, top_p=0.95).ids) == 3


def test_the_token_that_reaches_top_p_is_the_last():
    """Two of four equal tokens have half of the mass, to the bit."""
    p = Distribution(np.zeros(4, np.float32))
    assert len(p.keep(topn=4, top_k=4, top_p=0.5).ids) == 2


def test_top_p_without_top_k_is_taken_of_all_tokens():
    """Of (0.4, 0.3, 0.2, 0.1) one has not half the mass, though it has of that of the first two."""
    p = Distribution(logits_of(0.4, 0.3, 0.2, 0.1))
    assert len(p.keep(topn=2, top_p=0.5).ids) == 2


def test_top_p_is_taken_of_what_top_k_left():
    """Of (0.4, 0.4, 0.2), top-k 2 leaves two halves, and one is enough for top-p 0.49."""
    p = Distribution(logits_of(0.4, 0.4, 0.2))
    assert len(p.keep(topn=3, top_p=0.49).ids) == 2
    assert len(p.keep(topn=3, top_k=2, top_p=0.49).ids) == 1


def test_min_p_is_relative_to_the_likeliest():
    """min-p 0.5 drops what is less than half as likely as the likeliest."""
    p = Distribution(logits_of(0.5, 0.3, 0.2))
    assert len(p.keep(topn=3, min_p=0.5).ids) == 2
    assert len(p.keep(topn=3, min_p=1.0).ids) == 1
    assert len(Distribution(np.zeros(3, np.float32)).keep(topn=3, min_p=1.0).ids) == 3


some_logits = hnp.arrays(
    np.float32,
    st.integers(1, 3000),
    elements=st.floats(-50, 50, width=32),
    fill=st.floats(-50, 50, width=32),
)


@settings(max_examples=150, deadline=None)
@given(
    logits=some_logits,
    temperature=st.floats(0.1, 3),
    topn=st.integers(1, 50),
    top_k=st.integers(0, 60),
    top_p=st.floats(0, 1),
    min_p=st.floats(0, 1),
)
def test_invariants(logits, temperature, topn, top_k, top_p, min_p):
    """Weights are a distribution, sorted, within n and k; the argmax survives; 0 ≤ H ≤ ln V."""
    p = Distribution(logits, temperature)
    concept = p.keep(topn=topn, top_k=top_k, top_p=top_p, min_p=min_p)
    assert 1 <= len(concept.ids) <= min(topn, top_k or topn, logits.size)
    assert len(set(concept.ids.tolist())) == len(concept.ids)
    assert concept.weights.sum() == pytest.approx(1, abs=1e-5)
    assert (np.diff(concept.weights) <= 0).all()
    assert logits[concept.argmax] == logits.max()
    assert 0 <= p.entropy <= np.log(logits.size) + 1e-4
    assert p.entropy == pytest.approx(entropy_of(softmax64(logits, temperature)), abs=2e-4)


@settings(max_examples=100, deadline=None)
@given(logits=some_logits, topn=st.integers(1, 200))
def test_the_heaviest_are_those_of_a_full_sort(logits, topn):
    """The shortcut past sorting finds the same tokens in the same order as sorting."""
    kept = Distribution(logits).keep(topn=topn)
    order = np.argsort(-logits, kind="stable")
    assert kept.ids.tolist() == order[: len(kept.ids)].tolist()
    possible = int(
        np.count_nonzero(np.exp(logits - logits.max()) >= 2e-38)
    )  # what is less has no weight
    assert len(kept.ids) == min(topn, possible)


def test_the_input_is_not_changed():
    """The engine's logits are only read."""
    logits = np.array([1.0, 2.0, 3.0], np.float32)
    logits.flags.writeable = False
    Distribution(logits, 0.5).keep(topn=2)
    assert logits.tolist() == [1.0, 2.0, 3.0]


def test_a_step_takes_no_new_memory_of_the_vocabularys_size():
    """But for the first of a thread: what is summed over stands where it stood before."""
    logits = np.linspace(-9, 9, 200_000, dtype=np.float32)
    expected = Distribution(logits).entropy
    tracemalloc.start()
    try:
        assert Distribution(logits).entropy == expected
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < logits.nbytes / 4


def test_a_new_thread_works_in_memory_of_its_own():
    """Steps of several threads at once are those of one after the other."""
    several = [np.linspace(-n, n, 50_000, dtype=np.float32) for n in range(1, 9)]
    with ThreadPoolExecutor(len(several)) as threads:
        found = list(threads.map(lambda logits: Distribution(logits).entropy, several * 8))
    assert found == [Distribution(logits).entropy for logits in several] * 8
