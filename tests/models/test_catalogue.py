"""models.toml: what it may say, who wins, and on which line it is wrong."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from softchat.errors import ModelNotFoundError, UsageError
from softchat.models import catalogue
from softchat.models.catalogue import default_files, load_catalogue, user_catalogue
from softchat.models.entry import HubSource, PathSource, UrlSource, WheelSource
from softchat.models.store import Store
from softchat.prompt.tags import ThinkTags
from softchat.settings import resolve
from tests.faults.soak import times
from tests.terminal import CONTROLS

SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


BASE = f"""\
default = "small"

[models.small]
aliases = ["s", "tiny"]
licence = "MIT"

[models.small.source]
type = "wheel"
package = "small-model"
version = "1.0"
file = "small_model/small.gguf"
sha256 = "{SHA256}"
size = 1000

[models.small.defaults]
tau = 1
patience = 7
"""


@pytest.fixture
def load(tmp_path):
    """A function that loads a catalogue from the texts of its files, 0.toml, 1.toml and so on."""

    def load_texts(*texts):
        files = []
        for number, text in enumerate(texts):
            files.append(tmp_path / f"{number}.toml")
            files[-1].write_text(text, encoding="utf-8")
        return load_catalogue(files)

    return load_texts


def test_an_entry(load):
    """An entry is what the file says, settings in their own type; what it leaves out is empty."""
    entry = load(BASE).find("small")
    assert entry.aliases == ("s", "tiny")
    assert entry.licence == "MIT"
    assert entry.source == WheelSource(
        package="small-model",
        version="1.0",
        file="small_model/small.gguf",
        sha256=SHA256,
        size=1000,
    )
    assert entry.source.basename == "small.gguf"
    assert entry.defaults == {"tau": 1.0, "patience": 7}
    assert isinstance(entry.defaults["tau"], float)
    assert (entry.description, entry.context, entry.system) == ("", 0, "")
    assert entry.tags is None


def test_tags_and_system(load):
    """Tags left out are the usual ones; those given are taken to the letter."""
    text = '[models.small.think]\nopen = "<reason>"\nafter_close = ""\n[models.small]\n'
    text = BASE.replace("[models.small]\n", f'{text}system = "Think.\\nWell."\ncontext = 512\n')
    entry = load(text).find("small")
    assert entry.tags == ThinkTags(open="<reason>", after_close="")
    assert entry.system == "Think.\nWell."
    assert entry.context == 512


def test_how_a_model_is_asked(load):
    """Words before its closing tag, and whether and how much it thinks, are a model's own too."""
    text = """
        [models.small.defaults]
        closing = 'I have thought enough.\\nThe answer is'
        think = true
        effort = "low"
        lens_every = 8
    """
    defaults = load(BASE, text).find("small").defaults
    settings = resolve(defaults, {})
    assert settings.closing == r"I have thought enough.\nThe answer is"
    assert (settings.think, settings.effort, settings.lens) == (True, "low", True)


def test_an_adapter_is_beside_its_file(load, tmp_path):
    """A lora is a path from the folder of the file that names it."""
    above = '[models.small]\nlora = "mine/a.gguf"'
    assert load(BASE, above).find("small").lora == tmp_path / "mine/a.gguf"
    assert load(BASE).find("small").lora is None
    with pytest.raises(UsageError, match=r"1\.toml:2: lora is 3"):
        load(BASE, "[models.small]\nlora = 3")


def test_merging_needs_an_adapter(load):
    """Without one there is nothing to make one file of; an adapter may be another file's."""
    adapted = BASE.replace("[models.small]\n", '[models.small]\nlora = "a.gguf"\n')
    assert load(adapted, "[models.small]\nmerge = true").find("small").merge
    assert not load(BASE, "[models.small]\nmerge = false").find("small").merge
    with pytest.raises(UsageError, match=r"1\.toml:2: merge does nothing without") as caught:
        load(BASE, "[models.small]\nmerge = true")
    assert "give a lora too, or leave out merge" in caught.value.hint


