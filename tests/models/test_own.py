"""The user's own models.toml, changed by commands."""

from __future__ import annotations

import stat
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from softchat.errors import ModelError, ModelNotFoundError, SoftchatError, UsageError
from softchat.models import own
from softchat.models.catalogue import load_catalogue, shipped_file
from softchat.models.entry import HubSource, PathSource, UrlSource
from softchat.models.own import (
    add_model,
    check_free,
    defaults_text,
    forget_model,
    read_source,
    set_defaults,
    use_model,
)
from tests.terminal import CONTROLS

HUB = HubSource(repository="org/repo", file="sub/m.gguf")
URL = UrlSource(url="https://h.org/m.gguf?x=1", file="m.gguf", sha256="a" * 64, size=7)

# A user's file as it may be: a default or none, tables in any order and form.
FORMS = {
    "nothing": "",
    "a comment": "# mine\n",
    "tables": '# top\ndefault = "a" # why\n\n[models.a]\n'
    'source = {type="path",path="/a"} # c\n# end\n',
    "out of order": '[models.a.source]\ntype="path"\npath="/a"\n[models.b.source]\ntype="path"\n'
    'path="/b"\n[models.a.defaults]\ntau=1\n# end',
    "one table": '[models]\na = {source = {type="path",path="/a"}}\n# tail\n',
    "windows": 'default = "a"\r\n[models.a]\r\nsource = {type="path",path="/a"}\r\n',
}


@pytest.fixture
def file(tmp_path):
    """Where it is; not there yet."""
    return tmp_path / "config" / "models.toml"


def write(file, text):
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text.encode())


def load(file):
    return load_catalogue([shipped_file(), file])


def comments(text):
    return [part.split("\n")[0].strip() for part in text.split("#")[1:]]


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("source", [HUB, URL, PathSource(path=Path("/x/ü b.gguf"))])
def test_added_and_used_and_forgotten(file, text, source):
    """Whatever the form of the file: the change is made, all else stays, comments too."""
    write(file, text)
    before = tomllib.loads(text)
    add_model(file, "q-0.6b", source)
    use_model(file, "q-0.6b")
    found = load(file)
    assert found.default == "q-0.6b"
    assert found.find("q-0.6b").source == source
    changed = tomllib.loads(file.read_text())
    assert {k: v for k, v in changed["models"].items() if k != "q-0.6b"} == before.get("models", {})
    assert comments(file.read_text()) == comments(text)
    use_model(file, "smollm2-135m")
    assert forget_model(file, "q-0.6b")
    assert not forget_model(file, "q-0.6b")
    after = tomllib.loads(file.read_text())
    assert after.get("models", {}) == before.get("models", {})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["models.toml"]


Q, R = (f'source = {{type = "path", path = "/{name}"}}\n' for name in "qr")
SPLIT = '[models.q.source]\ntype = "path"\npath = "/q"\n'
NOTED = {
    "a note on the next": (
        f"# top\n\n# on q\n[models.q]\n# in q\n{Q}\n# my notes on r\n[models.r]\n{R}",
        f"# top\n\n# my notes on r\n[models.r]\n{R}",
    ),
    "the end of the file": (
        f"[models.r]\n{R}\n[models.q]\n{Q}# to do\n",
        f"[models.r]\n{R}\n# to do\n",
    ),
    "several headers": (
        f"{SPLIT}# on defaults\n[models.q.defaults]\ntau = 1 # x\n\n# on r\n[models.r]\n{R}",
        f"# on r\n[models.r]\n{R}",
    ),
    "out of order": (
        f"{SPLIT}# on r\n\n[models.r]\n{R}\n[models.q.defaults]\ntau = 1\n# end",
        f"# on r\n\n[models.r]\n{R}\n# end",
    ),
    "windows": (
        f"[models.q]\n{Q}# on r\n[models.r]\n{R}".replace("\n", "\r\n"),
        f"# on r\n[models.r]\n{R}".replace("\n", "\r\n"),
    ),
    "in a table": (
        f"[models]\nq.{Q}# on r\nr.{R}# end\n",
        f"[models]\n# on r\nr.{R}# end\n",
    ),
}


