"""The folder of fetched files: nothing wrong under a final name, nothing left behind."""

from __future__ import annotations

import hashlib
import os
import stat
import time

import pytest

from softchat.errors import ModelRefusedError
from softchat.models.entry import PinnedFile
from softchat.models.store import Store, default_store


def pinned(content, name="tiny.gguf"):
    """The description of a file with this content."""
    return PinnedFile(
        file=f"folder/{name}", sha256=hashlib.sha256(content).hexdigest(), size=len(content)
    )


def files_in(store):
    """Every file of the store, final or not."""
    return [path for path in store.root.rglob("*") if path.is_file()]


def test_what_is_kept_is_found(store):
    """A file that was kept is found, with its content."""
    file = pinned(b"GGUF and more")
    assert store.find(file) is None
    path = store.keep(file, [b"GGUF", b" and ", b"more"])
    assert store.find(file) == path
    assert path.read_bytes() == b"GGUF and more"
    assert files_in(store) == [path]


@pytest.mark.parametrize(
    ("chunks", "says"),
    [
        ([b"GGUF", b"!"], "ends after 5 of 6 bytes"),
        ([], "ends after 0 of 6 bytes"),
        ([b"GGUF", b"!!", b"!"], "longer than 6 bytes"),
        ([b"GGUF", b"!?"], "sha256"),
    ],
)
def test_another_file_gets_no_name(store, chunks, says):
    """Content that is too short, too long or other than described is refused and leaves nothing."""
    with pytest.raises(ModelRefusedError, match=says):
        store.keep(pinned(b"GGUF!!"), chunks)
    assert list(store.root.iterdir()) == []


def test_a_flood_is_cut_off(store):
    """No more is taken than the described size, however much would come."""
    taken = []

    def flood():
        while True:
            taken.append(len(taken))
            yield b"x" * 1000

    with pytest.raises(ModelRefusedError, match="longer"):
        store.keep(pinned(b"x" * 2500), flood())
    assert len(taken) == 3


def test_a_final_name_appears_last(store):
    """While the content is being written there is no file of that name."""
    file = pinned(b"GGUF!!")
    seen = []

    def chunks():
        for chunk in (b"GGUF", b"!!"):
            yield chunk
            seen.append(store.path_of(file).exists())

    assert store.keep(file, chunks()).exists()
    assert seen == [False, False]


def test_a_file_that_lost_bytes_is_not_found(store):
    """A kept file that has not its size any more counts as absent."""
    file = pinned(b"GGUF!!")
    store.keep(file, [b"GGUF!!"]).write_bytes(b"GGUF")
    assert store.find(file) is None
    assert store.keep(file, [b"GGUF!!"]).read_bytes() == b"GGUF!!"


def test_same_name_other_content(store):
    """Two files of one name but of other content are kept apart, even at equal size."""
    old, new = pinned(b"GGUF old"), pinned(b"GGUF new")
    store.keep(old, [b"GGUF old"])
    assert store.find(new) is None
    store.keep(new, [b"GGUF new"])
    assert store.path_of(old).read_bytes() == b"GGUF old"


def test_all_of_it_is_private(store):
    """Folders are 0700 and files 0600, whatever the umask."""
    before = os.umask(0)
    try:
        path = store.keep(pinned(b"GGUF!!"), [b"GGUF!!"])
        with store.workspace() as folder:
            workspace_mode = stat.S_IMODE(folder.stat().st_mode)
    finally:
        os.umask(before)
    assert workspace_mode == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (path.parent, store.root, store.root.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, SystemExit])
def test_a_workspace_goes_whatever_happens(store, error):
    """A workspace and all in it are gone afterwards, also after Ctrl-C."""

    def fail_in_workspace():
        with store.workspace() as folder:
            (folder / "part").write_bytes(b"x")
            assert folder.parent == store.root
            raise error

    with pytest.raises(error):
        fail_in_workspace()
    assert list(store.root.iterdir()) == []


def test_what_a_killed_process_left_is_swept(store):
    """A workspace of over a day ago is cleared by the next; a younger one is someone's at work."""
    old, young = store.root / ".tmp-old", store.root / ".tmp-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "part").write_bytes(b"x")
    day_ago = time.time() - 25 * 3600
    os.utime(old, (day_ago, day_ago))
    with store.workspace():
        assert not old.exists()
        assert young.exists()


def test_one_variable_moves_it(tmp_path):
    """SOFTCHAT_HOME is where the store is; else it is in the system's folder for caches."""
    assert default_store({"SOFTCHAT_HOME": str(tmp_path)}).root == tmp_path / "models"
    elsewhere = default_store({"SOFTCHAT_HOME": ""}).root
    assert elsewhere == default_store({}).root
    assert elsewhere.is_absolute()
    assert "softchat" in elsewhere.parts


def test_a_relative_home_does_not_move(in_empty_folder, monkeypatch):
    """A SOFTCHAT_HOME relative to the current folder stays when the current folder changes."""
    store = default_store({"SOFTCHAT_HOME": "home"})
    monkeypatch.chdir("/")
    assert store == Store(root=in_empty_folder / "home" / "models")