def test_found_by_name_and_alias(load):
    """A model has its name and its aliases, and the default can be an alias."""
    catalogue = load(BASE.replace('default = "small"', 'default = "tiny"'))
    assert catalogue.default == "small"
    assert catalogue.find("s") is catalogue.find("tiny") is catalogue.find("small")
    assert catalogue.get("medium") is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("smal", "did you mean 'small'?"),
        ("TINY", "did you mean 'tiny'?"),
        ("qwen", "there are: small;"),
    ],
)
def test_not_found(load, name, hint):
    """A name that is not there gets the nearest one as a hint, or all of them."""
    with pytest.raises(ModelNotFoundError, match=f"no model '{name}' in models.toml") as caught:
        load(BASE).find(name)
    assert caught.value.hint.startswith(hint)


def test_a_default_that_is_no_model(load):
    """The hint says what there is: no command of models runs before that line is mended."""
    with pytest.raises(UsageError, match="no model 'qwen' in") as caught:
        load(BASE.replace('default = "small"', 'default = "qwen"'))
    assert caught.value.hint == "there are: small"


def test_a_later_file_changes_single_keys(load):
    """A file laid over another replaces the keys it names, adds models, and keeps the rest."""
    catalogue = load(
        BASE,
        'default = "mine"\n[models.small.defaults]\ntau = 2\n'
        '[models.small.source]\nversion = "1.1"\n'
        '[models.mine]\nsource = { type = "path", path = "/m.gguf" }\n',
    )
    small = catalogue.find("small")
    assert small.defaults == {"tau": 2.0, "patience": 7}
    assert (small.source.version, small.source.size) == ("1.1", 1000)
    assert small.licence == "MIT"
    assert catalogue.default == "mine"
    assert catalogue.find("mine").source == PathSource(path=Path("/m.gguf"))


def test_another_type_of_source_replaces_the_whole(load):
    """A source of another type leaves nothing of the earlier one behind."""
    over = '[models.small.source]\ntype = "path"\npath = "/m.gguf"\n'
    assert load(BASE, over).find("small").source == PathSource(path=Path("/m.gguf"))


def test_a_model_may_be_called_type(load):
    """`type` chooses among sources only: as a name it is one like any other."""
    over = '[models.type]\nsource = { type = "path", path = "/m.gguf" }\n'
    assert set(load(BASE, over).entries) == {"small", "type"}


def test_a_file_on_the_hub(load):
    """What is left out is up to the hub; a split model is all its parts."""
    over = f"{IN_HUB}[models.p]\nsource = {{type='hub', repository='o/r', revision='{'a' * 40}', "
    over += "file='s/m-00001-of-00002.gguf'}\n[models.q]\ngigabytes = 2\nsource = {type='hub', "
    over += f"repository='o/r', file='m.gguf', sha256='{SHA256.upper()}', size=7}}"
    catalogue = load(BASE, over)
    assert catalogue.find("n").source == HubSource(repository="o/r", file="m.gguf")
    split = catalogue.find("p").source
    assert (split.revision, split.basename) == ("a" * 40, "m-00001-of-00002.gguf")
    assert split.files == ("s/m-00001-of-00002.gguf", "s/m-00002-of-00002.gguf")
    pinned = catalogue.find("q")
    assert (pinned.source.sha256, pinned.source.size, pinned.gigabytes) == (SHA256, 7, 2.0)


def test_a_file_behind_an_address(load):
    """Its name is the end of the address."""
    over = f"{URL}url = 'https://h.org:1/a/m.gguf?x=1'\nsha256 = '{SHA256}'\nsize = 7"
    assert load(BASE, over).find("n").source == UrlSource(
        url="https://h.org:1/a/m.gguf?x=1", file="m.gguf", sha256=SHA256, size=7
    )


def test_paths_count_from_their_file(load, tmp_path, monkeypatch):
    """A relative path starts at the folder of the file that gives it, `~` at the user's home."""
    monkeypatch.setenv("HOME", "/home/someone")
    over = (
        '[models.a]\nsource = { type = "path", path = "sub/m.gguf" }\n'
        '[models.b]\nsource = { type = "path", path = "~/m.gguf" }\n'
        '[models.c]\nsource = { type = "path", path = "~no-such-user/m.gguf" }\n'
    )
    catalogue = load(BASE, over)
    assert catalogue.find("a").source.path == tmp_path / "sub" / "m.gguf"
    assert catalogue.find("b").source.path == Path("/home/someone/m.gguf")
    assert catalogue.find("c").source.path == tmp_path / "~no-such-user" / "m.gguf"


