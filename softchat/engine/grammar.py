"""An answer held to a grammar: which tokens can come next, by llama.cpp's grammar sampler."""

from __future__ import annotations

import ctypes
import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from softchat.base.arrays import Floats
from softchat.engine.grammar_cost import check_cost
from softchat.engine.library import llama_cpp
from softchat.errors import DecodeError, UsageError, check_type

_ROOT = b"root"
_STDERR = 2
LONGEST_S = 10.0
"""Of processor time for a token. It is told once it is over, as nothing stops llama.cpp in it."""
_LONGEST = 2**18  # characters
_DEEPEST = 1000  # brackets in brackets: llama.cpp's parser recurses
# What spells nothing in an answer, and yet its name to a grammar.
_UNSPOKEN = llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN | llama_cpp.LLAMA_TOKEN_ATTR_CONTROL
_CANDIDATES = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Grammar:
    """What has been said so far of a text in a grammar, and what can come next.

    Args:
        vocab: the native vocabulary.
        text: the grammar in GBNF, llama.cpp's own notation; its rule `root` is all of the text.
        check: raises if the vocabulary has been freed.

    Checked first, as llama.cpp would come to no end of it, or to a bad one: its length (2^18
    characters), brackets in brackets (1,000), and what `check_cost` bounds: ways to go on in one
    place (1,000), repetitions of what may be nothing (30), loops in loops (16), rules that begin
    with themselves, counts whose least is above the most. What grows with what is said can't be
    seen before: a token that has taken long is the last one.

    Raises:
        UsageError: llama.cpp can't read it, or must not.

    """

    def __init__(
        self, vocab: int, text: str, *, check: Callable[[], object] = lambda: None
    ) -> None:
        check_type("the grammar", text, str, "text")
        if not text.strip() or len(text) > _LONGEST or _depth(text) > _DEEPEST:
            raise UsageError(
                "the grammar is empty, too long or nested too deep",
                hint="a simpler schema, with smaller counts",
            )
        check_cost(text)
        with _unprinted():
            sampler = llama_cpp.llama_sampler_init_grammar(
                vocab, text.encode(errors="replace"), _ROOT
            )
        if not sampler:
            raise UsageError("llama.cpp can't read the grammar", hint="try a simpler schema")
        self._sampler, self._check = sampler, check
        count = int(llama_cpp.llama_vocab_n_tokens(vocab))
        self._candidates = np.zeros(count, _CANDIDATES)
        self._unspoken = np.array([_is_unspoken(vocab, token) for token in range(count)])
        weakref.finalize(self, llama_cpp.llama_sampler_free, sampler)

    def allows(self, token: int) -> bool:
        """Whether this token can come next; one that ends the text, only where all is said."""
        if not 0 <= token < self._unspoken.size:
            return False
        return bool(np.isfinite(self._left(np.array([token]), np.zeros(1, np.float32)))[0])

    def mask(self, logits: Floats) -> Floats:
        """The logits, (V,), with -inf for all that can't come next.

        Raises:
            DecodeError: nothing can, or it takes too long to tell.

        """
        left = self._left(np.arange(logits.size), logits)
        if not np.isfinite(left).any():
            raise DecodeError(
                "no token of this model fits the schema here", hint="try a simpler schema"
            )
        return left

    def accept(self, token: int) -> None:
        """Say this token.

        Raises:
            UsageError: it is none that it `allows`; llama.cpp would end the process.

        """
        if not self.allows(token):
            raise UsageError(f"the grammar does not allow token {token} here", hint="see `allows`")
        with _bounded():
            llama_cpp.llama_sampler_accept(self._sampler, token)

    def _left(self, tokens: np.ndarray, logits: Floats) -> Floats:
        self._check()
        candidates = self._candidates[: tokens.size]
        candidates["id"], candidates["logit"] = tokens, logits
        array = llama_cpp.llama_token_data_array(
            data=ctypes.cast(candidates.ctypes.data, llama_cpp.llama_token_data_p),
            size=tokens.size,
            selected=-1,
            sorted=False,
        )
        with _bounded():
            llama_cpp.llama_sampler_apply(self._sampler, ctypes.byref(array))
        left: Floats = candidates["logit"].copy()
        left[self._unspoken[tokens]] = -np.inf
        return left


@contextmanager
def _unprinted() -> Iterator[None]:
    """Have native code print nothing on stderr: its parser of grammars does, past its log."""
    try:
        stderr = os.dup(_STDERR)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STDERR)
        yield
    finally:
        os.dup2(stderr, _STDERR)
        os.close(nowhere)
        os.close(stderr)


@contextmanager
def _bounded() -> Iterator[None]:
    """Raise DecodeError if what was done in here has taken long: what comes next takes longer."""
    began = time.thread_time()
    yield
    if time.thread_time() - began > LONGEST_S:
        raise DecodeError(
            f"the grammar takes more than {LONGEST_S:g} seconds a token",
            hint="a schema, or grammar, in which fewer things are possible at once",
        )


def _is_unspoken(vocab: int, token: int) -> bool:
    attributes = int(llama_cpp.llama_vocab_get_attr(vocab, token))
    return bool(attributes & _UNSPOKEN) and not llama_cpp.llama_vocab_is_eog(vocab, token)


def _depth(text: str) -> int:
    """How many brackets are open at once, at the most; those in quotes count too."""
    deepest = depth = 0
    for sign in text:
        if sign == "(":
            depth += 1
            deepest = max(deepest, depth)
        elif sign == ")":
            depth -= 1
    return deepest
