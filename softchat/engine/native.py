"""llama.cpp's own objects: loading a model, a context with its batch, and the log.

Native return codes are handed on as they are; `decoder` gives them names.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import numpy as np

from softchat.base.arrays import Floats
from softchat.base.closeable import Closeable
from softchat.base.text import one_line
from softchat.engine.library import llama_cpp
from softchat.engine.placement import CACHE_TYPES, FLASH_ATTENTION
from softchat.engine.protocol import BATCH
from softchat.errors import DecodeError, ModelRefusedError

_DECODE = 1  # enum llama_process_type
_FLOAT_POINTER = ctypes.POINTER(ctypes.c_float)
_ERROR = 4  # enum ggml_log_level

# As an address: to make a pointer object of it at each step costs more than the call.
_logits_address = llama_cpp.llama_cpp._lib["llama_get_logits_ith"]
_logits_address.argtypes, _logits_address.restype = (
    [ctypes.c_void_p, ctypes.c_int32],
    ctypes.c_void_p,
)


class Asked:
    """A function that native code asks whether to stop; what is raised meanwhile is raised later.

    No exception gets through native code, and ctypes drops it: that of a signal (Ctrl-C) too, which
    comes before a function's first line. So it is a generator that is asked, which is inside its
    `try` when it goes on.
    """

    def __init__(self, cancelled: Callable[[], bool]) -> None:
        self._raised: list[BaseException] = []
        asking = self._asking(cancelled)
        next(asking)
        self.answer: Callable[[object], bool] = asking.send
        """To be called with anything."""

    def _asking(self, cancelled: Callable[[], bool]) -> Generator[bool, object, None]:
        stop = False
        while True:
            try:
                while True:
                    yield stop
                    stop = cancelled()
            except GeneratorExit:
                return
            except BaseException as error:  # noqa: BLE001  # it is raised by `check`
                self._raised.append(error)
                stop = True

    def check(self) -> None:
        """Raise what was raised while native code ran."""
        if self._raised:
            error = self._raised[0]
            self._raised.clear()
            raise error


def load_model(
    path: Path, *, n_gpu_layers: int, devices: Sequence[int], cancelled: Callable[[], bool]
) -> int | None:
    """A native handle of the model in this file; None if it can't be loaded: see `reason`.

    Args:
        path: the file.
        n_gpu_layers: layers that go to the devices, the last ones first.
        devices: native handles; the layers are spread by how much memory each has free.
        cancelled: asked often; True stops it.

    """
    forget_errors()
    llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_default_params()
    params.n_gpu_layers = n_gpu_layers
    array = (ctypes.c_void_p * (len(devices) + 1))(*devices, None)
    params.devices = ctypes.cast(array, ctypes.c_void_p)
    asked = Asked(cancelled)
    go_on = llama_cpp.llama_progress_callback(lambda _, __: not asked.answer(None))
    params.progress_callback = go_on
    handle: int | None = llama_cpp.llama_model_load_from_file(bytes(path), params)
    try:
        asked.check()
    except BaseException:
        if handle:
            llama_cpp.llama_model_free(handle)
        raise
    return handle


class Context(Closeable):
    """A native context and the one batch that is filled again for each decode."""

    def __init__(
        self,
        model: int,
        *,
        n_ctx: int,
        n_threads: int,
        sequences: int = 1,
        cache_type: str = "f16",
        flash_attn: str = "auto",
    ) -> None:
        params = llama_cpp.llama_context_default_params()
        params.type_k = params.type_v = CACHE_TYPES[cache_type].number
        params.flash_attn_type = FLASH_ATTENTION[flash_attn]
        # Each sequence has cells of its own (kv_unified is off), so none can crowd out another, and
        # attention does not look through the others' cells.
        params.n_seq_max = sequences
        params.n_ctx = n_ctx * sequences
        self.n_batch = min(BATCH, max(n_ctx, sequences))  # a token of each, at the least
        """Rows that one batch can hold; one more would abort the process."""
        params.n_batch = params.n_ubatch = self.n_batch
        params.n_threads = params.n_threads_batch = n_threads
        params.no_perf = True
        # A window's cache would drop what a rollback brings back into the window, and answer wrong.
        params.swa_full = True
        self.handle = llama_cpp.llama_init_from_model(model, params)
        if not self.handle:
            raise ModelRefusedError(
                f"llama.cpp can't make a context of {n_ctx}: {reason()}",
                hint="a smaller --ctx needs less memory"
                if cache_type == "f16"
                else "not every model takes every --cache-type; f16 fits all",
            )
        self._batch = llama_cpp.llama_batch_ext_init(self.handle)
        n_vocab = int(llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model)))
        self._logits_type = ctypes.c_float * n_vocab
        self._logits_at = 0
        self._logits = np.empty(0, np.float32)
        self._position = (llama_cpp.llama_pos * 4)()
        # llama.cpp is always shown the same place, so that it need not be described at each step.
        # Some (Qwen3-VL) take rows of images behind the token's own, and none (zeros) for text.
        self._row = np.zeros(int(llama_cpp.llama_model_n_embd_inp(model)), np.float32)
        self._embd = llama_cpp.llama_embd(
            data=ctypes.cast(self._row.ctypes.data, _FLOAT_POINTER),
            n_rows=1,
            n_embd=self._row.size,
        )

    def clear(self) -> None:
        """Empty the batch."""
        llama_cpp.llama_batch_ext_clear(self._batch)

    def add(self, item: int | Floats, position: int, sequence: int = 0) -> int:
        """Add a token or an embedding row of a sequence to the batch; its index there."""
        if isinstance(item, np.ndarray):
            self._row[: item.size] = item
            index = int(llama_cpp.llama_batch_ext_add_embd(self._batch, sequence, self._embd))
        else:
            index = int(llama_cpp.llama_batch_ext_add_token(self._batch, sequence, item))
        if index < 0:
            raise DecodeError(
                f"llama.cpp does not take this input (code {index})",
                hint="this is a bug in softchat",
            )
        # M-RoPE models want (time, height, width, other) for an embedding; text has one for all
        # but the last, as llama.cpp gives tokens themselves.
        self._position[0] = self._position[1] = self._position[2] = position
        llama_cpp.llama_batch_ext_set_pos(self._batch, index, self._position)
        return index

    def want_logits(self, index: int) -> None:
        """Have the logits behind this entry of the batch computed."""
        llama_cpp.llama_batch_ext_set_output_logits(self._batch, index, True)

    def process(self) -> int:
        """Run the batch; llama.cpp's return code."""
        forget_errors()
        return int(llama_cpp.llama_process(self.handle, _DECODE, self._batch))

    def logits(self, index: int = -1) -> Floats:
        """Logits of this entry, or of the last that has some, (V,): read-only native memory."""
        address = _logits_address(self.handle, index)
        if not address:
            raise DecodeError("llama.cpp gave no logits", hint="this is a bug in softchat")
        if address != self._logits_at:  # it moves only when the outputs of a batch are more
            native = self._logits_type.from_address(address)
            self._logits = np.frombuffer(native, np.float32)  # type: ignore[call-overload]  # it is one
            self._logits.flags.writeable = False
            self._logits_at = address
        return self._logits

    def close(self) -> None:
        """Free both."""
        llama_cpp.llama_batch_ext_free(self._batch)
        llama_cpp.llama_free(self.handle)


# -- llama.cpp's log: kept for the message of a failure, never shown as it is ---------------------

_log: list[str] = []


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]  # a ctypes type
def _keep_error(level: int, text: bytes, _: ctypes.c_void_p) -> None:
    if level == _ERROR:
        _log.append(text.decode("utf-8", errors="replace").strip())


def forget_errors() -> None:
    """What is complained of from here on is the reason of the next failure."""
    _log.clear()


def reason() -> str:
    """What llama.cpp complained of first, without the name of its function."""
    return one_line(re.sub(r"^\w+: ", "", _log[0])) if _log else "no reason given"


llama_cpp.llama_log_set(_keep_error, ctypes.c_void_p(0))
