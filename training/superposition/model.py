"""The base model with low-rank layers that learn, on a CPU or on a card.

Needs torch only: its weights come as a dictionary, whoever has read them. It takes embeddings, as
thoughts are mixtures, and any mask of who sees whom, as several questions share what is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, (B, heads, T, d) each."""
GROUPS = (("q_proj", "k_proj", "v_proj"), ("o_proj",), ("gate_proj", "up_proj"), ("down_proj",))
"""The linear layers that have the same input, in the order in which they are computed."""
FOLDER = {
    name: "mlp" if name in ("gate_proj", "up_proj", "down_proj") else "self_attn"
    for group in GROUPS
    for name in group
}
SCALE = 2.0
"""Of the low-rank layers: alpha over rank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a model is like, beside its weights; these are SmolLM2-135M's."""

    layers: int = 30
    heads: int = 9
    kv_heads: int = 3
    theta: float = 100_000.0
    eps: float = 1e-5


@dataclass(slots=True, kw_only=True)
class _Layer:
    """A group of linear layers: side by side as one frozen matrix, with their low-rank layers."""

    frozen: Tensor
    sizes: list[int]
    lora: list[nn.Parameter]
    off: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        whole = _times(x, self.frozen)
        if self.off or not self.lora:
            return whole
        first, second = self.lora[::2], self.lora[1::2]
        down = functional.linear(x, torch.cat(first) if len(first) > 1 else first[0])
        parts = zip(down.split(len(first[0]), -1), second, strict=True)
        small = torch.cat([functional.linear(part, b) for part, b in parts], -1)
        return whole.add(small, alpha=SCALE)


def _times(x: Tensor, matrix: Tensor) -> Tensor:
    return functional.linear(x.to(matrix.dtype), matrix).to(x.dtype)


