"""Tokens from a dictionary are those of the model's own tokenizer."""

from __future__ import annotations

from random import Random

import pytest

from softchat.engine.llama import LlamaEngine
from training.prompt import make_question_prompt
from training.superposition.families import DEEPEST, KINDS, make
from training.superposition.phrases import PHRASES
from training.superposition.vocabulary import Vocabulary, make_vocabulary


@pytest.fixture(scope="module")
def engine(real_model):
    """The default model, without its adapter."""
    with LlamaEngine(real_model, n_ctx=64) as engine:
        yield engine


@pytest.fixture(scope="module")
def vocabulary(engine):
    """All the problems' words."""
    return make_vocabulary(engine)


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_a_question_has_the_tokens_that_softchat_makes_of_it(engine, vocabulary, name, held_out):
    """System prompt, what is told, question and open tag: token by token the same."""
    rng, v = Random(7), vocabulary
    for depth in range(1, DEEPEST + 2):
        puzzle = make(rng, name, depth, held_out=held_out)
        for q in puzzle.questions:
            mine = [*v.prefix, *v.tokens(puzzle.told), *v.tokens(f" {q.ask}"), *v.suffix]
            theirs = make_question_prompt(engine, f"{puzzle.told} {q.ask}").tokens
            assert mine == list(theirs)


@pytest.mark.parametrize("name", PHRASES)
def test_free_phrases_have_the_tokens_of_the_model(engine, vocabulary, name):
    """Whatever is put together; a text may begin with a state."""
    rng, v = Random(8), vocabulary
    for _ in range(60):
        puzzle = make(rng, name, rng.choice([1, 2, 3, 4]), freely=True)
        for q in puzzle.questions:
            mine = [*v.tokens(puzzle.told), *v.tokens(f" {q.ask}")]
            assert mine == engine.tokenize(f"{puzzle.told} {q.ask}")
            for word in (*q.choices, *(state for level in q.levels for state in level)):
                v.state(word)


def test_a_state_is_one_token(vocabulary):
    """Every word that may be thought is one token, and no two are the same one."""
    pools = [kind.words for kind in KINDS.values()]
    pools += [words for phrases in PHRASES.values() for words in phrases.words]
    for pool in pools:
        states = [vocabulary.state(word) for word in dict.fromkeys(pool)]
        assert len(set(states)) == len(states)


def test_it_is_kept_as_it_is(vocabulary, tmp_path):
    """What is saved is what is loaded."""
    vocabulary.save(tmp_path / "v.json")
    assert Vocabulary.load(tmp_path / "v.json") == vocabulary
