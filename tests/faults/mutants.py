"""GGUF files as no writer makes them: a whole one, and a number that says what is done to it.

`python -m tests.faults.mutants FIRST COUNT FOLDER` asks each of them something, and prints a line
of JSON for each; those on which softchat fails as it must not stay in the folder.
"""

from __future__ import annotations

import json
import os
import random
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import tiny, zoo

# Each reads its header otherwise: plain, a window, a state, both, experts, latent attention.
MODELS = ("llama", "qwen3", "gemma3", "mamba", "jamba", "gpt-oss", "deepseek2", "rwkv7", "phi3")
TEMPLATE = "{% for message in messages %}{{ message.content }}\n{% endfor %}"
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # enum gguf_type
_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
ABSURD = (
    0, 1, 2, 3, 5, 7, 33, 255, 511, 1025, 2**15 + 1, 2**16, 2**20 + 1, 2**24, 2**28, 2**31 - 1,
    2**31, 2**32 - 1, 2**32, 2**48, 2**62, 2**63 - 1, 2**63, 2**64 - 1,
)  # fmt: skip
_FLOATS = (0.0, -1.0, 1e-45, 1e38, -1e38, float("nan"), float("inf"), float("-inf"))

OTHERS = (
    (_STRING, b""), (_STRING, b"x"), (_STRING, b"a" * 10**6), (_STRING, b"\x1b]0;x\x07\r\n"),
    (_STRING, b"../../x"), (_STRING, b"\xff\xfe\xed\xa0\x80"), (_STRING, b"{{ 1 / 0 }}"),
    (_STRING, b"{% for i in range(10**5) %}" * 3), (_UINT32, bytes(4)), (_INT32, b"\xff" * 4),
    (10, b"\xff" * 8), (12, struct.pack("<d", float("nan"))), (_BOOL, b"\1"),
    (_FLOAT32, struct.pack("<f", float("inf"))), (_ARRAY, struct.pack("<IQ", _UINT32, 0)),
    (_ARRAY, struct.pack("<IQI", _UINT32, 1, 7)), (_ARRAY, struct.pack("<IQQ", _STRING, 1, 0)),
)  # fmt: skip
"""Values as a header has them: the type, and the bytes behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Where a key of the header lies: places are bytes from the file's start."""

    name: str
    start: int
    kind: int
    value: int
    """Its value; of an array: the type of its items, their number, then they."""
    end: int

    @property
    def items(self) -> int:
        """Where the items of an array begin."""
        return self.value + 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """Where a tensor is described."""

    start: int
    dims: int
    n_dims: int
    end: int

    @property
    def kind(self) -> int:
        """Its type, 4 bytes; its offset, 8 bytes, is behind."""
        return self.end - 12

    @property
    def offset(self) -> int:
        """Where it lies, from the data's start."""
        return self.end - 8


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies in a GGUF file."""

    keys: list[Key]
    tensors: list[Tensor]
    data: int

    @classmethod
    def of(cls, data: bytes) -> Layout:
        """That of a file that is whole."""
        n_tensors, n_keys = struct.unpack_from("<QQ", data, 8)
        at, keys, tensors = 24, [], []
        for _ in range(n_keys):
            start, value = at, _after(data, at, _STRING) + 4
            kind = _uint32(data, value - 4)
            at = _after(data, value, kind)
            name = data[start + 8 : value - 4].decode()
            keys.append(Key(name=name, start=start, kind=kind, value=value, end=at))
        for _ in range(n_tensors):
            start, dims = at, _after(data, at, _STRING) + 4
            n_dims = _uint32(data, dims - 4)
            at = dims + 8 * n_dims + 12
            tensors.append(Tensor(start=start, dims=dims, n_dims=n_dims, end=at))
        return cls(keys, tensors, -(-at // 32) * 32)

    def key(self, name: str) -> Key:
        """The key of this name."""
        return next(key for key in self.keys if key.name == name)


def _uint32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


def _after(data: bytes, at: int, kind: int) -> int:
    """Where the value of this type that begins here ends."""
    if kind == _STRING:
        return at + 8 + int(struct.unpack_from("<Q", data, at)[0])
    if kind != _ARRAY:
        return at + _SIZES[kind]
    inner, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if inner != _STRING:
        return at + count * _SIZES[inner]
    for _ in range(count):
        at = _after(data, at, _STRING)
    return at


# -- what is done to a file: each changes it in place and says what it did ------------------------

Change = Callable[[bytearray, Layout, random.Random], str]


def _put(data: bytearray, at: int, size: int, value: int) -> None:
    data[at : at + size] = (value % 256**size).to_bytes(size, "little")


def _flip(data: bytearray, first: int, end: int, rng: random.Random) -> str:
    places = [rng.randrange(first, end) for _ in range(rng.choice([1, 1, 2, 8, 40]))]
    for place in places:
        data[place] ^= 1 << rng.randrange(8)
    return f"bits flipped at {places[:3]}"


def flip_anywhere(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """Bits, in a part of the file that is as likely as any other, however long it is."""
    places = [0, 24, layout.tensors[0].start, layout.data, len(data)]
    part = rng.randrange(4)
    return _flip(data, places[part], places[part + 1], rng)


def flip_a_key(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """Bits of one key and its value."""
    key = rng.choice(layout.keys)
    return f"{key.name}: " + _flip(data, key.start, min(key.end, key.value + 32), rng)


def cut(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """The file ends too early: anywhere, or where something ends, or a byte beside it."""
    ends = [4, 8, 16, 24, layout.data, len(data), *(key.end for key in layout.keys)]
    ends += [key.value for key in layout.keys] + [tensor.end for tensor in layout.tensors]
    place = rng.choice([rng.randrange(len(data)), rng.choice(ends) + rng.choice([-1, 0, 1])])
    del data[place:]
    return f"cut at {place}"


def lengthen(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """A length or a count is another: of tensors, keys, a name, a text, an array."""
    texts = [key for key in layout.keys if key.kind == _STRING]
    arrays = [key for key in layout.keys if key.kind == _ARRAY]
    what, place = rng.choice([
        ("tensors", 8), ("keys", 16), ("a key's name", rng.choice(layout.keys).start),
        ("a tensor's name", rng.choice(layout.tensors).start),
        ("a text", rng.choice(texts).value), ("an array", rng.choice(arrays).value + 4),
        ("a token", layout.key("tokenizer.ggml.tokens").items),
    ])  # fmt: skip
    true = int(struct.unpack_from("<Q", data, place)[0])
    said = rng.choice([*ABSURD, true - 1, true + 1, true * 2])
    _put(data, place, 8, said)
    return f"{what}: {said} in place of {true}"


def repeat_tokens(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """A token has another's text: of the same length, as all lengths stay."""
    at, spans = layout.key("tokenizer.ggml.tokens").items, []
    for _ in range(tiny.VOCABULARY):
        end = _after(data, at, _STRING)
        spans.append((at + 8, end))
        at = end
    length = rng.choice([b - a for a, b in spans[3:]])
    same = [span for span in spans if span[1] - span[0] == length]
    count = rng.choice([1, 1, 5, len(same)])
    (first, last), *_ = same
    for start, end in rng.sample(same, min(count, len(same))):
        data[start:end] = data[first:last]
    return f"{count} tokens of the same text"