@pytest.mark.parametrize("form", NOTED)
def test_comments_behind_a_forgotten_model_stay(file, form):
    """They may be on what follows; those on the model itself go with it."""
    text, left = NOTED[form]
    write(file, text)
    assert forget_model(file, "q")
    assert file.read_bytes().decode() == left


def test_what_looks_like_a_header_is_no_table(file, monkeypatch):
    """In the text of a value it is left alone."""
    about = "about = '''\n[models.q]\nx = 1\n'''\n"
    write(file, f"[models.q]\n{Q}[models.r]\n{R}{about}")
    monkeypatch.setattr(own, "load_catalogue", lambda _: None)  # which has no such setting
    assert forget_model(file, "q")
    assert file.read_text() == f"[models.r]\n{R}{about}"


def test_several_at_once_lose_nothing(file):
    """What is read, changed and written by one is not read by another meanwhile."""
    source = PathSource(path=Path("/models/a.gguf"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add_model(file, f"m{number}", source), range(24)))
    known = load_catalogue([shipped_file(), file])
    assert all(known.get(f"m{number}") for number in range(24))
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda number: forget_model(file, f"m{number}"), range(24)))
    known = load_catalogue([shipped_file(), file])
    assert not any(known.get(f"m{number}") for number in range(24))


def test_made_where_there_was_none(file):
    """The file and its folder are made, for the user alone."""
    add_model(file, "m", HUB)
    use_model(file, "m")
    assert file.read_text().endswith(
        'default = "m"\n\n[models.m]\n'
        'source = {type = "hub", repository = "org/repo", file = "sub/m.gguf"}\n'
    )
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_pinned_revision_is_written_down(file):
    """Another branch or commit than main stays with the model."""
    source = HubSource(repository="o/r", file="m.gguf", revision="0" * 40)
    add_model(file, "m", source)
    assert load(file).find("m").source == source


@pytest.mark.parametrize(
    ("name", "source", "says"),
    [
        ("smollm2", HUB, "there is a model 'smollm2' already"),
        ("a", HUB, "there is a model 'a' already"),
        ("no/name", HUB, "a model can't be called 'no/name'"),
        ("\x1b[2J", HUB, "can't be called '␛[2J'"),
        ("m.gguf", HUB, "can't be called"),
        ("m", HubSource(repository="org", file="m.gguf"), "wrong repository: 'org'"),
        ("m", HubSource(repository="../..", file="m.gguf"), "wrong repository"),
        ("m", HubSource(repository="o/r", file="../m.gguf"), "wrong file: '../m.gguf'"),
        ("m", HubSource(repository="o/r", file="/etc/m.gguf"), "wrong file"),
        ("m", HubSource(repository="o/r", file="m-00002-of-00003.gguf"), "part 2 of 3"),
        ("m", HubSource(repository="o/r", file="m.gguf", revision="../x"), "wrong revision"),
        ("m", PathSource(path=Path("/x/\udcff.gguf")), "a name that is not UTF-8"),
    ],
)
def test_what_would_be_wrong_is_not_written(file, name, source, says):
    """The file is as it was, to the byte; the message names it, and no other."""
    write(file, FORMS["tables"])
    with pytest.raises(UsageError) as caught:
        add_model(file, name, source)
    assert says in caught.value.message
    assert ".tmp-" not in caught.value.message
    assert file.read_text() == FORMS["tables"]
    assert [path.name for path in file.parent.iterdir()] == ["models.toml"]


def test_a_default_is_not_forgotten(file):
    """What the file itself names as the default must stay."""
    write(file, FORMS["tables"])
    with pytest.raises(UsageError, match="no model 'a'"):
        forget_model(file, "a")
    assert file.read_text() == FORMS["tables"]


def test_a_form_that_cannot_be_changed_safely(file):
    """What the library for TOML would spoil is left to the user."""
    text = 'models.a.source.type = "path"\nmodels.a.source.path = "/a" # x\n'
    write(file, text)
    with pytest.raises(UsageError, match="cannot change") as caught:
        add_model(file, "q", HUB)
    assert "by hand" in caught.value.hint
    assert file.read_text() == text


