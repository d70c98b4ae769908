"""How many layers go where: by numbers, and by trying."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softchat.engine import offload
from softchat.engine.describe import describe
from softchat.engine.devices import Device, all_devices, choose
from softchat.engine.offload import Need, Offload
from softchat.engine.placement import ALL, Placement
from softchat.errors import ModelRefusedError, UsageError
from softchat.models.machine import has_room
from tests import tiny

NEED = Need(blocks=(10, 20, 30), output=5, buffers=1)
GPU = Device(
    backend="CUDA", name="CUDA0", description="a card", is_gpu=True, free=10**9, total=10**9
)
SHORT = ModelRefusedError("llama.cpp can't load x: unable to allocate CUDA0 buffer")


def test_layers_go_from_the_end():
    """The output is the first that a device gets, then the last layers."""
    assert [NEED.bytes(n) for n in range(5)] == [0, 6, 36, 56, 66]
    assert NEED.bytes(4, devices=2) == 67
    assert NEED.layers == 4


@pytest.mark.parametrize(
    ("free", "layers"),
    [([66], 4), ([65], 3), ([36], 2), ([35], 1), ([5], 0), ([0], 0), ([33, 34], 4)],
)
def test_as_many_as_fit(free, layers):
    """On all devices together; none if not even the output has room."""
    assert NEED.fitting(free) == layers


def test_what_a_header_says(tmp_path):
    """Each layer's tensors, the output matrix, and the cache by its type."""
    about = describe(tiny.write(tmp_path / "tiny.gguf"))
    layer = sum(
        matrix.size * 4 for name, matrix in tiny.weights().items() if name.startswith("blk.0.")
    )
    assert about.layer_bytes == (layer,) * tiny.LAYERS
    assert about.output_bytes == tiny.VOCABULARY * tiny.WIDTH * 4
    values = tiny.LAYERS * tiny.KV_HEADS * tiny.HEAD * 2
    assert about.cache_bytes_per_position() == values * 2
    assert about.cache_bytes_per_position("q8_0") == values * 34 // 32
    assert about.missing_bytes == 0
    full, small = (Need.of(about, 100, kind) for kind in ("f16", "q8_0"))
    assert full.blocks[0] == layer + 100 * values * 2 // tiny.LAYERS
    assert small.blocks[0] < full.blocks[0]
    tied = replace(about, output_bytes=0)
    assert Need.of(tied, 1, "f16").output == 0


def test_a_file_that_was_cut_short(tmp_path):
    """Its header still says how long it should be."""
    path = tiny.write(tmp_path / "tiny.gguf")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1000)
    assert 1000 - 32 <= describe(path).missing_bytes <= 1000  # it ends in padding


@pytest.fixture
def one_gpu(monkeypatch, tmp_path):
    """A machine with one card of so much free memory, and a tiny model: what `Offload` makes."""

    def made(free, **placement):
        device = replace(GPU, free=free)
        monkeypatch.setattr(offload, "choose", lambda names, servers: [(device, 7)])
        path = tiny.write(tmp_path / "tiny.gguf")
        return Offload(path, Placement(**placement), n_ctx=64, n_ctx_most=64)

    return made


def test_auto_takes_what_fits(one_gpu):
    """All where there is room; fewer, and a note with how much is lacking, where there is not."""
    roomy = one_gpu(10**9)
    assert (roomy.layers, roomy.all_layers, roomy.note) == (3, 3, "")
    assert roomy.handles == [7]
    full = roomy._need.bytes(3)
    tight = one_gpu(full - 1)
    assert tight.layers == 2
    assert tight.note.startswith("2 of 3 layers are on CUDA0, the others on the processor: all")
    assert "are free" in tight.note
    assert one_gpu(1).layers == 0


def test_a_number_is_taken_at_its_word(one_gpu):
    """As many layers as that, or all there are: whether they fit is found out by trying."""
    assert [one_gpu(1, gpu_layers=n).layers for n in (1, 2, 99, ALL)] == [1, 2, 3, 3]
    none = one_gpu(1, gpu_layers=0)
    assert (none.layers, none.handles, none.note) == (0, [], "")


def test_layers_for_accelerators_that_there_are_none_of(monkeypatch, tmp_path):
    """Whoever wants some there is told that all are on the processor; with `none` they know it."""
    monkeypatch.setattr(offload, "choose", lambda names, servers: [])
    path = tiny.write(tmp_path / "tiny.gguf")

    def note(**placement):
        return Offload(path, Placement(**placement), n_ctx=64, n_ctx_most=64).note

    said = "this llama.cpp knows of no accelerator here: all layers are on the processor"
    assert note(gpu_layers=5) == note(gpu_layers=ALL) == said
    assert note() == note(gpu_layers=0) == note(gpu_layers=5, devices=("none",)) == ""


def test_fewer_are_tried_until_it_fits(one_gpu):
    """What a device has no memory for is tried with fewer layers, and the outcome is told."""
    some = one_gpu(10**9, gpu_layers=ALL)
    tried = []
    for layers in some.attempts():
        tried.append(layers)
        with some.attempt():
            if layers > 1:
                raise SHORT
    assert tried == [3, 2, 1]
    assert some.note.startswith("1 of 3 layers are on CUDA0")


def test_with_no_layer_left_it_is_refused(one_gpu):
    """So is what is wrong otherwise, at once."""
    some = one_gpu(10**9)
    with pytest.raises(ModelRefusedError, match="unable to allocate"):  # noqa: PT012  # a loop
        for _ in some.attempts():
            with some.attempt():
                raise SHORT
    assert some.layers == 0
    with pytest.raises(ModelRefusedError, match="damaged"), some.attempt():
        raise ModelRefusedError("damaged")


def test_devices_of_this_build():
    """There is one processor, which is no place to give layers to; a wrong name lists the right."""
    assert [one.name for one, _ in all_devices() if not one.is_gpu].count("CPU") == 1
    assert choose(["none"]) == []
    with pytest.raises(UsageError, match="no device CPU"):
        choose(["CPU"])


def test_memory_of_a_card_comes_on_top():
    """Not that of a Mac, nor of a part of the processor: it is the machine's own."""
    cards = [
        GPU,
        replace(GPU, backend="Metal", name="Metal"),
        replace(GPU, is_integrated=True),
        replace(GPU, is_gpu=False),
    ]
    assert has_room(cards, 5) == 5 + 10**9
    assert has_room(cards, None) is None
