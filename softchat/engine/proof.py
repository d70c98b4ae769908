"""The proof that a model takes an embedding row as it takes the row's token. Made at load."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from softchat.base.arrays import Floats
from softchat.engine.decoder import Decoder
from softchat.engine.embeddings import EmbeddingTable
from softchat.errors import ModelRefusedError

CUT = "if the file was cut short or damaged, fetch it again"
# Logits that differ by less than this share of their range are taken as equal. On the CPU the
# difference seen is exactly 0; other back ends may order their sums otherwise.
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the proof needs to know of a model beside its rows."""

    shown: str
    """How it is called in messages."""
    architecture: str
    own_scale: float
    """What its header says that embeddings are multiplied by; 1 if nothing."""
    has_experts: bool


def prove(decoder: Decoder, table: EmbeddingTable, claim: Claim) -> float:
    """The scale under which an embedding row is the same input as its token.

    Some architectures (Gemma 3) multiply token input by sqrt(D) and leave embedding input as it
    is. One token is decoded as a token, then as its row under each scale that llama.cpp knows
    of, the likelier first, always as the second of two: at position 0 a wrong position would
    not show. Less than three decodes, as the first token needs no logits; nothing of it stays.
    Of a model with experts several tokens are tried in one batch: which experts a token gets
    may differ for one and not for another.

    Args:
        decoder: of the model; its sequence is empty.
        table: the model's rows.
        claim: what else is known of it.

    Raises:
        ModelRefusedError: no scale gives the same logits.

    """
    first, *others = _sample_tokens(table, several=claim.has_experts)
    rows = table.rows(others)
    if not np.isfinite(rows).all():
        raise ModelRefusedError(f"{claim.shown} holds NaN or infinity", hint=CUT)
    decoder.decode([first], 0, logits=False)
    by_token = decoder.decode_tokens(others).copy()
    if not np.isfinite(by_token).any():
        raise ModelRefusedError(f"{claim.shown} gives no token a logit that is a number", hint=CUT)
    spread = _spread(by_token)
    if spread == 0.0:
        raise ModelRefusedError(
            f"{claim.shown} gives every token the same logit",
            hint="it may be an embedding model; softchat needs a causal text model",
        )
    gaps = []
    for scale in _scales(claim, width=table.shape[1]):
        _keep_only(decoder, first)
        decoder.decode(list(rows * np.float32(scale)), decoder.position)
        gaps.append(_gap(by_token, decoder.context.logits()))
        if gaps[-1] == 0.0 or gaps[-1] <= _TOLERANCE * spread:
            decoder.rollback(0)
            return scale
    raise ModelRefusedError(
        f"soft thinking can't be exact on {claim.shown} ({claim.architecture}): "
        f"embedding rows and their tokens give logits {min(gaps):.3g} apart",
        hint="the architecture needs more than embedding rows; pick another model",
    )


def _scales(claim: Claim, *, width: int) -> Iterator[float]:
    """What llama.cpp is known to multiply token input by, each once, the likelier first."""
    root = float(np.sqrt(width))
    scales = [1.0, root, claim.own_scale]  # Granite's own is left out for images' embeddings
    if claim.architecture.startswith("gemma3"):
        scales.insert(0, root)
    yield from dict.fromkeys(scales)


def _keep_only(decoder: Decoder, first: int) -> None:
    decoder.rollback(1)
    if decoder.position == 0:
        decoder.decode([first], 0, logits=False)


def _sample_tokens(table: EmbeddingTable, *, several: bool) -> list[int]:
    """Two tokens of unlike rows (equal ones prove nothing), or more of them."""
    candidates = [table.shape[0] * part // 8 for part in range(2, 8)]
    rows = table.rows(candidates)
    norms = np.linalg.norm(rows, axis=1)
    first, *order = np.argsort(-norms).tolist()
    others = [i for i in order if norms[i] > 0 and not np.array_equal(rows[first], rows[i])]
    if not others:
        raise ModelRefusedError(
            "the model's token embeddings are all alike", hint="the file seems to be damaged"
        )
    return [candidates[i] for i in (first, *others[: None if several else 1])]


def _gap(a: Floats, b: Floats) -> float:
    """The largest difference of two rows of logits; infinite where one is NaN."""
    if np.array_equal(a, b):
        return 0.0
    with np.errstate(invalid="ignore"):
        gap = np.abs(a - b)
    gap[a == b] = 0.0  # -inf on both sides
    worst = float(gap.max())
    return worst if np.isfinite(worst) else float("inf")


def _spread(logits: Floats) -> float:
    """The range that the finite ones of them span; 0 if there are none."""
    finite = logits[np.isfinite(logits)]
    return float(np.ptp(finite)) if finite.size else 0.0
