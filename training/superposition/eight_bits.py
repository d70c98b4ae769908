"""Products by frozen matrices in 8-bit integers, for training on a CPU. Knows no model.

A processor without bfloat16 multiplies 8-bit integers faster than floats. So frozen
matrices are rounded, one scale an output, and what goes through them is rounded too, one scale a
position, forwards and backwards (Wortsman et al. 2023, SwitchBack, arXiv:2304.13013). llama.cpp
rounds the activations of a quantised model in much the same way.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Rounded = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""A matrix (out, in) as (in, out) and as (out, in), each with its scales; factors of the inputs."""


@functools.cache
def _loop(name: str) -> Any:  # noqa: ANN401  # a C function
    """A loop of kernels.cpp, compiled for this very machine."""
    source = Path(__file__).with_name("kernels.cpp")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"softchat-training-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    made = folder / f"{digest}.so"
    if not made.exists():
        flags = ["-O3", "-march=native", "-ffast-math", "-fno-strict-aliasing", "-shared", "-fPIC"]
        new = made.with_suffix(f".{os.getpid()}")
        subprocess.run(["g++", *flags, "-o", str(new), str(source)], check=True)
        new.replace(made)
    return getattr(ctypes.CDLL(str(made)), name)


def _call(name: str, *arguments: Tensor | int | None) -> None:
    given = [
        ctypes.c_int64(one)
        if isinstance(one, int)
        else ctypes.c_void_p(None if one is None else one.data_ptr())
        for one in arguments
    ]
    _loop(name)(*given)


def round_rows(x: Tensor, factors: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Rows (P, D), their columns times factors, as 8-bit integers, and a scale for each, (P,)."""
    x = x.contiguous()
    out, scales = torch.empty(x.shape, dtype=torch.int8), torch.empty(len(x))
    _call("to_bytes", x, factors, *x.shape, out, scales)
    return out, scales


def round_matrix(weight: Tensor, largest: Tensor) -> Rounded:
    """A frozen matrix of 8-bit integers, laid out for both directions.

    Where an input tends to be large, its column is made larger in the matrix and the input smaller
    by as much, so that rounding takes little from either (Xiao et al. 2022, SmoothQuant,
    arXiv:2211.10438).

    Args:
        weight: (out, in).
        largest: how large each input becomes, (in,).

    """
    factors = (weight.abs().amax(0).clamp_min(1e-5) / largest.clamp_min(1e-5)).sqrt()
    forth, forth_scales = round_rows(weight / factors)
    back, back_scales = round_rows(weight.t())
    return forth.t(), forth_scales, back.t(), back_scales, factors


def times(x: Tensor, matrix: Rounded) -> Tensor:
    """x @ W.T of rows (P, in): (P, out)."""
    out: Tensor = _Product.apply(x, *matrix)
    return out


def gated(x: Tensor) -> Tensor:
    """silu(gate) * up of rows (P, 2 D) that hold both side by side: (P, D)."""
    out: Tensor = _Gated.apply(x)
    return out


def _product(x: Tensor, matrix: Tensor, columns: Tensor, factors: Tensor | None) -> Tensor:
    rounded, scales = round_rows(x, factors)
    y = torch._int_mm(rounded, matrix)
    _call("to_floats", y, *y.shape, scales, columns)
    return y.view(torch.float32)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *matrix: Tensor) -> Tensor:  # noqa: ANN401  # torch's own
        forth, forth_scales, back, back_scales, factors = matrix
        ctx.save_for_backward(back, back_scales)
        return _product(x, forth, forth_scales, factors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        # A gradient is a few large values and many small ones, of which 8 bits would leave nothing:
        # so what rounding has taken away is rounded once more, and goes through the matrix too.
        grad, (back, scales) = grads[0].contiguous(), ctx.saved_tensors
        rounded, sizes = round_rows(grad)
        rest = torch.addcmul(grad, rounded.float(), sizes[:, None], value=-1)
        whole = _product(grad, back, scales, None).add_(_product(rest, back, scales, None))
        return whole, None, None, None, None, None


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(x)
        out = torch.empty(len(x), x.shape[1] // 2)
        _call("gated", x.contiguous(), *out.shape, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ANN401
        (x,) = ctx.saved_tensors
        out, grad = torch.empty_like(x), grads[0].contiguous()
        _call("gated_back", x.contiguous(), grad, *grad.shape, out)
        return out
