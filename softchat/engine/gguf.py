"""Headers of GGUF files, read and written by ggml's own C code. Knows nothing of running models.

The reader is exported by libggml-base, which llama-cpp-python installs beside libllama. It reads a
header with a vocabulary of 262k tokens in about 60 ms; gguf-py, in Python, takes 20 s.
"""

from __future__ import annotations

import ctypes
import functools
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from softchat.base.text import one_line
from softchat.errors import ModelRefusedError

_UINT16, _UINT32, _FLOAT32, _BOOL, _STRING = 2, 4, 6, 7, 8  # enum gguf_type
_MATRIX = "token_embd.weight"
_LAYER = re.compile(rb"blk\.(\d{1,5})\.")


class TensorNotFoundError(KeyError):
    """The file holds no tensor of that name."""


class TypeTraits(ctypes.Structure):
    """`struct ggml_type_traits`: how a tensor type is laid out and turned into floats."""

    _fields_ = (
        ("type_name", ctypes.c_char_p),
        ("blck_size", ctypes.c_int64),
        ("blck_size_interleave", ctypes.c_int64),
        ("type_size", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
        ("from_float_ref", ctypes.c_void_p),
    )


class _InitParams(ctypes.Structure):
    _fields_ = (("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p))


def load_ggml(part: str) -> ctypes.CDLL:
    """The ggml that libllama uses, with no types declared; `part` is its library on Windows."""
    from softchat.engine.library import llama_cpp

    if sys.platform == "win32":  # there a library shows its own symbols only
        from llama_cpp._ctypes_extensions import load_shared_library

        lib: ctypes.CDLL = load_shared_library(part, Path(llama_cpp.__file__).parent / "lib")
        return lib
    # The ggml that libllama itself has loaded: loading it by path could give a second copy.
    return ctypes.CDLL(None, handle=llama_cpp.llama_cpp._lib._handle)


@functools.cache
def _library() -> ctypes.CDLL:
    lib = load_ggml("ggml-base")
    header, key, tensor = ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p
    for name, result, arguments in (
        ("gguf_init_from_file", header, [ctypes.c_char_p, _InitParams]),
        ("gguf_free", None, [header]),
        ("gguf_find_key", key, [header, ctypes.c_char_p]),
        ("gguf_get_kv_type", ctypes.c_int, [header, key]),
        ("gguf_get_val_str", ctypes.c_char_p, [header, key]),
        ("gguf_get_val_u16", ctypes.c_uint16, [header, key]),
        ("gguf_get_val_u32", ctypes.c_uint32, [header, key]),
        ("gguf_get_val_bool", ctypes.c_bool, [header, key]),
        ("gguf_get_val_f32", ctypes.c_float, [header, key]),
        ("gguf_get_n_tensors", key, [header]),
        ("gguf_find_tensor", key, [header, ctypes.c_char_p]),
        ("gguf_get_tensor_name", ctypes.c_char_p, [header, key]),
        ("gguf_get_tensor_ne", ctypes.POINTER(ctypes.c_int64), [header, key]),
        ("gguf_get_tensor_type", ctypes.c_int, [header, key]),
        ("gguf_get_tensor_size", ctypes.c_size_t, [header, key]),
        ("gguf_get_tensor_offset", ctypes.c_size_t, [header, key]),
        ("gguf_get_data_offset", ctypes.c_size_t, [header]),
        ("ggml_get_type_traits", ctypes.POINTER(TypeTraits), [ctypes.c_int]),
        ("gguf_init_empty", header, []),
        ("gguf_set_kv", None, [header, header]),
        ("gguf_set_val_u32", None, [header, ctypes.c_char_p, ctypes.c_uint32]),
        ("gguf_add_tensor", None, [header, tensor]),
        ("gguf_set_tensor_type", None, [header, ctypes.c_char_p, ctypes.c_int]),
        ("gguf_get_meta_size", ctypes.c_size_t, [header]),
        ("gguf_get_alignment", ctypes.c_size_t, [header]),
        ("gguf_write_to_file", ctypes.c_bool, [header, ctypes.c_char_p, ctypes.c_bool]),
        ("ggml_get_tensor", tensor, [ctypes.c_void_p, ctypes.c_char_p]),
        ("ggml_free", None, [ctypes.c_void_p]),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorPlace:
    """Where a matrix lies in a file, and how to read it."""

    path: Path
    shape: tuple[int, int]  # rows, columns
    offset: int  # bytes from the start of the file
    size: int  # bytes
    traits: TypeTraits


class Header:
    """The header of one GGUF file: its metadata, and where its tensors lie. See `open_header`."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle

    @property
    def n_tensors(self) -> int:
        """How many tensors the file holds; a vocabulary-only file has none."""
        return int(_library().gguf_get_n_tensors(self._handle))

    @property
    def tensor_names(self) -> list[str]:
        """What its tensors are called, in the order of the file."""
        lib = _library()
        names = (lib.gguf_get_tensor_name(self._handle, i) for i in range(self.n_tensors))
        return [name.decode("utf-8", errors="surrogateescape") for name in names]

    def string(self, key: str) -> str | None:
        """The text under `key`, or None."""
        index = self._find(key, _STRING)
        if index is None:
            return None
        value: bytes = _library().gguf_get_val_str(self._handle, index)
        return value.decode("utf-8", errors="replace")

    def integer(self, key: str) -> int | None:
        """The unsigned 16- or 32-bit number under `key`, or None."""
        for kind, getter in ((_UINT32, "gguf_get_val_u32"), (_UINT16, "gguf_get_val_u16")):
            index = self._find(key, kind)
            if index is not None:
                return int(getattr(_library(), getter)(self._handle, index))
        return None

    def number(self, key: str) -> float | None:
        """The float32 under `key`, or None."""
        index = self._find(key, _FLOAT32)
        return None if index is None else float(_library().gguf_get_val_f32(self._handle, index))

    def flag(self, key: str) -> bool | None:
        """What is true or false under `key`, or None."""
        index = self._find(key, _BOOL)
        return None if index is None else bool(_library().gguf_get_val_bool(self._handle, index))

    @property
    def n_parameters(self) -> int:
        """How many numbers the tensors of this file hold."""
        lib, total = _library(), 0
        for index in range(self.n_tensors):
            ne = lib.gguf_get_tensor_ne(self._handle, index)
            total += ne[0] * ne[1] * ne[2] * ne[3]
        return int(total)

    def type_sizes(self) -> dict[str, int]:
        """Bytes by tensor type (`q4_K`, `f32`…), the largest first."""
        lib = _library()
        sizes: dict[str, int] = {}
        for index in range(self.n_tensors):
            traits = lib.ggml_get_type_traits(lib.gguf_get_tensor_type(self._handle, index))
            name = str(traits.contents.type_name, "ascii")
            sizes[name] = sizes.get(name, 0) + int(lib.gguf_get_tensor_size(self._handle, index))
        return dict(sorted(sizes.items(), key=lambda item: -item[1]))

    def layer_bytes(self) -> dict[int, int]:
        """Bytes of the tensors of each layer that this file has some of."""
        lib = _library()
        sizes: dict[int, int] = {}
        for index in range(self.n_tensors):
            layer = _LAYER.match(lib.gguf_get_tensor_name(self._handle, index))
            if layer:
                size = int(lib.gguf_get_tensor_size(self._handle, index))
                sizes[int(layer[1])] = sizes.get(int(layer[1]), 0) + size
        return sizes

    @property
    def n_bytes(self) -> int:
        """How long the file must be to hold all its tensors."""
        lib = _library()
        ends = (
            int(lib.gguf_get_tensor_offset(self._handle, index))
            + int(lib.gguf_get_tensor_size(self._handle, index))
            for index in range(self.n_tensors)
        )
        return int(lib.gguf_get_data_offset(self._handle)) + max(ends, default=0)

    def tensor_bytes(self, name: str) -> int:
        """How large the tensor `name` is; 0 if it isn't in this file."""
        lib = _library()
        index = lib.gguf_find_tensor(self._handle, name.encode())
        return 0 if index < 0 else int(lib.gguf_get_tensor_size(self._handle, index))

    def tensor(self, name: str) -> TensorPlace:
        """Where the tensor `name` lies.

        Raises:
            TensorNotFoundError: it isn't in this file.

        """
        lib = _library()
        index = lib.gguf_find_tensor(self._handle, name.encode(errors="surrogateescape"))
        if index < 0:
            raise TensorNotFoundError(name)
        ne = lib.gguf_get_tensor_ne(self._handle, index)
        offset = lib.gguf_get_data_offset(self._handle)
        offset += lib.gguf_get_tensor_offset(self._handle, index)
        return TensorPlace(
            path=self.path,
            shape=(ne[1], ne[0]),
            offset=offset,
            size=lib.gguf_get_tensor_size(self._handle, index),
            traits=lib.ggml_get_type_traits(lib.gguf_get_tensor_type(self._handle, index)).contents,
        )

    def _find(self, key: str, kind: int) -> int | None:
        lib = _library()
        index = int(lib.gguf_find_key(self._handle, key.encode()))
        if index < 0 or lib.gguf_get_kv_type(self._handle, index) != kind:
            return None
        return index


@contextmanager
def open_header(path: Path) -> Iterator[Header]:
    """Read the header of the GGUF file at `path`.

    Raises:
        ModelRefusedError: it can't be read, isn't a GGUF file, or its header is damaged.

    """
    from softchat.engine.native import forget_errors, reason  # loads llama.cpp

    try:
        path.open("rb").close()
    except OSError as error:  # llama.cpp would not say why
        raise ModelRefusedError(
            one_line(f"cannot read {path}: {error.strerror}"),
            hint="may you read it? softchat only reads models",
        ) from error
    lib = _library()
    forget_errors()
    handle = lib.gguf_init_from_file(bytes(path), _InitParams(no_alloc=True, ctx=None))
    if not handle:
        raise ModelRefusedError(
            f"not a readable GGUF file: {one_line(str(path))}: {reason()}",
            hint="the header is damaged or cut short; fetch the file again",
        )
    try:
        yield Header(path, handle)
    finally:
        lib.gguf_free(handle)


def write_header(path: Path, out: Path, *, types: Mapping[str, int], file_type: int) -> list[int]:
    """Write the header of one GGUF file into another, with tensors of other types.

    Args:
        path: the file whose header it is.
        out: is overwritten.
        types: `enum ggml_type` of the tensors that have another one now, by name. Rows have to be
            whole blocks of it.
        file_type: `enum llama_ftype`, of most of them.

    Returns:
        Where each tensor begins now, in bytes from the start of the file; and, last of all, how
        long the file must be.

    Raises:
        ModelRefusedError: `path` is no GGUF file.
        OSError: `out` can't be written.

    """
    lib = _library()
    tensors = ctypes.c_void_p()
    with ExitStack() as stack:
        header = stack.enter_context(open_header(path))
        names = [name.encode(errors="surrogateescape") for name in header.tensor_names]
        params = _InitParams(no_alloc=True, ctx=ctypes.addressof(tensors))
        told = lib.gguf_init_from_file(bytes(path), params)
        stack.callback(lib.gguf_free, told)
        stack.callback(lib.ggml_free, tensors)
        new = lib.gguf_init_empty()
        stack.callback(lib.gguf_free, new)
        lib.gguf_set_kv(new, told)
        lib.gguf_set_val_u32(new, b"general.file_type", file_type)
        for name in names:
            lib.gguf_add_tensor(new, lib.ggml_get_tensor(tensors, name))
        for text, number in types.items():
            lib.gguf_set_tensor_type(new, text.encode(errors="surrogateescape"), number)
        if not lib.gguf_write_to_file(new, bytes(out), True):
            raise OSError(f"llama.cpp can't write {out}")
        begins, step = int(lib.gguf_get_meta_size(new)), int(lib.gguf_get_alignment(new))
        places = [begins + int(lib.gguf_get_tensor_offset(new, i)) for i in range(len(names))]
        ends = max(
            (place + int(lib.gguf_get_tensor_size(new, i)) for i, place in enumerate(places)),
            default=begins,
        )
        return [*places, -(-ends // step) * step]


def find_matrix(header: Header) -> TensorPlace | None:
    """Where the token-embedding matrix lies, if it is in this file."""
    try:
        return header.tensor(_MATRIX)
    except TensorNotFoundError:
        return None


def all_parts(path: Path, count: int) -> list[Path]:
    """All files of a split model, given the first: name-00001-of-00003.gguf and so on.

    Raises:
        ModelRefusedError: one is missing.

    """
    if count == 1:
        return [path]
    stem = re.sub(r"-00001-of-\d{5}\.gguf$", "", path.name)
    parts = []
    # One by one, up to the first that is missing: a damaged header may tell of four billion.
    for n in range(1, count + 1):
        parts.append(path.with_name(f"{stem}-{n:05d}-of-{count:05d}.gguf"))
        if not parts[-1].is_file():
            missing = one_line(parts[-1].name)
            raise ModelRefusedError(
                f"a part of the model is missing: {missing}",
                hint="name the first part, with all others beside it",
            )
    return parts
