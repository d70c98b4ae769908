"""Turns on a tiny model, in any order; what comes next is what an empty cache would give."""

from __future__ import annotations

import numpy as np
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, invariant

from softchat.engine.kv_cache import CachedSequence
from softchat.settings import resolve

LETTERS = [chr(0x4E00 + i) for i in range(90)]
# Of the logits' range. A batch orders its sums otherwise than single tokens do, and the cache
# holds float16, where a last bit is 5e-4 of a key. A wrong position or a stale one: 0.1 and more.
TOLERANCE = 2e-3
# Tokens to a native call. More go through other kernels: of a tiny Jamba, 75 at once are 2e-3 from
# the same tokens one by one, also in an empty cache; in batches of up to 12 they are 6e-6 from it.
_BATCH = 12
# The tiny model has no token for anything but its letters, and aborts the process on others.
TEMPLATE = """
{%- for m in messages -%}
{{ {"system": "丂", "user": "丄", "assistant": "丅"}[m.role] }}{{ m.content }}丆
{%- endfor -%}
丅"""


class CacheMachine(RuleBasedStateMachine):
    """An engine that is used, and one to compare it with. Subclasses have the rules.

    Args:
        make_engine: opens the model; told `cancelled`, if it is the one that is used.

    """

    def __init__(self, make_engine):
        super().__init__()
        self.left = 10**9  # how often the engine may ask before it is told to stop
        self.engine = make_engine(cancelled=self.cancelled)
        self.fresh = make_engine()
        self.engine.context.n_batch = self.fresh.context.n_batch = _BATCH

    def teardown(self):
        self.engine.close()
        self.fresh.close()

    def cancelled(self):
        self.left -= 1
        return self.left < 0

    def conversation(self):
        """The turns until now."""
        raise NotImplementedError

    @invariant()
    def the_next_logits_are_those_of_an_empty_cache(self):
        talk = self.conversation()
        backend = talk.backend
        _, items = backend._prompt(talk.question("一"), resolve({}))
        reused = next_logits(backend._sequence, items)
        assert backend._sequence.position == self.engine.position == len(items)
        self.fresh.rollback(0)
        assert alike(reused, next_logits(CachedSequence(self.fresh), items))


def next_logits(sequence, items):
    """The logits behind these positions, of which the sequence decodes what it does not hold."""
    kept = sequence.rewind(items)
    sequence.replay(items[kept:-1])
    return sequence.decode_tokens(items[-1:]).copy()


def alike(here, anew):
    """Whether logits are the same, but for the order of sums."""
    return np.abs(here - anew).max() <= TOLERANCE * np.ptp(anew)


def run_machine(machine, examples):
    """Try so many rows of a dozen rules."""
    machine.TestCase.settings = hypothesis_settings(
        max_examples=examples, stateful_step_count=12, deadline=None, derandomize=True
    )
    machine.TestCase("runTest").runTest()
