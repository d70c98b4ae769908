"""Tokens as events tell of them: pieces that can be read, with weights. Knows no run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from softchat.base.arrays import Floats
from softchat.engine.protocol import Engine
from softchat.events import AnswerToken, ConceptEntry
from softchat.thinking.concept import Concept, Distribution

_LONGEST_PIECE = 200  # bytes of a piece that are shown; real ones have up to 128
_ALTERNATIVES = 5


def concept_entries(
    concept: Concept, engine: Engine, pieces: dict[int, str]
) -> tuple[ConceptEntry, ...]:
    """A concept token as it is told; `pieces` holds those that were told before, by token."""
    entries = []
    for token, weight in zip(concept.ids.tolist(), concept.weights.tolist(), strict=True):
        piece = pieces.get(token)
        if piece is None:
            piece = pieces[token] = shown(engine, token)
        entries.append(ConceptEntry(id=token, piece=piece, weight=weight))
    return tuple(entries)


def answer_token(token: int, logits: Floats, engine: Engine) -> AnswerToken:
    """A token that was drawn for the answer, with how sure the model was there, of these logits."""
    p = Distribution(logits)
    likeliest = p.keep(topn=_ALTERNATIVES + 1)
    highest = float(logits[likeliest.argmax])

    def probability(one: int) -> float:
        return p.peak * math.exp(float(logits[one]) - highest)

    return AnswerToken(
        id=token,
        piece=shown(engine, token),
        probability=probability(token),
        entropy=p.entropy,
        alternatives=tuple(
            ConceptEntry(id=one, piece=shown(engine, one), weight=probability(one))
            for one in likeliest.ids.tolist()
            if one != token
        )[:_ALTERNATIVES],
    )


def text_of(engine: Engine, tokens: Sequence[int]) -> str:
    """What tokens spell, markers left out."""
    pieces = (engine.piece(token, special=False) for token in tokens)
    return b"".join(pieces).decode("utf-8", "replace")


def shown(engine: Engine, token: int) -> str:
    r"""A piece to be shown; a part of a character as its bytes (`\xe7`)."""
    # Cut before all else: a file may hold pieces of a megabyte.
    return engine.piece(token)[:_LONGEST_PIECE].decode("utf-8", "backslashreplace")