class Model(nn.Module):
    """The base, with low-rank layers beside all linear ones from layer `first` on.

    Args:
        weights: of the base, under transformers' names without `model.` before them.
        rank: of the low-rank layers.
        first: the first layer that has some; before it, nothing is kept for going back.
        shape: of the base.
        beneath: an adapter that is added to the frozen matrices, (a, b) under `layer.module`.
        device: where it is to be.
        dtype: what the frozen matrices are held and multiplied in; None: bfloat16 on a card, else
            float32. On a CPU the head stays in float32, as bfloat16 would round its logits.

    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        rank: int,
        first: int = 0,
        *,
        shape: Shape | None = None,
        beneath: Mapping[str, tuple[Tensor, Tensor]] | None = None,
        device: str = "cpu",
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.first, self.device = shape or Shape(), first, torch.device(device)
        on_card = self.device.type != "cpu"
        dtype = dtype or (torch.bfloat16 if on_card else torch.float32)
        self.table = weights["embed_tokens.weight"].float().to(self.device)
        self.head = self.table.to(dtype) if on_card else self.table
        self.norm = weights["norm.weight"].float().to(self.device)
        self.lora = nn.ParameterDict()
        self.blocks: list[tuple[list[Tensor], list[_Layer]]] = []
        for index in range(self.shape.layers):
            layers = []
            for group in GROUPS:
                parts, lora = [], []
                for name in group:
                    w = weights[f"layers.{index}.{FOLDER[name]}.{name}.weight"].float()
                    if beneath:
                        a, b = beneath[f"{index}.{name}"]
                        w = w + SCALE * (b.float() @ a.float())
                    parts.append(w)
                    if index >= first:
                        lora += self._make_lora(f"{index}-{name}", rank, *w.shape)
                frozen = torch.cat(parts).to(self.device, dtype)
                layers.append(_Layer(frozen=frozen, sizes=[len(p) for p in parts], lora=lora))
            norms = [
                weights[f"layers.{index}.{name}.weight"].float().to(self.device)
                for name in ("input_layernorm", "post_attention_layernorm")
            ]
            self.blocks.append((norms, layers))
        half = self.table.shape[1] // self.shape.heads // 2
        turns = torch.arange(half, device=self.device).float() / half
        self.inverse = 1.0 / self.shape.theta**turns

    def _make_lora(self, key: str, rank: int, out: int, inner: int) -> list[nn.Parameter]:
        a = nn.Parameter(torch.empty(rank, inner))
        nn.init.kaiming_uniform_(a, a=5**0.5)
        a.data = a.data.to(self.device)
        b = nn.Parameter(torch.zeros(out, rank, device=self.device))
        self.lora[f"{key}-A"], self.lora[f"{key}-B"] = a, b
        return [a, b]

    def mix(self, ids: Tensor, weights: Tensor | None = None) -> Tensor:
        """Rows of the table, (…, D), of ids (…); with weights, mixtures over the last axis."""
        rows = functional.embedding(ids.to(self.device), self.table)
        return rows if weights is None else (weights.to(self.device).unsqueeze(-1) * rows).sum(-2)

    def adapter(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The low-rank layers, (a, b) under `layer.module`."""
        keys = dict.fromkeys(key.rpartition("-")[0] for key in self.lora)
        return {
            key.replace("-", "."): (
                self.lora[f"{key}-A"].detach().cpu().clone(),
                self.lora[f"{key}-B"].detach().cpu().clone(),
            )
            for key in keys
        }

    @contextmanager
    def beneath(self) -> Iterator[None]:
        """Without the layers that learn: the base and the adapter beneath."""
        every = [layer for _, layers in self.blocks for layer in layers]
        for layer in every:
            layer.off = True
        try:
            yield
        finally:
            for layer in every:
                layer.off = False

    @torch.no_grad()
    def load(self, adapter: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Take over low-rank layers that `adapter` gave."""
        for key, (a, b) in adapter.items():
            name = key.replace(".", "-")
            self.lora[f"{name}-A"].copy_(a)
            self.lora[f"{name}-B"].copy_(b)

    def forward(
        self,
        x: Tensor,
        places: Tensor,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        outputs: list[Tensor] | None = None,
    ) -> tuple[Tensor, Cache]:
        """The last layer's output (B, T, D) of embeddings, and what later positions need of them.

        Args:
            x: (B, T, D).
            places: their positions, (B, T) or (1, T).
            mask: which keys each may see, True for yes, (B or 1, T, all keys); None: all before.
            cache: of earlier positions.
            outputs: each layer's, (B, T, D), is put there.

        """
        turn = places.to(self.device).unsqueeze(-1).float() * self.inverse  # (B, T, d/2)
        cos = torch.cat([turn.cos()] * 2, -1).unsqueeze(1)
        sin = torch.cat([-turn.sin(), turn.sin()], -1).unsqueeze(1)
        if mask is not None:
            hidden = ~mask.to(self.device).unsqueeze(1)
            mask = torch.zeros(hidden.shape, device=self.device).masked_fill_(hidden, float("-inf"))
        new = []
        for index in range(len(self.blocks)):
            before = cache[index] if cache else None
            with torch.set_grad_enabled(torch.is_grad_enabled() and index >= self.first):
                x, kept = self._block(index, x, cos, sin, mask, before)
            new.append(kept)
            if outputs is not None:
                outputs.append(x)
        return functional.rms_norm(x, x.shape[-1:], self.norm, self.shape.eps), new

    def _block(
        self,
        index: int,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor | None,
        before: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        (norm, later_norm), (qkv, out, up, down) = self.blocks[index]
        shape, (b, t, width) = self.shape, x.shape

        def turned(y: Tensor, heads: int) -> Tensor:
            y = y.reshape(b, t, heads, -1).transpose(1, 2)
            first, second = y.chunk(2, -1)
            return y * cos + torch.cat([second, first], -1) * sin

        y = functional.rms_norm(x, (width,), norm, shape.eps).view(b * t, width)
        q, k, v = qkv(y).split(qkv.sizes, -1)
        q, k = turned(q, shape.heads), turned(k, shape.kv_heads)
        v = v.reshape(b, t, shape.kv_heads, -1).transpose(1, 2)
        if before:
            k, v = (
                torch.cat([old.expand(b, -1, -1, -1), new], 2)
                for old, new in zip(before, (k, v), strict=True)
            )
        times = shape.heads // shape.kv_heads
        y = functional.scaled_dot_product_attention(
            q,
            k.repeat_interleave(times, 1),
            v.repeat_interleave(times, 1),
            attn_mask=mask,
            is_causal=mask is None,
        )
        x = x + out(y.transpose(1, 2).reshape(b * t, width)).view_as(x)
        y = up(functional.rms_norm(x, (width,), later_norm, shape.eps).view(b * t, width))
        gate, straight = y.chunk(2, -1)
        return x + down(functional.silu(gate) * straight).view_as(x), (k, v)

    def logits(self, hidden: Tensor) -> Tensor:
        """Rows (P, V) of the last layer's output (P, D)."""
        return _times(hidden.reshape(-1, hidden.shape[-1]), self.head).view(*hidden.shape[:-1], -1)
