"""The engine on llama.cpp: a model that is loaded, proven, used and freed.

Knows nothing of soft thinking. Owns the native model and its context, and closes them in that order
reversed. What it can do with tokens is in `vocabulary`, with the KV cache in `decoder`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from softchat.base.arrays import Floats, Ids
from softchat.base.closeable import Closeable
from softchat.base.files import resolved
from softchat.base.text import legible, one_line
from softchat.engine.adapters import apply_adapters
from softchat.engine.decoder import Decoder
from softchat.engine.describe import memory_hint
from softchat.engine.embeddings import EmbeddingTable
from softchat.engine.gguf import all_parts, find_matrix, open_header
from softchat.engine.hold import hold_of, was_closed
from softchat.engine.library import llama_cpp
from softchat.engine.native import Context, load_model, reason
from softchat.engine.offload import Offload
from softchat.engine.placement import BY_DEFAULT, Placement
from softchat.engine.proof import CUT, Claim, prove
from softchat.engine.protocol import LONGEST_DEFAULT_CONTEXT, Lora
from softchat.engine.rpc import no_silence
from softchat.engine.servers import of_servers
from softchat.engine.shortage import is_shortage
from softchat.engine.threads import default_threads
from softchat.engine.vocabulary import Vocabulary
from softchat.errors import DecodeAbortedError, ModelRefusedError
from softchat.events import ModelInfo

# What leads to native memory or to the open file, by name: gone once they are freed.
_NATIVE = ("_model", "_vocab", "context", "_table")


class LlamaEngine(Vocabulary, Decoder, Closeable):
    """A GGUF model with one sequence, proven to take embeddings as it takes tokens.

    Args:
        path: the file, or the first of a split model's files.
        name: how the model is called in events; the file's stem if empty.
        n_ctx: positions of context; 0: what the model was trained for, at most `n_ctx_most`.
        n_ctx_most: see there.
        n_threads: 0: the machine's cores that are free.
        placement: where it computes, and how its KV cache is kept. Layers for which the devices
            have too little memory are left to the processor; `note` tells.
        loras: LoRA adapters to apply.
        sequences: how many sequences the context has room for, each with `n_ctx` positions; the
            engine itself uses the first, `run_together` all of them.
        cancelled: asked while a decode runs; True stops it within milliseconds.
        note: what its user should be told of how it was made.

    Raises:
        ModelRefusedError: the file can't be loaded, or is no text decoder, or an embedding row
            gives other logits than its token. The reason is in the message.
        UsageError: there is no such device.
        ServerError: an RPC server does not answer.

    """

    def __init__(
        self,
        path: Path,
        *,
        name: str = "",
        n_ctx: int = 0,
        n_ctx_most: int = LONGEST_DEFAULT_CONTEXT,
        n_threads: int = 0,
        placement: Placement = BY_DEFAULT,
        loras: Sequence[Lora] = (),
        sequences: int = 1,
        cancelled: Callable[[], bool] = lambda: False,
        note: str = "",
    ) -> None:
        self._cancelled = cancelled
        self._note, self._beyond = note, ""
        self._path = path
        self._placement = placement
        self.sequences = sequences
        self._loras = tuple(loras)
        self._owned = ExitStack()
        self.before_close: Callable[[], None] = lambda: None
        """Ends what other threads do with the model; called before it is freed."""
        with no_silence(placement.servers):
            self._load_and_prove(path, name, n_ctx, n_ctx_most, n_threads)

    def _load_and_prove(
        self, path: Path, name: str, n_ctx: int, n_ctx_most: int, n_threads: int
    ) -> None:
        placement, sequences = self._placement, self.sequences
        try:
            self._read_header(path)
            self._offload = offload = Offload(
                path, placement, n_ctx=n_ctx * sequences, n_ctx_most=n_ctx_most * sequences
            )
            for layers in offload.attempts():
                with ExitStack() as attempt, offload.attempt():
                    model = self._load(path, layers, attempt)
                    Vocabulary.__init__(self, model, self._shown)
                    self._refuse_other_kinds()
                    context = self._make_context(attempt, placement, n_ctx, n_ctx_most, n_threads)
                    apply_adapters(model, context.handle, self.architecture, self._loras)
                    self._owned.push(attempt.pop_all())
            offload.guard(at_once=True)
            Decoder.__init__(self, model, context, self._cancelled)
            self._window = int(llama_cpp.llama_model_n_swa(model))
            self.info = self._describe(name, path, self._loras)
            self.scale = self.prove()
        except ModelRefusedError as error:
            self._owned.close()
            if not is_shortage(error.message):
                raise
            size = n_ctx * sequences, n_ctx_most * sequences
            hint = memory_hint(path, *size, placement.cache_type)
            raise ModelRefusedError(error.message, hint=hint) from error
        except BaseException:
            self._owned.close()
            raise

    def _read_header(self, path: Path) -> None:
        """Read what kind of model it is, and open its rows."""
        self._shown = shown = one_line(path.name)
        with open_header(path) as header:
            self.architecture = header.string("general.architecture") or "unknown"
            n_parts = header.integer("split.count") or 1
            if n_parts == 1 and header.n_tensors == 0:
                raise ModelRefusedError(
                    f"{shown} holds a vocabulary only", hint="pick the model's full file"
                )
            matrix = find_matrix(header)
            self._looks_ahead = header.flag(f"{self.architecture}.attention.causal") is False
            self._claim = Claim(
                shown=shown,
                architecture=self.architecture,
                own_scale=header.number(f"{self.architecture}.embedding_scale") or 1.0,
                has_experts=bool(header.integer(f"{self.architecture}.expert_count")),
            )
            scaled = f"{self.architecture}.rope.scaling.original_context_length"
            trained = f"{self.architecture}.context_length"
            self._first_context = header.integer(scaled) or header.integer(trained) or 0
        self._parts = all_parts(path, n_parts)
        for part in self._parts[1:]:
            if matrix is None:
                with open_header(part) as header:
                    matrix = find_matrix(header)
        self._table = self._owned.enter_context(EmbeddingTable(matrix))

    def _load(self, path: Path, layers: int, attempt: ExitStack) -> int:
        """Load the weights, so many layers of them on devices."""
        shown, devices = self._shown, self._offload.handles
        model = load_model(path, n_gpu_layers=layers, devices=devices, cancelled=self._loading)
        if not model and self._cancelled():
            raise DecodeAbortedError("stopped while loading the model")
        if not model:
            raise ModelRefusedError(f"llama.cpp can't load {shown}: {reason()}", hint=CUT)
        attempt.callback(llama_cpp.llama_model_free, model)
        return model

    @property
    def note(self) -> str:
        """What a user should be told of how it was loaded; or nothing."""
        return "; ".join(filter(None, (self._note, self._offload.note, self._beyond)))

    def _loading(self) -> bool:
        self._offload.guard()
        return self._cancelled()

    def _make_context(
        self,
        attempt: ExitStack,
        placement: Placement,
        n_ctx: int,
        n_ctx_most: int,
        n_threads: int,
    ) -> Context:
        trained = int(llama_cpp.llama_model_n_ctx_train(self._model))
        if trained <= 0:  # not said, or more than 32 bits hold
            trained = n_ctx_most
        elif n_ctx > trained:
            self._beyond = f"a context of {n_ctx:,}, and it was trained for {trained:,} positions"
        context = attempt.enter_context(
            Context(
                self._model,
                n_ctx=n_ctx or min(trained, n_ctx_most),
                n_threads=n_threads or default_threads(),
                sequences=self.sequences,
                cache_type=placement.cache_type,
                flash_attn=placement.flash_attn,
            )
        )
        if not llama_cpp.llama_get_memory(context.handle):
            raise ModelRefusedError(
                f"{self._shown} is an embedding model", hint="softchat needs a causal text model"
            )
        return context

    def _describe(self, name: str, path: Path, loras: Sequence[Lora]) -> ModelInfo:
        return ModelInfo(
            name=legible(name or path.stem),
            path=legible(path),
            architecture=self.architecture,
            n_vocab=self.n_vocab,
            n_embd=int(llama_cpp.llama_model_n_embd(self._model)),
            n_ctx=int(llama_cpp.llama_n_ctx_seq(self.context.handle)),
            loras=tuple(map(str, loras)),
            devices=self._offload.devices if self._offload.layers else (),
            gpu_layers=self._offload.layers,
        )

    def _refuse_other_kinds(self) -> None:
        model, shown = self._model, self._shown
        width = int(llama_cpp.llama_model_n_embd(model))
        if _aborts_on_embeddings(model, self.architecture):
            raise ModelRefusedError(
                f"llama.cpp takes no embedding rows for {shown} ({self.architecture})",
                hint="soft thinking feeds them; pick another model",
            )
        if llama_cpp.llama_model_has_encoder(model) or not llama_cpp.llama_model_has_decoder(model):
            kind = "an encoder or an encoder-decoder model"
        elif llama_cpp.llama_model_is_diffusion(model):
            kind = "a diffusion model"
        elif self._looks_ahead:
            kind = "an embedding model"
        elif self.n_vocab == 0:
            kind = "a model without a vocabulary"
        elif self._table.shape != (self.n_vocab, width):
            kind = f"a model whose input is not its embedding rows ({self.architecture})"
        else:
            return
        raise ModelRefusedError(f"{shown} is {kind}", hint="softchat needs a causal text model")

    def prove(self) -> float:
        """The scale under which an embedding row is the same input as its token: see `prove`.

        Done at load, on the empty sequence. Raises ModelRefusedError.
        """
        try:
            return prove(self, self._table, self._claim)
        except ModelRefusedError as error:
            error.hint = of_servers(error.hint, self._placement.servers)
            raise

    def embedding_rows(self, ids: Sequence[int] | Ids) -> Floats:
        """Rows of the token-embedding matrix, (n, D), scaled as the model scales token input."""
        rows = self._table.rows(ids)
        if self.scale != 1.0:
            rows *= np.float32(self.scale)
        return rows

    @property
    def can_restore(self) -> bool:
        """Whether a saved KV cache can be cut back and gone on with.

        llama.cpp saves no more of a sliding window than the last position looks at.
        """
        return self.can_cut and not self._window

    @property
    def state_key(self) -> str:
        """The same where a saved KV cache can be gone on with: file, adapters, place, llama.cpp."""
        files = [*self._parts, *(lora.path for lora in self._loras)]
        parts = [llama_cpp.__version__, *map(str, self._loras), *self.info.devices]
        parts += [str(self.info.gpu_layers), self._placement.cache_type, self._placement.flash_attn]
        # Beyond the context that they were first trained for, some (longrope) rotate otherwise.
        parts.append(str(self.info.n_ctx > self._first_context))
        for path in files:
            status = path.stat()
            parts += [str(resolved(path)), str(status.st_size), str(status.st_mtime_ns)]
        return "\0".join(parts)

    def close(self) -> None:
        """Free everything native, when a step that is under way on another thread is over.

        Whatever would need it raises SoftchatError afterwards: native code would end the process.
        """
        hold = hold_of(self)
        with hold.step():
            hold.closed = True
            try:
                self.before_close()
            finally:
                self._owned.close()
                for name in _NATIVE:
                    vars(self).pop(name, None)

    if not TYPE_CHECKING:  # to whom it would say that there is an attribute of any name

        def __getattr__(self, name: str) -> NoReturn:
            """Asked only for what is not there, so it costs nothing as long as the model is."""
            if name in _NATIVE:
                raise was_closed()
            raise AttributeError(f"an engine has no {name!r}", name=name, obj=self)


def _aborts_on_embeddings(model: int, architecture: str) -> bool:
    """Whether an embedding batch would end the process: then the proof can't be tried."""
    if architecture == "graniteswitch":
        return True
    # llama.cpp takes an embedding for an image's, and a file without M-RoPE for one without images.
    return architecture in ("glm4", "glm4moe") and (
        llama_cpp.llama_model_rope_type(model) != llama_cpp.LLAMA_ROPE_TYPE_MROPE
    )
