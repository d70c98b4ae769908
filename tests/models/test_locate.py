"""What a name means, what a path means, and what is wrong with a file before it is opened."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from softchat.errors import ModelError, ModelNotFoundError, ModelRefusedError
from softchat.models import find_model
from softchat.models.catalogue import Catalogue
from softchat.models.entry import ModelEntry, PathSource
from softchat.models.locate import Located, locate
from softchat.prompt.tags import ThinkTags
from tests.faults.soak import times
from tests.terminal import CONTROLS


@pytest.fixture
def catalogue(entry, tmp_path):
    """The tiny model, the default, and one that is a path."""
    mine = ModelEntry(
        name="mine", aliases=("my",), source=PathSource(path=tmp_path / "elsewhere" / "mine.bin")
    )
    return Catalogue(entries={"tiny": entry, "mine": mine}, default="tiny")


@pytest.fixture
def find(catalogue, store, in_empty_folder):
    """A function that locates, in an empty current folder; what it may fetch is an error."""

    def located(spec):
        return locate(spec, catalogue=catalogue, store=store, progress=pytest.fail)

    assert in_empty_folder == Path.cwd()
    return located


NAMES = {"tiny", "mine", "my"}


def make_gguf(path, content=b"GGUF rest"):
    """A file that begins like a GGUF."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_no_name_is_the_default(find, store, source, entry, content):
    """Without a name the default model is found, in the store if it is there."""
    path = store.keep(source, [content])
    for spec in (None, "tiny"):
        found = find(spec)
        assert (found.name, found.path, found.entry) == ("tiny", path, entry)


@pytest.mark.usefixtures("index")
def test_what_is_not_here_is_fetched(catalogue, store, content):
    """A model that is named and not here yet is fetched, and progress told."""
    told = []
    found = locate("tiny", catalogue=catalogue, store=store, progress=told.append)
    assert found.path.read_bytes() == content
    assert told


def test_an_alias_of_a_path(find, tmp_path):
    """A model that is a path is found by alias, under its name."""
    path = make_gguf(tmp_path / "elsewhere" / "mine.bin")
    found = find("my")
    assert (found.name, found.path) == ("mine", path)


def test_a_named_path_that_is_gone(find):
    """A named model whose file is gone is not found, and the error says which file."""
    with pytest.raises(ModelNotFoundError, match=r"no file .*elsewhere/mine\.bin"):
        find("mine")


@pytest.mark.parametrize("spec", ["m.gguf", "./m.gguf", "sub/m.gguf", "./m", "sub/m", "m", ".m"])
def test_what_is_a_path(find, spec):
    """A .gguf, anything with a separator, a leading dot, and any file that is no name: paths."""
    path = make_gguf(spec)
    found = find(spec)
    assert found.path.samefile(path)
    assert (found.name, found.entry) == (path.stem, None)


