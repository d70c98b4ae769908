"""What the model would answer now: a look ahead that leaves no trace. Knows nothing of thinking."""

from __future__ import annotations

from collections.abc import Sequence

from softchat.engine.protocol import Engine
from softchat.errors import DecodeError
from softchat.thinking.concept import Distribution

LONGEST = 12
"""Tokens of the answer that are looked at; one that is longer is not called sure."""


def is_sure(engine: Engine, closing: Sequence[int], entropy: float) -> bool:
    """Whether the answer is settled, if the thinking were closed here.

    The closing tag is decoded, then the likeliest answer until a token's H (nats, T = 1) is not
    under `entropy`, which then is the end of it. It is settled if it comes to its end before. All
    of this is forgotten again; logits that the engine gave before are not valid any more.

    Args:
        engine: stands at the end of a line of thought.
        closing: tokens that close the thinking.
        entropy: nats.

    Raises:
        DecodeError: the model failed, or its memory can't be cut back.

    """
    start = engine.position
    if start + len(closing) + LONGEST > engine.info.n_ctx:
        return False
    try:
        return _is_settled(engine, closing, entropy)
    finally:
        engine.rollback(start)
        if engine.position != start:
            raise DecodeError(
                "this model's memory can't be cut, so its answer can't be probed",
                hint="--sure-entropy 0",
            )


def _is_settled(engine: Engine, closing: Sequence[int], entropy: float) -> bool:
    logits = engine.decode_tokens(closing)
    for _ in range(LONGEST):
        p = Distribution(logits)
        if p.entropy >= entropy:
            return False
        token = p.keep(topn=1).argmax
        if engine.is_end(token):
            return True
        logits = engine.decode_tokens([token])
    return False
