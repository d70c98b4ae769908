"""A vocabulary and a model small enough to train in a test."""

from __future__ import annotations

import functools

import torch

from training.superposition.families import KINDS
from training.superposition.model import FOLDER, GROUPS, Model, Shape
from training.superposition.pack import Pack, Rehearsed
from training.superposition.vocabulary import _PIECE, Vocabulary, _texts

SHAPE = Shape(layers=2, heads=4, kv_heads=2, theta=10_000.0, eps=1e-5)
WIDTH, INNER = 64, 96


@functools.cache
def vocabulary():
    """Every word a token of its own, in the order in which they come."""
    words = {piece for text in _texts() for piece in _PIECE.findall(text)} | {" ", "."}
    words |= {w if w.isdigit() else f" {w}" for kind in KINDS.values() for w in kind.words}
    return Vocabulary(
        prefix=(1, 2, 3),
        suffix=(4, 5),
        close=(6, 7, 8, 9, 10),
        end=(11,),
        pieces={word: [12 + number] for number, word in enumerate(sorted(words))},
    )


def weights(tokens):
    """Of a base that knows nothing."""
    torch.manual_seed(0)
    sizes = {
        "q_proj": (WIDTH, WIDTH),
        "k_proj": (WIDTH // 2, WIDTH),
        "v_proj": (WIDTH // 2, WIDTH),
        "o_proj": (WIDTH, WIDTH),
        "gate_proj": (INNER, WIDTH),
        "up_proj": (INNER, WIDTH),
        "down_proj": (WIDTH, INNER),
    }
    out = {"embed_tokens.weight": torch.randn(tokens, WIDTH), "norm.weight": torch.ones(WIDTH)}
    for index in range(SHAPE.layers):
        for name in (name for group in GROUPS for name in group):
            out[f"layers.{index}.{FOLDER[name]}.{name}.weight"] = torch.randn(sizes[name]) / 8
        for name in ("input_layernorm", "post_attention_layernorm"):
            out[f"layers.{index}.{name}.weight"] = torch.ones(WIDTH)
    return out


def pack():
    """All that a training takes."""
    v = vocabulary()
    rehearsed = [
        Rehearsed(
            tokens=(1, 2, 3, 20 + n, 21, 22, 6, 7, 30),
            counts=(False,) * 4 + (True,) * 5,
            thinking=(4, 6),
            right=n % 2 == 0,
        )
        for n in range(8)
    ]
    return Pack(weights=weights(12 + len(v.pieces)), beneath={}, vocabulary=v, rehearsed=rehearsed)


def model(**how):
    """A model whose low-rank layers do something."""
    made = Model(pack().weights, 4, shape=SHAPE, **how)
    torch.manual_seed(1)
    for key, value in made.lora.items():
        if key.endswith("B"):
            value.data = torch.randn_like(value) / 8
    return made
