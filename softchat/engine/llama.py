"""The engine on llama.cpp: a model, proven, and one sequence of its own.

Knows nothing of soft thinking. Owns the native model, context and batch, and closes them in that
order reversed. Every embedding is checked before native code sees it: a narrow row would be read
beyond its end, and a NaN would poison the cache, both with return code 0.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import llama_cpp
import numpy as np
import numpy.typing as npt

from softchat.base.text import printable
from softchat.engine.adapters import apply_adapters
from softchat.engine.checkpoints import Checkpoints
from softchat.engine.describe import memory_hint
from softchat.engine.embeddings import EmbeddingTable
from softchat.engine.gguf import all_parts, find_matrix, open_header
from softchat.engine.native import Context, load_model, reason
from softchat.engine.protocol import LONGEST_DEFAULT_CONTEXT, Lora
from softchat.engine.shortage import is_shortage
from softchat.engine.threads import default_threads
from softchat.errors import (
    ContextError,
    DecodeAbortedError,
    DecodeError,
    ModelRefusedError,
)
from softchat.events import ModelInfo

Floats = npt.NDArray[np.float32]

_ABORTED = 2  # return code of a decode that the abort callback stopped
# What the others mean, and a way out.
_CODES = {
    1: ("no room in its memory", "give it more with --ctx, or shorten the question"),
    -1: ("a batch that is none", "this is a bug in softchat"),
    -2: ("out of memory", "a smaller --ctx needs less"),
}
# Asking Python for leave to go on costs 0.13 ms a decode (it is asked once a graph node), so it is
# only done where a decode takes long enough for someone to wait for it.
_SLOW_DECODE_S = 0.02
# Logits that differ by less than this share of their range are taken as equal. On the CPU the
# difference seen is exactly 0; other back ends may order their sums otherwise.
_TOLERANCE = 1e-3
# A turn comes back to a place near the end of its prompt: the next one has all of it but the open
# thinking tag, and an answer where the thoughts stood.
_TAIL = 32  # tokens
_CUT = "if the file was cut short or damaged, fetch it again"


class LlamaEngine:
    """A GGUF model with one sequence, proven to take embeddings as it takes tokens.

    Args:
        path: the file, or the first of a split model's files.
        name: how the model is called in events; the file's stem if empty.
        n_ctx: positions of context; 0: what the model was trained for, at most `n_ctx_most`.
        n_ctx_most: see there.
        n_threads: 0: the machine's cores.
        n_gpu_layers: layers on the accelerator, if llama.cpp was built with one; negative: all.
        loras: LoRA adapters to apply.
        sequences: how many sequences the context has room for, each with `n_ctx` positions; the
            engine itself uses the first, `run_together` all of them.
        cancelled: asked while a decode runs; True stops it within milliseconds.

    Raises:
        ModelRefusedError: the file can't be loaded, or is no text decoder, or an embedding row
            gives other logits than its token. The reason is in the message.

    """

    def __init__(
        self,
        path: Path,
        *,
        name: str = "",
        n_ctx: int = 0,
        n_ctx_most: int = LONGEST_DEFAULT_CONTEXT,
        n_threads: int = 0,
        n_gpu_layers: int = 0,
        loras: Sequence[Lora] = (),
        sequences: int = 1,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._cancelled = cancelled
        self._loras = tuple(loras)
        self.sequences = sequences
        self._position = 0
        self._slow = True
        self._owned = ExitStack()
        try:
            self._load(path, name, n_gpu_layers)
            self._make_context(n_ctx, n_ctx_most, n_threads or default_threads())
            self.scale = self.prove()
        except ModelRefusedError as error:
            self._owned.close()
            if not is_shortage(error.message):
                raise
            hint = memory_hint(path, n_ctx * sequences, n_ctx_most * sequences)
            raise ModelRefusedError(error.message, hint=hint) from error
        except BaseException:
            self._owned.close()
            raise

    def _load(self, path: Path, name: str, n_gpu_layers: int) -> None:
        self._shown = shown = printable(path.name, newlines=False)
        with open_header(path) as header:
            self.architecture = header.string("general.architecture") or "unknown"
            n_parts = header.integer("split.count") or 1
            if n_parts == 1 and header.n_tensors == 0:
                raise ModelRefusedError(
                    f"{shown} holds a vocabulary only", hint="pick the model's full file"
                )
            matrix = find_matrix(header)
            self._has_experts = bool(header.integer(f"{self.architecture}.expert_count"))
            self._own_scale = header.number(f"{self.architecture}.embedding_scale") or 1.0
        for part in all_parts(path, n_parts)[1:]:
            if matrix is None:
                with open_header(part) as header:
                    matrix = find_matrix(header)
        self._table = self._owned.enter_context(EmbeddingTable(matrix))
        model = load_model(path, n_gpu_layers, self._cancelled)
        if not model and self._cancelled():
            raise DecodeAbortedError("stopped while loading the model")
        if not model:
            raise ModelRefusedError(f"llama.cpp can't load {shown}: {reason()}", hint=_CUT)
        self._model = model
        self._owned.callback(llama_cpp.llama_model_free, self._model)
        self._name, self._path = name or path.stem, path
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self._n_vocab = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        self._width = int(llama_cpp.llama_model_n_embd(self._model))
        self._pieces: dict[tuple[int, bool], bytes] = {}
        self._refuse_other_kinds(shown)

    def _make_context(self, n_ctx: int, n_ctx_most: int, n_threads: int) -> None:
        trained = int(llama_cpp.llama_model_n_ctx_train(self._model)) or n_ctx_most
        self._context = self._owned.enter_context(
            Context(
                self._model,
                n_ctx=n_ctx or min(trained, n_ctx_most),
                n_threads=n_threads,
                sequences=self.sequences,
            )
        )
        if not llama_cpp.llama_get_memory(self._context.handle):
            raise ModelRefusedError(
                f"{self._shown} is an embedding model", hint="softchat needs a causal text model"
            )
        apply_adapters(self._model, self._context.handle, self.architecture, self._loras)
        self._n_ctx = int(llama_cpp.llama_n_ctx_seq(self._context.handle))
        self.info = ModelInfo(
            name=self._name,
            path=str(self._path),
            architecture=self.architecture,
            n_vocab=self._n_vocab,
            n_embd=int(llama_cpp.llama_model_n_embd(self._model)),
            n_ctx=self._n_ctx,
            loras=tuple(map(str, self._loras)),
        )
        self._checkpoints = None if self.can_cut else Checkpoints(self._context.handle)
        self._on_abort = llama_cpp.ggml_abort_callback(lambda _: self._cancelled())
        self._no_abort = llama_cpp.ggml_abort_callback()
        self._watched = False

    def _refuse_other_kinds(self, shown: str) -> None:
        model = self._model
        if _aborts_on_embeddings(model, self.architecture):
            raise ModelRefusedError(
                f"llama.cpp takes no embedding rows for {shown} ({self.architecture})",
                hint="soft thinking feeds them; pick another model",
            )
        if llama_cpp.llama_model_has_encoder(model) or not llama_cpp.llama_model_has_decoder(model):
            kind = "an encoder or an encoder-decoder model"
        elif llama_cpp.llama_model_is_diffusion(model):
            kind = "a diffusion model"
        elif self._n_vocab == 0:
            kind = "a model without a vocabulary"
        elif self._table.shape != (self._n_vocab, self._width):
            kind = f"a model whose input is not its embedding rows ({self.architecture})"
        else:
            return
        raise ModelRefusedError(f"{shown} is {kind}", hint="softchat needs a causal text model")

    # -- the proof -------------------------------------------------------------------------------

    def prove(self) -> float:
        """The scale under which an embedding row is the same input as its token.

        Some architectures (Gemma 3) multiply token input by sqrt(D) and leave embedding input as it
        is. One token is decoded as a token, then as its row under each scale that llama.cpp knows
        of, the likelier first, always as the second of two: at position 0 a wrong position would
        not show. Less than three decodes, as the first token needs no logits; nothing of it stays.
        Of a model with experts several tokens are tried in one batch: which experts a token gets
        may differ for one and not for another. Done at load, on the empty sequence.

        Raises:
            ModelRefusedError: no scale gives the same logits.

        """
        first, *others = self._sample_tokens()
        rows = self._table.rows(others)
        if not np.isfinite(rows).all():
            raise ModelRefusedError(f"{self._shown} holds NaN or infinity", hint=_CUT)
        self._decode([first], 0, logits=False)
        by_token = self.decode_tokens(others).copy()
        spread = _spread(by_token)
        if spread == 0.0:
            raise ModelRefusedError(
                f"{self._shown} gives every token the same logit",
                hint="it may be an embedding model; softchat needs a causal text model",
            )
        root = float(np.sqrt(self._width))
        # Granite's own scale is left out for embeddings where images come in as such.
        scales = [1.0, root, self._own_scale]
        if self.architecture.startswith("gemma3"):
            scales.insert(0, root)
        gaps = []
        for scale in dict.fromkeys(scales):
            self._keep_only(first)
            self._decode(list(rows * np.float32(scale)), self._position)
            gaps.append(_gap(by_token, self._context.logits()))
            if gaps[-1] == 0.0 or gaps[-1] <= _TOLERANCE * spread:
                self.rollback(0)
                return scale
        raise ModelRefusedError(
            f"soft thinking can't be exact on {self._shown} ({self.architecture}): "
            f"embedding rows and their tokens give logits {min(gaps):.3g} apart",
            hint="the architecture needs more than embedding rows; pick another model",
        )

    def _keep_only(self, first: int) -> None:
        self.rollback(1)
        if self._position == 0:
            self._decode([first], 0, logits=False)

    def _sample_tokens(self) -> list[int]:
        """Two tokens of unlike rows (equal ones prove nothing), more where there are experts."""
        candidates = [self._n_vocab * part // 8 for part in range(2, 8)]
        rows = self._table.rows(candidates)
        norms = np.linalg.norm(rows, axis=1)
        first, *order = np.argsort(-norms).tolist()
        others = [i for i in order if norms[i] > 0 and not np.array_equal(rows[first], rows[i])]
        if not others:
            raise ModelRefusedError(
                "the model's token embeddings are all alike", hint="the file seems to be damaged"
            )
        return [candidates[i] for i in (first, *others[: None if self._has_experts else 1])]

    # -- tokens ----------------------------------------------------------------------------------

    @property
    def chat_template(self) -> str | None:
        """The chat template that the file carries (jinja), or None."""
        text = llama_cpp.llama_model_chat_template(self._model, None)
        return text.decode("utf-8", errors="replace") if text else None

    def special_text(self, which: Literal["bos", "eos"]) -> str:
        """The text of the `bos` or `eos` token, or an empty string."""
        token = {"bos": llama_cpp.llama_vocab_bos, "eos": llama_cpp.llama_vocab_eos}[which](
            self._vocab
        )
        if token < 0:
            return ""
        text: bytes = llama_cpp.llama_vocab_get_text(self._vocab, token)
        return text.decode("utf-8", errors="replace")

    @property
    def adds_bos(self) -> int | None:
        """The token that the model wants at the start of any text, or None."""
        if not llama_cpp.llama_vocab_get_add_bos(self._vocab):
            return None
        token = int(llama_cpp.llama_vocab_bos(self._vocab))
        return token if token >= 0 else None

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """The text as tokens. `special`: markers such as `</s>` become the token they name."""
        data = text.encode("utf-8", errors="replace")
        room = len(data) + 2
        while True:
            buffer = (llama_cpp.llama_token * room)()
            count = llama_cpp.llama_tokenize(
                self._vocab, data, len(data), buffer, room, False, special
            )
            if count >= 0:
                return list(buffer[:count])
            room = -count

    def piece(self, token: int, *, special: bool = True) -> bytes:
        """The bytes that a token spells; they may be a part of a UTF-8 character.

        Markers such as `</s>` spell their name, or nothing if not `special`.
        """
        found = self._pieces.get((token, special))
        if found is None:
            room, count = 64, -1
            while count < 0:
                buffer = ctypes.create_string_buffer(room)
                count = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, room, 0, special)
                room = -count
            found = self._pieces[token, special] = buffer.raw[:count]
        return found

    def is_end(self, token: int) -> bool:
        """Whether a token ends the text."""
        return bool(llama_cpp.llama_vocab_is_eog(self._vocab, token))

    def embedding_rows(self, ids: Sequence[int] | npt.NDArray[np.intp]) -> Floats:
        """Rows of the token-embedding matrix, (n, D), scaled as the model scales token input."""
        rows = self._table.rows(ids)
        if self.scale != 1.0:
            rows *= np.float32(self.scale)
        return rows

    # -- decoding --------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """How many positions the sequence has, which is the next one to be written."""
        return self._position

    def decode_tokens(self, tokens: Sequence[int]) -> Floats:
        """Append tokens; the logits behind the last one, (V,), valid until the next call.

        Raises:
            ContextError: they don't fit.
            DecodeError: llama.cpp failed.
            DecodeAbortedError: `cancelled` said so; the sequence is rolled back to before.

        """
        if not tokens:
            raise ValueError("no tokens to decode")
        self.check_room(self._position + len(tokens))
        start = self._position
        if self._checkpoints and len(tokens) > _TAIL:
            self._decode_batches(tokens[:-_TAIL], start, logits=False)
            self._checkpoints.save(self._position)
            tokens = tokens[-_TAIL:]
        self._decode_batches(tokens, start)
        return self._context.logits()

    def _decode_batches(self, tokens: Sequence[int], undo_to: int, *, logits: bool = True) -> None:
        size = self._context.n_batch
        for first in range(0, len(tokens), size):
            last = first + size >= len(tokens)
            self._decode(tokens[first : first + size], undo_to, logits=logits and last)

    def decode_embedding(self, embedding: Floats) -> Floats:
        """Append one position that holds this embedding. Raises as `decode_tokens` does.

        Raises:
            ValueError: it is not (D,) float32, or not finite.

        """
        self.check_embedding(embedding)
        self.check_room(self._position + 1)
        self._decode([embedding], self._position)
        return self._context.logits()

    def rollback(self, position: int) -> None:
        """Forget all from `position` on.

        What can't be cut there (recurrent states) goes back to a checkpoint before it, or to the
        beginning: `position` tells.
        """
        if position >= self._position:
            return
        memory = llama_cpp.llama_get_memory(self._context.handle)
        if self._checkpoints:
            self._position = self._checkpoints.go_back(position)
        elif position and llama_cpp.llama_memory_seq_rm(memory, 0, position, -1):
            self._position = position
        else:
            llama_cpp.llama_memory_clear(memory, False)  # its cells; what they held is masked
            self._position = 0

    def check_embedding(self, embedding: Floats) -> None:
        """Raise ValueError unless it is (D,) float32 and finite."""
        if embedding.shape != (self._width,) or embedding.dtype != np.float32:
            raise ValueError(
                f"an embedding is ({self._width},) float32, not {embedding.shape} {embedding.dtype}"
            )
        if not np.isfinite(embedding).all():
            raise ValueError("an embedding holds NaN or infinity")

    def check_room(self, positions: int) -> None:
        """Raise ContextError unless a sequence can have this many positions."""
        if positions > self._n_ctx:
            raise ContextError(
                f"{positions} tokens don't fit into a context of {self._n_ctx}",
                hint="shorten the question, or give more with --ctx",
            )

    def _decode(self, items: Sequence[Any], undo_to: int, *, logits: bool = True) -> None:
        self.watch(self._slow or len(items) > 1)
        context = self._context
        context.clear()
        for offset, item in enumerate(items):
            last = context.add(item, self._position + offset)
        if logits:
            context.want_logits(last)
        began = time.perf_counter()
        code = context.process()
        if len(items) == 1:
            self._slow = time.perf_counter() - began > _SLOW_DECODE_S
        if code == 0:
            self._position += len(items)
            return
        # After some codes the finished part of the batch is still in memory: forget it.
        self._position += len(items)
        self.rollback(undo_to)
        raise decode_failure(code)

    @property
    def can_cut(self) -> bool:
        """Whether the memory of a sequence can be cut anywhere; recurrent states can't."""
        model = self._model
        return not llama_cpp.llama_model_is_recurrent(
            model
        ) and not llama_cpp.llama_model_is_hybrid(model)

    @property
    def context(self) -> Context:
        """The native context, for who decodes on its other sequences."""
        return self._context

    def watch(self, on: bool) -> None:
        """Whether `cancelled` is asked while a decode runs."""
        if on != self._watched:
            callback = self._on_abort if on else self._no_abort
            llama_cpp.llama_set_abort_callback(self._context.handle, callback, None)
            self._watched = on

    # -- life ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Free everything native. The engine is of no use afterwards."""
        self._owned.close()

    def __enter__(self) -> LlamaEngine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _aborts_on_embeddings(model: int, architecture: str) -> bool:
    """Whether an embedding batch would end the process: then the proof can't be tried."""
    if architecture == "graniteswitch":
        return True
    # llama.cpp takes an embedding for an image's, and a file without M-RoPE for one without images.
    return architecture in ("glm4", "glm4moe") and (
        llama_cpp.llama_model_rope_type(model) != llama_cpp.LLAMA_ROPE_TYPE_MROPE
    )


def decode_failure(code: int) -> DecodeError | DecodeAbortedError:
    """The error that a native return code other than 0 stands for."""
    if code == _ABORTED:
        return DecodeAbortedError("stopped")
    unknown = (reason(), "ask again; 'softchat doctor' has what a report needs")
    what, hint = _CODES.get(code, unknown)
    return DecodeError(f"llama.cpp failed with code {code}: {what}", hint=hint)


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