HUB = "[models.n.source]\ntype = 'hub'\n"
IN_HUB = f"{HUB}repository = 'o/r'\nfile = 'm.gguf'\n"
URL = "[models.n.source]\ntype = 'url'\n"

# Each is laid over BASE: the text, the line it is wrong on, the message, the hint.
WRONG = {
    "syntax": ("\n\nx = \n", 3, "Invalid value", "toml.io"),
    "syntax at the end": ('\nx = "', 2, "nterminated string", "toml.io"),
    "top": ('\nmodel = 1\n', 2, "no key 'model' here", "did you mean 'models'?"),
    "unknown": ("[models.small]\n\nalias = 1\n", 3, "no key 'alias' here", "'aliases'?"),
    "nothing near": ("[models.small]\nzz = 1\n", 2, "no key 'zz' here", "there are: aliases, "),
    "commented": ("# tau\n[models.small] # x\n# y\nlicense = 1 # z\n", 4, "license", "'licence'?"),
    "dotted": ("models.small.licence = 3\n", 1, "licence is 3", "string in quotes"),
    "inline": ("[models]\nsmall = { licence = 3 }\n", 2, "licence is 3", "string"),
    "quoted": ('[models."small"]\n"licence" = 3\n', 2, "licence is 3", "string"),
    "after a long value": (
        '[models.small]\ndescription = """\nlicence = 3\n"""\naliases = [\n "b",\n]\nlicence = 4\n',
        8,
        "licence is 4",
        "string",
    ),
    "start of a long value": (
        '[models.small]\n\nsystem = [\n  "a",\n  "b",\n]\n',
        3,
        "system is ['a', 'b']",
        "string",
    ),
    "dot in a name": (
        '[models.qwen-0.6b]\nlicence = "MIT"\n',
        1,
        "no key '6b' here",
        'needs quotes: [models."qwen-0.6b"]',
    ),
    "no table": ("[models]\n\nsmall = 1\n", 3, "small is 1", "table: [models.small]"),
    "name": ('[models."../up"]\n', 1, "wrong name: '../up'", "letters, digits"),
    "name like a file": ('[models."x.gguf"]\n', 1, "x.gguf", "no file name"),
    "name with a line break": ('[models."x\\n"]\n', 1, "wrong name: 'x\\n'", "letters, digits"),
    "no source": ('[models.new]\nlicence = "MIT"\n', 1, "[models.new] needs 'source'", ""),
    "source without type": (
        '[models.new]\n[models.new.source]\npath = "x"\n',
        2,
        "[models.new.source] needs 'type'",
        "",
    ),
    "type": ('[models.small]\nsource.type = "ftp"\n', 2, "wrong type: 'ftp'", "'url' or 'path'"),
    "key of another type": (
        '[models.small.source]\npath = "/m"\n',
        2,
        "no key 'path' here",
        "there are: type, package",
    ),
    "aliases": ("[models.small]\naliases = 's'\n", 2, "aliases is 's'", '["one", "two"]'),
    "one alias": ("[models.small]\naliases = ['s', 1]\n", 2, "aliases is", '["one", "two"]'),
    "alias": ("[models.small]\naliases = ['a/b']\n", 2, "wrong alias: 'a/b'", "letters"),
    "alias twice": (
        '[models.new]\nsource = {type="path", path="/m"}\naliases = ["n", "tiny"]\n',
        3,
        "'tiny' already names the model 'small'",
        "differ",
    ),
    "alias as name": (
        '\n[models.tiny]\nsource = {type="path", path="/m"}\n',
        2,
        "'tiny' already names the model 'small'",
        "differ",
    ),
    "setting": ("[models.small.defaults]\npatienc = 1\n", 2, "patienc", "'patience'?"),
    "range": ("[models.small.defaults]\n\npatience = 0\n", 3, "patience is 0", "at least 1"),
    "not finite": ("[models.small.defaults]\ntau = nan\n", 2, "tau is nan", "a number"),
    "bool": ("[models.small.defaults]\ntopn = true\n", 2, "topn is true", "whole number"),
    "context": ("[models.small]\ncontext = 0\n", 2, "context is 0", "at least 1"),
    "context bool": ("[models.small]\ncontext = true\n", 2, "context is true", "at least 1"),
    "tag": ('[models.small.think]\nclose = " "\n', 2, "wrong close: ' '", "a tag"),
    "tag key": ('[models.small.think]\nend = "x"\n', 2, "no key 'end'", "open, close"),
    "closing": ('[models.small]\nclosing = "x"\n', 2, "no key", "below [models.small.defaults]"),
    "closing tag": ('[models.small.think]\nclosing = "x"\n', 2, "closing", "it is a setting: it"),
    "long words": (f'[models.small.defaults]\nclosing = "{"a" * 201}"\n', 2, "closing is", "200"),
    "default": ('default = "smal"\n', 1, "no model 'smal'", "'small'?"),
    "size": ("[models.small.source]\nsize = 0\n", 2, "size is 0", "at least 1"),
    "size as text": ("[models.small.source]\nsize = '9'\n", 2, "size is '9'", "whole number"),
    "sha256": (f'[models.small.source]\nsha256 = "{SHA256[1:]}"\n', 2, "wrong sha256: ", "64 hex"),
    "sha256 of g": (f'[models.small.source]\nsha256 = "{"g" * 64}"\n', 2, ": 'gg", "64 hex"),
    "up": ('[models.small.source]\nfile = "../m.gguf"\n', 2, "'../m.gguf'", "inside"),
    "up inside": ('[models.small.source]\nfile = "a/../m.gguf"\n', 2, "wrong file: ", "inside"),
    "root": ('[models.small.source]\nfile = "/m.gguf"\n', 2, "'/m.gguf'", "inside"),
    "backslash": ("[models.small.source]\nfile = 'a\\m.gguf'\n", 2, "wrong file: ", "inside"),
    "hidden": ('[models.small.source]\nfile = "a/.m.gguf"\n', 2, "'a/.m.gguf'", "inside"),
    "no gguf": ('[models.small.source]\nfile = "m.bin"\n', 2, "'m.bin'", ".gguf"),
    "option": ('[models.small.source]\npackage = "-r/x"\n', 2, "'-r/x'", "name alone"),
    "url": ('[models.small.source]\npackage = "p @ http://x"\n', 2, "'p @ http", "name alone"),
    "version": ('[models.small.source]\nversion = ">=1"\n', 2, "'>=1'", "one version"),
    "null": ('[models.n]\nsource = {type="path", path="\\u0000"}\n', 2, "wrong path: ", "a path"),
    "repository": (f"{HUB}file = 'm.gguf'\nrepository = 'org'", 4, ": 'org'", "organisation/name"),
    "repository up": (f"{HUB}file = 'm.gguf'\nrepository = '../..'", 4, "repository: '../..'", ""),
    "hub file": (f"{HUB}repository = 'o/r'\nfile = '../m.gguf'", 4, "wrong file", "inside"),
    "revision": (f"{IN_HUB}revision = '-x'", 5, "wrong revision: '-x'", "a commit or a branch"),
    "hub sha256": (f"{IN_HUB}sha256 = 'x'", 5, "wrong sha256", "64 hex"),
    "later part": (
        f"{HUB}repository = 'o/r'\nfile = 'm-00002-of-00003.gguf'", 4, "part 2 of 3", "the first",
    ),
    "sha256 of a split model": (
        f"{HUB}repository = 'o/r'\nfile = 'm-00001-of-00002.gguf'\nsha256 = '{SHA256}'",
        5, "has no one sha256", "leave it out",
    ),
    "plain http": (f"{URL}url = 'http://h/m.gguf'", 3, "wrong url", "https://host/"),
    "password": (f"{URL}url = 'https://u:p@h/m.gguf'", 3, "wrong url", "without a password"),
    "no model's address": (f"{URL}url = 'https://h/'", 3, "wrong url", "model.gguf"),
    "address without sha256": (f"{URL}url = 'https://h/m.gguf'", 1, "needs 'sha256'", ""),
    "gigabytes": ("[models.small]\ngigabytes = 0", 2, "gigabytes is 0", "a number above 0"),
    "gigabytes without end": ("[models.small]\ngigabytes = inf", 2, "gigabytes is inf", "above 0"),
    "huge": (f"x = {'9' * 5000}\n", 1, "digits", "toml.io"),
    "dotted without end": (f"\nx = 1\n{'a.' * 200_000}b = 1\n", 3, "100 names within", "toml.io"),
    "tables without end": ('[a."b"' + '."b".c' * 99 + "]\n", 1, "100 names within", "toml.io"),
    "deep in an array": (f"x = {'[' * 150}1{']' * 150}\n", 1, "no key 'x'", "models"),
    "huge in hex": (f"[models.a]\nx = [{{y = 0x{'f' * 9000}}}]", 2, "x is larger", "64 bits"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message", "hint"), WRONG.values(), ids=WRONG.keys())
def test_wrong(load, tmp_path, text, line, message, hint):
    """Each mistake is named with its file and line, and with what is right."""
    with pytest.raises(UsageError) as caught:
        load(BASE, text)
    assert caught.value.message.startswith(f"{tmp_path / '1.toml'}:{line}: ")
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.message.isprintable()
    assert caught.value.hint.isprintable()


def test_the_file_that_is_wrong_is_named(load, tmp_path):
    """A mistake in the lower file is reported there, unless the upper one has put it right."""
    wrong = BASE.replace("patience = 7", "patience = 0")
    with pytest.raises(UsageError) as caught:
        load(wrong, "[models.small.defaults]\ntau = 2\n")
    assert caught.value.message.startswith(f"{tmp_path / '0.toml'}:17: patience is 0")
    righted = load(wrong, "[models.small.defaults]\npatience = 5\n")
    assert righted.find("small").defaults["patience"] == 5


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("", "this file needs 'models'"),
        (BASE.replace("default =", "#"), "this file needs 'default'"),
    ],
)
def test_a_file_that_says_too_little(load, text, needs):
    """Without models, or without a default among them, there is nothing to go by."""
    with pytest.raises(UsageError, match=needs):
        load(text)


