"""Which layers of a model go to accelerators, or to other machines: as many as fit.

llama.cpp counts the output matrix as one layer more, and gives layers away from the end: with one
layer on a device that is the output, with all of them everything but the token embeddings.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from softchat.base.files import shown_size
from softchat.engine.describe import Description, describe
from softchat.engine.devices import choose
from softchat.engine.placement import ALL, Placement
from softchat.engine.protocol import BATCH
from softchat.engine.rpc import guard, use_servers
from softchat.engine.shortage import is_shortage
from softchat.errors import ModelRefusedError

_FLOAT = 4  # bytes
_WIDTHS = 16  # rows of the model's width that a token takes on its way, generously
_REST = 64 << 20  # bytes: what a back end needs for itself
_FEWER = 0.8  # of the layers that did not fit are tried next
_GUARD_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What the layers of a model take on devices, in bytes."""

    blocks: tuple[int, ...]
    """Weights and KV cache of each layer, the first first."""
    output: int
    """The output matrix, which is the last layer."""
    buffers: int
    """Intermediate results, once for each device."""

    @classmethod
    def of(cls, about: Description, positions: int, cache_type: str) -> Need:
        """Of a model with room for so many positions in its KV cache."""
        cache = positions * about.cache_bytes_per_position(cache_type)
        each = cache // max(1, len(about.layer_bytes))
        tokens = min(BATCH, positions)
        row = (about.n_vocab or 0) + _WIDTHS * (about.n_embd or 0)
        return cls(
            blocks=tuple(weights + each for weights in about.layer_bytes),
            output=about.output_bytes,
            buffers=tokens * row * _FLOAT + _REST,
        )

    @property
    def layers(self) -> int:
        """How many there are, the output counted as one."""
        return len(self.blocks) + 1

    def bytes(self, layers: int, devices: int = 1) -> int:
        """What the last `layers` take, spread over so many devices."""
        if layers <= 0:
            return 0
        blocks = self.blocks[len(self.blocks) - (layers - 1) :] if layers > 1 else ()
        return self.output + sum(blocks) + devices * self.buffers

    def fitting(self, free: Sequence[int]) -> int:
        """How many layers fit on devices with so much free memory each."""
        room = sum(free)
        return next(n for n in range(self.layers, -1, -1) if self.bytes(n, len(free)) <= room)


class Offload:
    """Which layers of one model go to which devices: what fits by its sizes, or else by trying.

    Args:
        path: the model's file.
        placement: what its user wants.
        n_ctx: positions of all sequences; 0: what the model was trained for, at most `n_ctx_most`.
        n_ctx_most: see there.

    Raises:
        UsageError: there is no such device, or llama.cpp was built without RPC.
        ServerError: a server does not answer.
        ModelRefusedError: the file's header is damaged.

    """

    def __init__(self, path: Path, placement: Placement, *, n_ctx: int, n_ctx_most: int) -> None:
        self._servers = placement.servers
        use_servers(placement.servers)
        chosen = choose(placement.devices, placement.servers) if placement.gpu_layers != 0 else []
        self.handles = [handle for _, handle in chosen]
        """Native ones, of the devices that layers go to."""
        self.devices = tuple(device.where for device, _ in chosen)
        self.layers = self.all_layers = 0
        """How many go there, and how many there are."""
        self._free = [device.free for device, _ in chosen]
        self._failed: ModelRefusedError | None = None
        self._guarded = 0.0
        self._nowhere = not chosen and bool(placement.gpu_layers) and not placement.has_no_device
        if not chosen:
            return
        about = describe(path)
        positions = n_ctx or min(about.context or n_ctx_most, n_ctx_most)
        self._need = need = Need.of(about, positions, placement.cache_type)
        self.all_layers = self._wanted = need.layers
        if placement.gpu_layers not in (None, ALL):
            self._wanted = min(placement.gpu_layers or 0, need.layers)
        self.layers = self._wanted
        if placement.gpu_layers is None and all(self._free):
            self.layers = need.fitting(self._free)

    def attempts(self) -> Iterator[int]:
        """How many layers to try; fewer each time, until one attempt ends well."""
        while True:
            yield self.layers
            if self._failed is None:
                return
            self.layers = min(self.layers - 1, int(self.layers * _FEWER))

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Within it a model is loaded; that a device's memory ends is the end of this attempt."""
        self._failed = None
        try:
            yield
        except ModelRefusedError as error:
            if self.layers == 0 or not is_shortage(error.message):
                raise
            self._failed = error

    def guard(self, *, at_once: bool = False) -> None:
        """To be called now and then while a model is loaded, `at_once` at the end: `rpc.guard`."""
        if self._servers and (at_once or time.monotonic() - self._guarded > _GUARD_S):
            self._guarded = time.monotonic()
            guard(self._servers)

    @property
    def note(self) -> str:
        """What a user should be told: that not all layers are where they were to be; or nothing."""
        if self._nowhere:
            return "this llama.cpp knows of no accelerator here: all layers are on the processor"
        if not self.all_layers or self.layers == self._wanted:
            return ""
        return (
            f"{self.layers} of {self.all_layers} layers are on {' and '.join(self.devices)}, the "
            f"others on the processor: all need about "
            f"{shown_size(self._need.bytes(self.all_layers, len(self.devices)))} there, and "
            f"{shown_size(sum(self._free))} are free"
        )
