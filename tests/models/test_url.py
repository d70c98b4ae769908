"""Models behind https addresses, from servers on loopback."""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from softchat.errors import ModelNotFoundError, ModelRefusedError, SoftchatError, UsageError
from softchat.evaluate.questions import read_questions
from softchat.models import url as web
from softchat.models.entry import ModelEntry, UrlSource
from softchat.models.fetch import fetch, fetch_new
from softchat.models.progress import Progress, Stage
from tests.models.server import Served, serving

CONTENT = b"GGUF" + random.Random(2).randbytes(5_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def ignore(_: Progress) -> None:
    """Draw nothing."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nobody waits between two tries."""
    monkeypatch.setattr(web, "_PAUSE_S", 0)


@pytest.fixture
def served():
    """What the server has."""
    return Served(files={"/f/m.gguf": CONTENT})


@pytest.fixture
def address(served, stack, tls):
    """Where the model is."""
    return stack.enter_context(serving(served, context=tls)) + "/f/m.gguf"


@pytest.fixture
def entry(address):
    """What models.toml says of it."""
    source = UrlSource(url=address, file="m.gguf", sha256=SHA256, size=len(CONTENT))
    return ModelEntry(name="m", source=source)


def test_fetched_and_verified(entry, store, served, leftovers):
    """It gets its final name once it is right, and is not fetched again."""
    told = []
    path = fetch(entry, store=store, progress=told.append)
    assert path.read_bytes() == CONTENT
    assert (path.name, leftovers()) == ("m.gguf", [])
    assert told[0] == Progress(stage=Stage.DOWNLOAD, done=0, total=len(CONTENT))
    assert told[-1] == Progress(stage=Stage.DOWNLOAD, done=len(CONTENT), total=len(CONTENT))
    assert fetch(entry, store=store, progress=pytest.fail) == path
    assert len(served.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_breaks_off_goes_on(entry, store, served, ranges):
    """By a range; where there is none the beginning is read again and dropped."""
    served.cut_after, served.cuts, served.ranges = 2_200_000, 2 if ranges else 1, ranges
    assert fetch(entry, store=store, progress=ignore).read_bytes() == CONTENT
    wanted = [headers.get("range") for *_, headers in served.asked]
    assert wanted[0] is None
    assert all(re.fullmatch(r"bytes=\d+-", one) for one in wanted[1:])
    assert len(wanted) > 1


def test_it_is_not_tried_for_ever(entry, store, served, leftovers):
    """A server that never gets further is given up."""
    served.cut_after = 1
    with pytest.raises(ModelNotFoundError, match="could not be fetched"):
        fetch(entry, store=store, progress=ignore)
    assert len(served.asked) == 5
    assert leftovers() == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), "its sha256 is"),
        (CONTENT + b"!", "it is longer than"),
        (CONTENT[:-1], "it ends after"),
        (b"", "it ends after 0"),
    ],
)
def test_another_file_than_described(entry, store, served, leftovers, content, says):
    """It is refused, and nothing of it stays."""
    served.files["/f/m.gguf"] = content
    with pytest.raises(ModelRefusedError, match=says):
        fetch(entry, store=store, progress=ignore)
    assert leftovers() == []


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_server_that_refuses(entry, store, served, status):
    """Its answer is the reason."""
    served.status = status
    with pytest.raises(ModelNotFoundError, match=rf"127\.0\.0\.1 answers {status}"):
        fetch(entry, store=store, progress=ignore)


def test_redirects_are_followed_over_https_only(entry, store, served, stack, tls, address):
    """To another origin, yes; to plain http, never."""
    redirect = Served(files={"org/repo/m.gguf": CONTENT})
    at = stack.enter_context(serving(redirect, context=tls)) + "/org/repo/resolve/main/m.gguf"
    elsewhere = replace(entry, source=replace(entry.source, url=at))
    served.files["org/repo/m.gguf"] = CONTENT
    plain = Served(files={"org/repo/m.gguf": CONTENT})
    redirect.storage = stack.enter_context(serving(plain))
    with pytest.raises(ModelNotFoundError, match="the address leads to plain http: http://127"):
        fetch(elsewhere, store=store, progress=ignore)
    assert plain.asked == []
    redirect.storage = address.removesuffix("/f/m.gguf")
    assert fetch(elsewhere, store=store, progress=ignore).read_bytes() == CONTENT


def test_no_redirect_without_end(entry, store, stack, tls):
    """A server that sends to itself is given up."""
    loop = Served(files={"org/repo/m.gguf": CONTENT})
    loop.storage = stack.enter_context(serving(loop, context=tls))
    at = loop.storage + "/org/repo/resolve/main/m.gguf"
    with pytest.raises(ModelNotFoundError, match="redirect"):
        fetch(replace(entry, source=replace(entry.source, url=at)), store=store, progress=ignore)


def test_a_stranger_is_not_trusted(entry, store, served, monkeypatch):
    """A certificate that nobody known has signed ends it."""
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ModelNotFoundError, match="certificate"):
        fetch(entry, store=store, progress=ignore)
    assert served.asked == []


def test_a_new_file_is_what_it_turns_out_to_be(address, store):
    """Its size and sha256 are found out once; then it is here."""
    source = fetch_new("m", address, store=store, progress=ignore)
    assert source == UrlSource(url=address, file="m.gguf", sha256=SHA256, size=len(CONTENT))
    assert store.find(source).read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"<!doctype html>", b"GGU", b""])
def test_a_new_file_must_be_a_model(address, store, served, content, leftovers):
    """A page about a model is not kept for one."""
    served.files["/f/m.gguf"] = content
    with pytest.raises(ModelRefusedError, match="no GGUF file"):
        fetch_new("m", address, store=store, progress=ignore)
    assert leftovers() == []


def test_a_new_file_must_fit(address, store, served):
    """What does not fit on the disk is not begun."""
    served.claims = {"X-Linked-Size": "0"}
    with pytest.raises(ModelNotFoundError, match=r"\d [MG]B are free") as caught:
        list(web.read(address, ignore, room=1000))
    assert "SOFTCHAT_HOME" in caught.value.hint


def test_words_of_the_server_are_harmless(entry, store, stack, tls):
    """What stands in an address that it sends to is shown without what a terminal would obey."""
    mean = Served(files={"org/repo/m.gguf": CONTENT}, storage="http://127.0.0.1:1/\x1b[2J")
    at = stack.enter_context(serving(mean, context=tls)) + "/org/repo/resolve/main/m.gguf"
    with pytest.raises(SoftchatError) as caught:
        fetch(replace(entry, source=replace(entry.source, url=at)), store=store, progress=ignore)
    assert caught.value.message.isprintable()


def test_questions_behind_https(served, stack, tls):
    """A file is read from its address, though a path has only one slash; never over plain http."""
    served.files["/d/sums.csv"] = b"question,answer\nWhat?,7\n"
    address = stack.enter_context(serving(served, context=tls))
    found = read_questions(Path(f"{address}/d/sums.csv"))
    assert [(q.text, q.answer) for q in found.questions] == [("What?", "7")]
    for wrong, said in (
        (f"{address}/d/none.csv", "404"),
        (address.replace("https", "http") + "/d/sums.csv", "plain http"),
    ):
        with pytest.raises(UsageError, match=said):
            read_questions(Path(wrong))