def test_line_breaks_of_windows(load, tmp_path):
    """A file with a byte order mark and CRLF reads the same, with the same lines."""
    text = "\ufeff" + BASE.replace("patience = 7", "patience = 0").replace("\n", "\r\n")
    (tmp_path / "crlf.toml").write_bytes(text.encode())
    with pytest.raises(UsageError, match=r"crlf\.toml:17: patience is 0"):
        load_catalogue([tmp_path / "crlf.toml"])


def test_not_text(tmp_path):
    """A file that is not UTF-8 is refused with the line of the byte."""
    (tmp_path / "latin.toml").write_bytes(b"# one\n# caf\xe9\n")
    with pytest.raises(UsageError, match=r"latin\.toml:2: not valid UTF-8"):
        load_catalogue([tmp_path / "latin.toml"])


def test_not_a_file(tmp_path):
    """A file that cannot be read is refused by name."""
    with pytest.raises(UsageError, match="cannot read"):
        load_catalogue([tmp_path])


def test_no_end_of_nesting(load):
    """A file that nests without end is a mistake like any other."""
    with pytest.raises(UsageError, match=r"0\.toml:1: "):
        load("x = " + "[" * 100_000)


def test_a_line_is_found_by_halves(load, monkeypatch):
    """Of 4,000 lines a dozen beginnings are read, not each."""
    reads = []
    parse = tomllib.loads
    monkeypatch.setattr(tomllib, "loads", lambda text: reads.append(text) or parse(text))
    one = "[models.m{}]\nsource = {{type = 'path', path = 'x'}}\n"
    many = "".join(one.format(i) for i in range(2000))
    with pytest.raises(UsageError, match=r"1\.toml:4001: no key 'zz'"):
        load(BASE, f"{many}zz = 1\n")
    assert len(reads) < 40