def test_a_broken_file_is_left_alone(file):
    """What can't be read is not written over."""
    write(file, "[models")
    for change in (lambda: use_model(file, "smollm2"), lambda: check_free(file, "m")):
        with pytest.raises(UsageError):
            change()
    assert file.read_text() == "[models"


def test_a_link_stays_a_link(file, tmp_path):
    """Those who keep their files elsewhere find them changed there."""
    kept = tmp_path / "dotfiles.toml"
    kept.write_text("# kept\n")
    file.parent.mkdir()
    file.symlink_to(kept)
    use_model(file, "smollm2-135m")
    assert file.is_symlink()
    assert kept.read_text() == '# kept\ndefault = "smollm2-135m"\n'


def test_a_link_in_a_circle_is_refused(file):
    """As the file, and as its folder."""
    file.parent.mkdir()
    file.symlink_to(file)
    for path in (file, file / "models.toml"):
        with pytest.raises(UsageError, match=r"cannot write .*: Too many levels of symbolic links"):
            use_model(path, "smollm2-135m")
    assert file.is_symlink()


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("org/repo/m.gguf", HubSource(repository="org/repo", file="m.gguf")),
        ("org/repo/sub/m.gguf", HUB),
        ("hub:org/repo:sub/m.gguf", HUB),
        ("hub/org/repo/sub/m.gguf", HUB),
        (f"{constants.ENDPOINT}/org/repo/resolve/main/sub/m.gguf?download=true", HUB),
        (f"{constants.ENDPOINT}/org/repo/blob/main/sub/m.gguf", HUB),
        (
            f"{constants.ENDPOINT}/org/repo/resolve/abc/m.gguf",
            HubSource(repository="org/repo", file="m.gguf", revision="abc"),
        ),
        ("https://h.org/m.gguf?x=1", replace(URL, sha256="", size=0)),
    ],
)
def test_how_a_source_is_given(in_empty_folder, text, source):
    """Each way to name a file that is not here."""
    assert read_source(text, {}) == source


def test_a_file_that_is_here_is_that_file(in_empty_folder):
    """A path that looks like a repository's file is the file, if there is one."""
    path = in_empty_folder / "org/repo/m.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF")
    for text in ("org/repo/m.gguf", "./org/repo/m.gguf", str(path)):
        assert read_source(text, {}) == PathSource(path=path)


def test_a_model_of_another_program(in_empty_folder, monkeypatch):
    """It is named as the list names it, and is the file in that program's folder."""
    monkeypatch.setenv("HOME", str(in_empty_folder))
    path = in_empty_folder / ".lmstudio/models/org/repo/m.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF")
    assert read_source("lmstudio/org/repo/m.gguf", {}) == PathSource(path=path)
    with pytest.raises(ModelNotFoundError, match=r"no model 'lmstudio/org/repo/n\.gguf'"):
        read_source("lmstudio/org/repo/n.gguf", {})


