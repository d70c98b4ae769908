"""The tiny model in plain numpy, float64, written from the architecture's papers; and soft thinking
on it, written from the method's formulas. Shares no code with softchat."""

from __future__ import annotations

import numpy as np

from tests.tiny import BASE, EPSILON, HEAD, HEADS, KV_HEADS, LAYERS


def rms_norm(x: np.ndarray, gain: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + EPSILON) * gain


def rope(x: np.ndarray) -> np.ndarray:
    """Rotary embedding (arXiv 2104.09864) of (T, heads, HEAD), neighbours as pairs."""
    steps = np.arange(len(x))[:, None] * BASE ** (-np.arange(0, HEAD, 2) / HEAD)[None, :]
    cos, sin = np.cos(steps)[:, None, :], np.sin(steps)[:, None, :]
    even, odd = x[..., 0::2], x[..., 1::2]
    out = np.empty_like(x)
    out[..., 0::2], out[..., 1::2] = even * cos - odd * sin, even * sin + odd * cos
    return out


def forward(w: dict[str, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    """Logits (V,) behind input embeddings (T, D)."""
    w = {name: tensor.astype(np.float64) for name, tensor in w.items()}
    x = inputs.astype(np.float64)
    length = len(x)
    hidden = np.triu(np.full((length, length), -np.inf), 1)
    for layer in range(LAYERS):

        def tensor(name: str, layer: int = layer) -> np.ndarray:
            return w[f"blk.{layer}.{name}.weight"]

        h = rms_norm(x, tensor("attn_norm"))
        q = rope((h @ tensor("attn_q").T).reshape(length, HEADS, HEAD))
        k = rope((h @ tensor("attn_k").T).reshape(length, KV_HEADS, HEAD))
        v = (h @ tensor("attn_v").T).reshape(length, KV_HEADS, HEAD)
        k, v = (np.repeat(t, HEADS // KV_HEADS, axis=1) for t in (k, v))
        scores = np.einsum("thd,shd->hts", q, k) / np.sqrt(HEAD) + hidden
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        x = x + np.einsum("hts,shd->thd", shares, v).reshape(length, -1) @ tensor("attn_output").T
        h = rms_norm(x, tensor("ffn_norm"))
        gate = h @ tensor("ffn_gate").T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ tensor("ffn_up").T)) @ tensor("ffn_down").T
    return rms_norm(x[-1], w["output_norm.weight"]) @ w["output.weight"].T


Kept = tuple[list[int], np.ndarray]


def soft_trace(
    w: dict[str, np.ndarray],
    prompt: list[int],
    fed: list[Kept],
    *,
    topn: int,
    temperature: float,
    renormalise: bool = True,
) -> list[tuple[list[int], np.ndarray, float]]:
    """(ids, weights, entropy) of each step of soft thinking without filters.

    `fed` are the concept tokens that the run under test says it fed: given the same past, the two
    must agree at each step. (Left to itself, a random model amplifies the smallest difference.)
    """
    rows = w["token_embd.weight"].astype(np.float64)
    inputs = [rows[token] for token in prompt]
    trace = []
    for kept_ids, kept_weights in fed:
        scaled = forward(w, np.array(inputs)) / temperature
        p = np.exp(scaled - scaled.max())
        p /= p.sum()
        ids = sorted(range(len(p)), key=lambda token: -p[token])[:topn]
        weights = p[ids] / p[ids].sum() if renormalise else p[ids]
        trace.append((ids, weights, float(-(p * np.log(p)).sum())))
        pairs = zip(kept_weights, kept_ids, strict=True)
        inputs.append(sum(share * rows[token] for share, token in pairs))
    return trace