def test_which_files(tmp_path):
    """The user's own file is laid over the shipped one; SOFTCHAT_MODELS names another instead."""
    home = {"SOFTCHAT_HOME": str(tmp_path)}
    (shipped,) = default_files(home)
    own, other = tmp_path / "models.toml", tmp_path / "other.toml"
    own.touch()
    assert default_files(home) == [shipped, own]
    with pytest.raises(UsageError, match=r"no file .*other\.toml"):
        default_files(home | {"SOFTCHAT_MODELS": str(other)})
    other.touch()
    assert default_files(home | {"SOFTCHAT_MODELS": str(other)}) == [shipped, other]


def test_where_the_shipped_file_is(tmp_path, monkeypatch):
    """It is in the package where that was installed, beside it in a working copy."""
    package = tmp_path / "softchat"
    package.mkdir()
    monkeypatch.setattr(catalogue, "_ROOT", package)
    home = {"SOFTCHAT_HOME": str(tmp_path / "home")}
    assert default_files(home) == [tmp_path / "models.toml"]
    (package / "models.toml").touch()
    assert default_files(home) == [package / "models.toml"]


def test_the_shipped_file(tmp_path):
    """The shipped models.toml is valid, and its default needs no hub."""
    catalogue = load_catalogue(default_files({"SOFTCHAT_HOME": str(tmp_path)}))
    entry = catalogue.find(catalogue.default)
    assert entry.name == "smollm2-135m"
    assert entry is catalogue.find("smollm2")
    assert isinstance(entry.source, WheelSource)
    assert (entry.source.size, entry.source.sha256) == (98362432, SHA256)
    assert {"tau", "patience", "topn", "max_think"} <= entry.defaults.keys()


