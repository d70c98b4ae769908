"""What flags say of where a model computes."""

from __future__ import annotations

import pytest

from softchat.engine.placement import ALL, Placement
from softchat.engine.servers import read_servers
from softchat.errors import UsageError


def test_flags_become_values():
    """`auto` is no number, `all` is one, names are split at commas, and a port has a default."""
    assert Placement.of() == Placement()
    whole = Placement.of(
        gpu_layers="12", device="CUDA0, CUDA1", rpc="a:1,b", cache_type="q8_0", flash_attn="on"
    )
    assert whole == Placement(
        gpu_layers=12,
        devices=("CUDA0", "CUDA1"),
        servers=("a:1", "b:50052"),
        cache_type="q8_0",
        flash_attn="on",
    )
    assert [Placement.of(gpu_layers=one).gpu_layers for one in ("auto", "all", -1, "0", 7)] == [
        None, ALL, ALL, 0, 7,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"gpu_layers": "-2"}, {"gpu_layers": "1.5"}, {"gpu_layers": 2**17}, {"gpu_layers": ""},
        {"cache_type": "Q8_0"}, {"flash_attn": ""}, {"rpc": "a,a"}, {"rpc": "a:0"},
        {"rpc": "a:70000"}, {"rpc": "a b"}, {"rpc": "[::1]:5"}, {"rpc": "\x1b[2J:5"},
    ],
)  # fmt: skip
def test_what_can_not_be_is_refused(wrong):
    """In one line without control characters, with what can be."""
    with pytest.raises(UsageError) as caught:
        Placement.of(**wrong)
    assert caught.value.hint
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    "wrong",
    [
        {"gpu_layers": "all"}, {"gpu_layers": 1.5}, {"gpu_layers": True}, {"devices": None},
        {"devices": "CUDA0"}, {"devices": (0,)}, {"servers": None}, {"servers": ["a:1"]},
        {"cache_type": None}, {"cache_type": []}, {"flash_attn": {}}, {"flash_attn": True},
    ],
)  # fmt: skip
def test_what_a_program_gives_is_of_its_type(wrong):
    """Each field, refused in words."""
    with pytest.raises(UsageError, match=f"{next(iter(wrong))} is ") as caught:
        Placement(**wrong)
    assert caught.value.hint.startswith("it must be")


@pytest.mark.parametrize("port", ["0", "65536", "²", "-1", "9" * 5000])
def test_what_is_no_port(port):
    """Python refuses to read numbers of thousands of digits."""
    with pytest.raises(UsageError, match="no address of a server"):
        read_servers(f"host:{port}")


def test_nothing_is_no_server():
    """As it stands in a config.toml that was emptied."""
    assert read_servers("") == read_servers(" ") == ()


@pytest.mark.parametrize("given", [{"device": ","}, {"device": " , "}, {"rpc": ","}])
def test_a_list_of_nothing_is_a_mistake(given):
    """It would do nothing, in silence; empty, it is as if it was not given."""
    with pytest.raises(UsageError, match=r"names no (device|server)"):
        Placement.of(**given)
    assert Placement.of(device="", rpc=" ") == Placement()