def absurd_number(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """A dimension, a count, a limit or a token's number is another, or a factor no number."""
    sizes = [key for key in layout.keys if key.kind in _SIZES and key.kind != _BOOL]
    # Those that every model has, and all that make up the others' headers, as likely as each other.
    names = ("length", "count", "layer", "size", "rank", "dim", "token_id", "group")
    key = rng.choice([*sizes, *(key for key in sizes if any(name in key.name for name in names))])
    if key.kind == _FLOAT32:
        number = rng.choice(_FLOATS)
        struct.pack_into("<f", data, key.value, number)
        return f"{key.name}: {number}"
    before = int.from_bytes(data[key.value : key.value + 4], "little")
    said = rng.choice([*ABSURD[:18], before - 1, before + 1, before * 2, before // 2])
    _put(data, key.value, _SIZES[key.kind], said)
    return f"{key.name}: {said} in place of {before}"


def absurd_items(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """Some items of an array are others: scores and kinds of tokens, heads of layers."""
    arrays = [key for key in layout.keys if key.kind == _ARRAY]
    key = rng.choice([one for one in arrays if _uint32(data, one.value) in _SIZES])
    size = _SIZES[_uint32(data, key.value)]
    count = int(struct.unpack_from("<Q", data, key.value + 4)[0])
    for _ in range(rng.choice([1, 3, count])):
        _put(data, key.items + size * rng.randrange(count), size, rng.choice(ABSURD))
    return f"{key.name}: items changed"


def other_type(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """A key, the items of an array or a tensor has another type, or one that there is none of."""
    if rng.random() < 0.5:
        tensor, kind = rng.choice(layout.tensors), rng.choice([*range(42), 255, 2**31, 2**32 - 1])
        _put(data, tensor.kind, 4, kind)
        return f"a tensor of type {kind}"
    key, kind = rng.choice(layout.keys), rng.choice([*range(14), 255, 2**31, 2**32 - 1])
    _put(data, key.value if key.kind == _ARRAY and rng.random() < 0.5 else key.value - 4, 4, kind)
    return f"{key.name} of type {kind}"


def same_size_type(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """A key has another type of the same size: all behind it is read as it should be."""
    swaps = {_UINT32: (_INT32, _FLOAT32), _INT32: (_UINT32,), _FLOAT32: (_UINT32, _INT32)}
    key = rng.choice([one for one in layout.keys if one.kind in swaps])
    kind = rng.choice(swaps[key.kind])
    _put(data, key.value - 4, 4, kind)
    return f"{key.name} of type {kind}"


def other_shape(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """A tensor has other dimensions, or another number of them."""
    tensor = rng.choice(layout.tensors)
    if rng.random() < 0.3:
        count = rng.choice([0, 1, 2, 3, 4, 5, 255, 2**31, 2**32 - 1])
        _put(data, tensor.dims - 4, 4, count)
        return f"a tensor of {count} dimensions"
    place = tensor.dims + 8 * rng.randrange(tensor.n_dims)
    before = int(struct.unpack_from("<Q", data, place)[0])
    said = rng.choice([*ABSURD, before - 1, before + 1, before * 2, before - 32, before + 32])
    _put(data, place, 8, said)
    return f"a dimension of {said} in place of {before}"


def other_place(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """A tensor lies where another does, across two, beyond the end, or nowhere."""
    tensor, other = rng.choice(layout.tensors), rng.choice(layout.tensors)
    place = int(struct.unpack_from("<Q", data, other.offset)[0])
    size = len(data) - layout.data
    said = rng.choice([place, place + 32, place + 1, size - 32, size, size * 2, *ABSURD[12:]])
    _put(data, tensor.offset, 8, said)
    return f"a tensor at {said} of {size}"


def same_name(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """Two keys, or two tensors, are called the same; or one is called nothing known."""
    many = rng.choice([layout.keys, layout.tensors])
    one, other = rng.sample(many, 2)
    name = _after(data, other.start, _STRING)
    said = bytes(data[other.start : name])
    if rng.random() < 0.3:
        said = said[:8] + b"\xff" * (len(said) - 8)
    data[one.start : _after(data, one.start, _STRING)] = said
    return "a name as another's, or no text"


def absurd_weights(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """The numbers of a tensor, or of all, are NaN, infinite, zero or huge."""
    number = struct.pack("<f", rng.choice(_FLOATS))
    starts = sorted(struct.unpack_from("<Q", data, one.offset)[0] for one in layout.tensors)
    spans = list(zip(starts, [*starts[1:], len(data) - layout.data], strict=True))
    for start, end in rng.choice([spans, [rng.choice(spans)]]):
        data[layout.data + start : layout.data + end] = number * ((end - start) // 4)
    return f"weights of {struct.unpack('<f', number)[0]}"


def leave_out(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """A key is not there; all behind it is."""
    key = rng.choice(layout.keys)
    _put(data, 16, 8, len(layout.keys) - 1)
    _replace(data, layout, key.start, key.end, b"")
    return f"without {key.name}"


def another_value(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """A key has a value of another type and length; all behind it is as it should be."""
    names = ("general", "tokenizer", "context", "embedding", "block_count", "head_count", "rope")
    key = rng.choice([one for one in layout.keys if any(name in one.name for name in names)])
    kind, value = rng.choice(OTHERS)
    shown = f"{value[:12]!r}… of {len(value)}" if len(value) > 12 else repr(value)
    if kind == _STRING:
        value = struct.pack("<Q", len(value)) + value
    _replace(data, layout, key.value - 4, key.end, struct.pack("<I", kind) + value)
    return f"{key.name}: {shown}, of type {kind}"


def _replace(data: bytearray, layout: Layout, start: int, end: int, new: bytes) -> None:
    """Put this in the header's place; the weights behind it begin at a multiple of 32 again."""
    header = data[24:start] + new + data[end : layout.tensors[-1].end]
    data[24 : layout.data] = header + bytes(-(24 + len(header)) % 32)


def split(data: bytearray, layout: Layout, rng: random.Random) -> str:
    """It says that it is one of several files."""
    count = rng.choice([0, 2, 3, 999, 2**16 - 1, 2**31, 2**32 - 1])
    kind, size = (4, 4) if count >= 2**16 or rng.random() < 0.5 else (2, 2)
    name = b"split.count"
    _put(data, 16, 8, len(layout.keys) + 1)
    header = data[24 : layout.tensors[0].start] + struct.pack("<Q", len(name)) + name
    header += struct.pack("<I", kind) + count.to_bytes(size, "little")
    header += data[layout.tensors[0].start : layout.tensors[-1].end]
    data[24 : layout.data] = header + bytes(-(24 + len(header)) % 32)
    return f"one of {count} files"


CHANGES: tuple[Change, ...] = (
    flip_anywhere, flip_a_key, cut, lengthen, repeat_tokens, absurd_number, absurd_number,
    absurd_items, other_type, same_size_type, other_shape, other_place, same_name, absurd_weights,
    leave_out, split, another_value,
)  # fmt: skip


def whole(folder: Path, model: str) -> Path:
    """A file with nothing wrong, that `softchat ask` runs on."""
    path = folder / f"{model}.gguf"
    if not path.exists():
        zoo.write(path, model, chat_template=TEMPLATE, letters=tiny.ASCII)
    return path


def mutant(number: int, folder: Path) -> tuple[bytes, str]:
    """The file of this number, and what is wrong with it."""
    rng = random.Random(number)
    model, change = MODELS[number % len(MODELS)], CHANGES[number % len(CHANGES)]
    data = bytearray(whole(folder, model).read_bytes())
    said = change(data, Layout.of(data), rng)
    return bytes(data), f"{model}, {change.__name__}: {said}"


# Named as a path, so none is looked for among names. One thread: it is the machine's that runs the
# others' tests too.
ASK = ("ask", "Why?", "--max-think", "3", "--max-answer", "3", "--threads", "1", "-m")
NEEDED, SECONDS = 4 << 30, 120  # bytes of addresses; a run takes 0.5 s


def commands(number: int, path: Path) -> Iterator[tuple[str, ...]]:
    """What is done with a file: it is asked, looked at, named, and now and then examined."""
    yield (*ASK, str(path))
    yield ("models", "info", str(path))
    yield ("models", "add", f"mutant-{number}", str(path))
    if number % 15 == 4:  # each change has some of these
        (path.parent / "config.toml").write_text(f"model = '{path}'\n")
        yield ("doctor", "--json")
        (path.parent / "config.toml").unlink()


def main() -> None:
    """Try them, from the first number on."""
    from tests.faults import forked

    first, count, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    os.environ["SOFTCHAT_HOME"] = str(folder)
    for number in range(first, first + count):
        data, said = mutant(number, folder)
        path = folder / f"mutant-{number}.gguf"
        path.write_bytes(data)
        ends = {
            " ".join(command[:2]): forked.run(command, folder, seconds=SECONDS, memory=NEEDED)
            for command in commands(number, path)
        }
        faults = {name: end.fault for name, end in ends.items() if end.fault}
        told = {"number": number, "said": said, "faults": faults}
        told["ends"] = {name: (end.status, end.err[:1000]) for name, end in ends.items()}
        told["memory"] = max(end.memory for end in ends.values())
        print(json.dumps(told), flush=True)
        (folder / "models.toml").unlink(missing_ok=True)
        if not faults:
            path.unlink()


if __name__ == "__main__":
    main()