FRAGMENTS = [
    "..",
    "/",
    "\\",
    ".",
    "~",
    "C:",
    "a",
    "x.gguf",
    "\0",
    "\n",
    "\x1b[2J",
    "\x9b",
    "\u202e",
]
hostile = st.lists(st.sampled_from(FRAGMENTS), max_size=6).map("".join) | st.text(max_size=20)
shas = st.just(SHA256) | st.text("0123456789abcdefABCDEF", min_size=64, max_size=64) | hostile


@settings(max_examples=times(100, 1000))
@given(name=hostile, file=hostile, sha256=shas)
@example(name="good", file="a/b/good.gguf", sha256=SHA256.upper())
@example(name="good", file="../../x.gguf", sha256=SHA256)
@example(name="good", file="a/x.gguf", sha256="../" * 5 + "a" * 49)
@example(name="..", file="a/x.gguf", sha256=SHA256)
def test_nothing_leads_outside_the_store(tmp_path_factory, name, file, sha256):
    """Whatever a models.toml says: it is refused in printable words, or stays in the store."""
    folder = tmp_path_factory.getbasetemp()
    # A string of JSON is one of TOML too, where it is legal at all.
    name_, file_, sha256_ = (json.dumps(text, ensure_ascii=False) for text in (name, file, sha256))
    table = f"""
[models.{name_}.source]
type = "wheel"
package = "p"
version = "1"
file = {file_}
sha256 = {sha256_}
size = 1
"""
    models = folder / "hostile.toml"
    models.write_text(f"default = {name_}\n{table}", encoding="utf-8", errors="replace")
    refused = None
    try:
        entry = load_catalogue([models]).find(name)
    except UsageError as error:
        refused = error
    if refused:
        assert not CONTROLS.search(refused.message + refused.hint)
        assert (name, file) != ("good", "a/b/good.gguf")
        return
    path = Store(root=folder / "store").path_of(entry.source)
    assert path.resolve().parent.parent == folder / "store"
    assert str(path).isprintable()
    assert path.suffix == ".gguf"


def test_what_every_shipped_model_says(tmp_path):
    """Whoever looks for a model finds its size, licence and settings without fetching it."""
    for entry in user_catalogue({"SOFTCHAT_HOME": str(tmp_path)}).entries.values():
        assert entry.description
        assert entry.licence
        assert entry.gigabytes or entry.source.size
        assert {"tau", "patience", "topn", "max_think"} & entry.defaults.keys()
        room = entry.defaults.get("max_think", 0) + entry.defaults.get("max_answer", 0)
        assert room < entry.context