def test_home(find, monkeypatch, tmp_path):
    """A leading ~ is the user's home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = make_gguf(tmp_path / "m.bin")
    assert find("~/m.bin").path == path
    with pytest.raises(ModelNotFoundError):
        find("~no-such-user/m.gguf")


def test_a_name_keeps_its_meaning(find, store, source, content):
    """A file in the current folder that is called like a model does not take its name."""
    make_gguf("tiny")
    kept = store.keep(source, [content])
    assert find("tiny").path == kept
    assert find("./tiny").path == Path("tiny")


def test_a_file_that_models_toml_knows(find, content, entry, tmp_path, catalogue):
    """A file of a known basename and size, or a known path, is what models.toml says it is."""
    assert find(str(make_gguf("copy/tiny.gguf", content))).entry == entry
    mine = make_gguf(tmp_path / "elsewhere" / "mine.bin")
    assert find(os.path.relpath(mine)).entry == catalogue.entries["mine"]
    assert find(str(make_gguf("other/tiny.gguf", content + b"!"))).entry is None
    assert find(str(make_gguf("tiny2.gguf", content))).entry is None


def test_an_unknown_file_has_no_wishes(find):
    """A file that models.toml does not know has the usual tags and no settings of its own."""
    found = find(str(make_gguf("m.gguf")))
    assert (found.context, found.system, found.defaults) == (0, "", {})
    assert found.tags is None


@pytest.mark.parametrize(
    ("spec", "error", "message", "hint"),
    [
        ("qwen", ModelNotFoundError, "no model 'qwen'", "there are: tiny, mine"),
        ("tinny", ModelNotFoundError, "no model 'tinny'", "did you mean 'tiny'?"),
        ("", ModelNotFoundError, "no model ''", "there are: tiny, mine"),
        ("dir/qwen3-q5.gguf", ModelNotFoundError, "no file dir/qwen3-q5.gguf", "qwen3-q4.gguf"),
        ("zzz.gguf", ModelNotFoundError, "no file zzz.gguf", "path of a .gguf file"),
        ("link3.gguf", ModelNotFoundError, "no file link3.gguf", "path of a .gguf file"),
        ("link.gguf", ModelNotFoundError, "link.gguf is a link to nothing", "mend it"),
        ("loop.gguf", ModelNotFoundError, "loop.gguf: Too many levels of symbolic", "mend it"),
        ("no/such/m.gguf", ModelNotFoundError, "no file no/such/m.gguf", "path of a .gguf"),
        ("dir/", ModelNotFoundError, "a folder, not a file: dir", "files: a.gguf, qwen3-q4.gguf"),
        ("./empty", ModelNotFoundError, "a folder, not a file: empty", "there is no .gguf in it"),
        ("text.gguf", ModelRefusedError, "not a GGUF file: text.gguf", "it begins with b'#!/b'"),
        ("empty.gguf", ModelRefusedError, "not a GGUF file: empty.gguf", "it is empty"),
        ("short.gguf", ModelRefusedError, "not a GGUF file: short.gguf", "b'GGU'"),
        ("pipe.gguf", ModelNotFoundError, "pipe.gguf is a pipe, not a file", "give a file"),
        ("a" * 5000 + ".gguf", ModelNotFoundError, "no file aaa", ""),
        ("./a\0b", ModelNotFoundError, "no file a␀b", ""),
        ("\x1b[2J", ModelNotFoundError, "no model '␛[2J'", "there are"),
        ("./\x1b]0;x\x07\u202e.gguf", ModelNotFoundError, "no file ␛]0;x␇", ""),
    ],
)
def test_not_there_or_not_it(find, spec, error, message, hint):
    """Each way to name no model says in one line what is wrong, and what would be right."""
    make_gguf("dir/qwen3-q4.gguf")
    make_gguf("dir/a.gguf")
    Path("empty").mkdir()
    make_gguf("text.gguf", b"#!/bin/sh")
    make_gguf("empty.gguf", b"")
    make_gguf("short.gguf", b"GGU")
    os.mkfifo("pipe.gguf")
    Path("link.gguf").symlink_to("nowhere")
    Path("link2.gguf").mkdir()
    Path("loop.gguf").symlink_to("loop.gguf")
    with pytest.raises(error, match=re.escape(message)) as caught:
        find(spec)
    assert type(caught.value) is error
    assert hint in caught.value.hint
    assert (caught.value.message + caught.value.hint).isprintable()


def test_names_of_files_are_escaped(find):
    """The names of files that a hint lists are shown without their control characters."""
    make_gguf("dir/\x1b[2J.gguf")
    with pytest.raises(ModelNotFoundError) as caught:
        find("dir/")
    assert caught.value.hint == "give one of its files: ␛[2J.gguf"


def test_long_lists_are_cut(find):
    """A folder of many models is hinted at by the first few."""
    for letter in "abcde":
        make_gguf(f"dir/{letter}.gguf")
    with pytest.raises(ModelNotFoundError) as caught:
        find("dir/")
    assert caught.value.hint == "give one of its files: a.gguf, b.gguf, c.gguf and 2 more"


def test_a_split_model(find):
    """A split model is its first part, once all parts are there."""
    first = make_gguf("m-00001-of-00003.gguf")
    make_gguf("m-00003-of-00003.gguf")
    with pytest.raises(ModelNotFoundError, match="in 3 parts, not all of them here") as missing:
        find(str(first))
    assert missing.value.hint == "missing: m-00002-of-00003.gguf"
    make_gguf("m-00002-of-00003.gguf")
    assert find(str(first)).path == first
    with pytest.raises(ModelRefusedError, match="is part 3 of a model in 3 parts") as other:
        find("m-00003-of-00003.gguf")
    assert other.value.hint == "give the first: m-00001-of-00003.gguf"


def test_a_file_closed_to_us(find, monkeypatch):
    """A file that may not be read is refused with the reason."""

    def closed(*_args):  # chmod would not do: root reads everything
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    make_gguf("m.gguf")
    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(ModelRefusedError, match="Permission denied"):
        find("m.gguf")


def test_in_this_users_folders(tmp_path):
    """`find_model` goes by the user's own models.toml."""
    path = make_gguf(tmp_path / "mine.gguf")
    own = tmp_path / "home" / "models.toml"
    own.parent.mkdir()
    own.write_text(
        'default = "mine"\n[models.mine]\nsource = {type="path", path="../mine.gguf"}\n'
        'context = 64\nsystem = "Think."\n[models.mine.defaults]\ntau = 0.5\n'
        '[models.mine.think]\nopen = "<t>"\n'
    )
    found = find_model(None, environ={"SOFTCHAT_HOME": str(own.parent)})
    assert found.path.samefile(path)
    assert (found.name, found.context, found.system) == ("mine", 64, "Think.")
    assert (found.tags, found.defaults) == (ThinkTags(open="<t>"), {"tau": 0.5})


def test_an_adapter_that_is_not_there(tmp_path):
    """It is told when it is asked for, by its path: without its adapter the model can be loaded."""
    path = make_gguf(tmp_path / "mine.gguf")
    entry = ModelEntry(name="mine", source=PathSource(path=path), lora=tmp_path / "gone.jsonl")
    found = Located(name="mine", path=path, entry=entry)
    with pytest.raises(ModelNotFoundError, match=r"an adapter .* that is not there") as caught:
        _ = found.lora
    assert str(tmp_path / "gone.jsonl") in caught.value.message
    assert "--lora none" in caught.value.hint
    make_gguf(entry.lora)
    assert found.lora == entry.lora


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=times(100, 1000)
)
@given(spec=st.text(st.characters(), max_size=30).filter(lambda spec: spec not in NAMES))
@example(spec="~")
@example(spec="~\0")
@example(spec="../../../../etc/passwd")
@example(spec="\ud800.gguf")
@example(spec=".")
@example(spec="-00000-of-00000.gguf")
def test_no_spec_is_a_surprise(find, spec):
    """Whatever is given for a model: an error in printable words, and no traceback."""
    with pytest.raises(ModelError) as caught:
        find(spec)
    assert not CONTROLS.search(caught.value.message + caught.value.hint)
    assert list(Path.cwd().iterdir()) == []


def test_what_is_here_needs_no_client(home, real_model):
    """Of a model that is here nobody waits for what only a fetch, or `models add`, needs."""
    program = (
        "import sys; from softchat.models import find_model; print(find_model(None).path);"
        "print({'huggingface_hub', 'httpx2', 'tomlkit'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"SOFTCHAT_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"{real_model}\nset()\n", done.stderr