@pytest.mark.parametrize(
    ("text", "error", "hint"),
    [
        ("http://h.org/m.gguf", UsageError, "https://host/folder/model.gguf"),
        ("https://user:secret@h.org/m.gguf", UsageError, "https://host"),
        ("https://h.org/m.bin", UsageError, "https://host"),
        ("file:///etc/m.gguf", UsageError, "https://host"),
        ("./none.gguf", ModelNotFoundError, "ORG/REPO/FILE.gguf"),
        ("none", ModelNotFoundError, "ORG/REPO/FILE.gguf"),
    ],
)
def test_what_is_no_source(in_empty_folder, text, error, hint):
    """One line, and what would be right."""
    with pytest.raises(error) as caught:
        read_source(text, {})
    assert hint in caught.value.hint


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    repository=st.text(st.characters(), max_size=20)
    | st.from_regex(r"[a.\-/]{1,8}/[a.\-/]{1,8}", fullmatch=True),
    name=st.text(st.characters(), max_size=20)
    | st.from_regex(r"[a./\-\\]{1,12}\.gguf", fullmatch=True),
)
@example(repository="../..", name="../../m.gguf")
@example(repository="a/b", name="a/../../../m.gguf")
@example(repository="a/b--c", name="m.gguf")
def test_no_name_leads_out_of_the_cache(tmp_path, repository, name):
    """What is accepted stays in the repository's own folder of the hub's cache."""
    from huggingface_hub.file_download import repo_folder_name

    file = tmp_path / "models.toml"
    file.unlink(missing_ok=True)
    try:
        add_model(file, "m", HubSource(repository=repository, file=name))
    except SoftchatError as error:
        shown = error.message
        assert not CONTROLS.search(shown)
        return
    source = load(file).find("m").source
    root = tmp_path / "cache"
    folder = root / repo_folder_name(repo_id=source.repository, repo_type="model")
    for part in source.files:
        path = folder / "snapshots" / "0" / part
        assert ".." not in path.parts
        assert path.is_relative_to(folder)
        assert folder.parent == root


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(st.characters(), max_size=40))
@example("hub:/:")
@example("~nobody/x")
@example("a\0b")
def test_no_source_is_a_surprise(in_empty_folder, text):
    """Whatever is given: a source, or an error in printable words."""
    shown = ""
    try:
        read_source(text, {})
    except (UsageError, ModelError) as error:
        shown = error.message + error.hint
    assert not CONTROLS.search(shown)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_settings_fit_into_any_form(file, form):
    """Whatever a user's file looks like, what it said is still said."""
    file.parent.mkdir()
    file.write_text(form, newline="")
    before = tomllib.loads(form)
    set_defaults(file, "smollm2-135m", {"topn": 3})
    after = tomllib.loads(file.read_text())
    assert after["models"].pop("smollm2-135m") == {"defaults": {"topn": 3}}
    assert {k: v for k, v in after.items() if v} == {k: v for k, v in before.items() if v}


def test_settings_are_set_beside_what_is_there(tmp_path):
    """Comments, other settings and other models stay, whichever way a table is written."""
    file = tmp_path / "models.toml"
    file.write_text(
        'default = "smollm2-plain" # why\n\n'
        "[models.smollm2-135m.defaults]\npatience = 12 # short\ntau = 0.3\n"
        "[models.smollm2-plain]\ndefaults = { tau = 0.1 } # inline\n"
    )
    set_defaults(file, "smollm2-135m", {"strategy": "selar", "patience": 3})
    set_defaults(file, "smollm2-plain", {"topn": 3})
    text = file.read_text()
    for kept in ("# why", "patience = 3 # short", "tau = 0.3", "# inline"):
        assert kept in text
    models = tomllib.loads(text)["models"]
    assert models["smollm2-135m"]["defaults"] == {"patience": 3, "tau": 0.3, "strategy": "selar"}
    assert models["smollm2-plain"]["defaults"] == {"tau": 0.1, "topn": 3}


def test_settings_of_a_new_file(tmp_path):
    """What `defaults_text` shows is what is written; a name with a dot is quoted."""
    file = tmp_path / "models.toml"
    values = {"strategy": "soft", "temperature": 1.0}
    set_defaults(file, "qwen3-0.6b", values)
    assert '[models."qwen3-0.6b".defaults]' in defaults_text("qwen3-0.6b", values)
    assert defaults_text("qwen3-0.6b", values) in file.read_text()


def test_settings_are_written_all_or_none(tmp_path, monkeypatch):
    """One replacement for all of them: whatever ends it in between leaves no half of them."""
    file = tmp_path / "models.toml"
    written = []
    monkeypatch.setattr(own, "_replace", lambda _, text: written.append(text))
    set_defaults(file, "smollm2-135m", {"strategy": "soft", "topn": 3, "tau": 0.5})
    (text,) = written
    defaults = tomllib.loads(text)["models"]["smollm2-135m"]["defaults"]
    assert defaults == {"strategy": "soft", "topn": 3, "tau": 0.5}
    monkeypatch.undo()
    with pytest.raises(UsageError, match="topn"):
        set_defaults(file, "smollm2-135m", {"tau": 0.5, "topn": 0})
    assert not file.exists()


def test_a_wrong_setting_is_not_written(tmp_path):
    """The file is read as softchat reads it before anything is replaced."""
    file = tmp_path / "models.toml"
    with pytest.raises(UsageError, match="topn"):
        set_defaults(file, "smollm2-135m", {"topn": 0})
    assert not file.exists()
