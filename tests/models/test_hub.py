"""The real client of the Hugging Face Hub, in a process of its own, against a hub on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from softchat.models.entry import HubSource
from tests.faults.soak import times
from tests.models.server import COMMIT, Served, serving

CONTENT = b"GGUF" + random.Random(1).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
TOKEN = "hf_secret"
KILLS = times(4, 50)


@pytest.fixture
def hub():
    """What the hub serves: one file of one repository."""
    return Served(files={"org/repo/m.gguf": CONTENT})


@pytest.fixture
def user(tmp_path, monkeypatch):
    """The environment of a user who has a model `m` on the hub in models.toml, and nothing else."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("SOFTCHAT_", "HF_"))}
    return mine | {
        "SOFTCHAT_HOME": str(home),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_TOKEN": TOKEN,
        "HF_HUB_ETAG_TIMEOUT": "5",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
        "PYTHONUTF8": "1",
    }


@pytest.fixture
def say(user, tmp_path):
    """A function that writes models.toml: `say(sha256="…")`."""

    def write(**more):
        source = {"type": "hub", "repository": "org/repo", "file": "m.gguf"} | more
        inside = ", ".join(f"{key} = {json.dumps(value)}" for key, value in source.items())
        (tmp_path / "home/models.toml").write_text(f"[models.m]\nsource = {{ {inside} }}\n")

    write()
    return write


@pytest.fixture
def run(user, tmp_path, say):
    """A function that runs softchat as that user."""

    def run_(*arguments, **variables):
        return subprocess.run(
            [sys.executable, "-m", "softchat", *arguments],
            env=user | variables,
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run_


def serve(stack, hub):
    """Serve it; the variables that point a client there."""
    return {"HF_ENDPOINT": stack.enter_context(serving(hub))}


def files_under(folder):
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".gitignore"]


def test_pulled_once(run, hub, stack, tmp_path):
    """It comes into the shared cache, verified; afterwards no hub is needed, nor asked."""
    there = serve(stack, hub)
    first = run("models", "pull", "m", **there)
    assert first.returncode == 0, first.stderr
    path = tmp_path / f"hf/hub/models--org--repo/snapshots/{COMMIT}/m.gguf"
    assert first.stdout == f"{path}\n"
    assert path.read_bytes() == CONTENT
    assert first.stderr == "downloading the model…\nverifying the model…\n"
    asked = len(hub.asked)
    for command in (("pull", "m"), ("path", "m")):
        again = run("models", *command, **there)
        assert (again.stdout, again.stderr) == (first.stdout, "")
    assert len(hub.asked) == asked
    assert "hub/org/repo/m.gguf" not in run("models", **there).stdout


def test_what_another_program_fetched_is_verified_and_used(run, hub, stack, tmp_path, user):
    """A file that is in the cache is not fetched again."""
    there = serve(stack, hub)
    fetch = "from huggingface_hub import hf_hub_download as d; d('org/repo', 'm.gguf')"
    subprocess.run([sys.executable, "-c", fetch], env=user | there, check=True, capture_output=True)
    hub.asked.clear()
    done = run("models", "pull", "m", **there)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "verifying the model…\n"
    assert [method for method, *_ in hub.asked if method == "GET"] == []


def test_offline_the_cache_will_do(run, hub, stack, user, tmp_path):
    """With HF_HUB_OFFLINE what the cache holds is verified by its blob's name; else it says why."""
    there = serve(stack, hub)
    missing = run("models", "pull", "m", HF_HUB_OFFLINE="1", **there)
    assert missing.returncode == 3
    assert "could not be fetched: the hub is off (HF_HUB_OFFLINE)" in missing.stderr
    fetch = "from huggingface_hub import hf_hub_download as d; d('org/repo', 'm.gguf')"
    subprocess.run([sys.executable, "-c", fetch], env=user | there, check=True, capture_output=True)
    done = run("models", "pull", "m", HF_HUB_OFFLINE="1", **there)
    assert done.returncode == 0, done.stderr
    blob = tmp_path / f"hf/hub/models--org--repo/blobs/{SHA256}"
    blob.write_bytes(OTHER)
    (tmp_path / "home/models/hub").rename(tmp_path / "records")
    refused = run("models", "pull", "m", HF_HUB_OFFLINE="1", **there)
    assert refused.returncode == 3
    assert "m.gguf is not the file that it should be" in refused.stderr
    assert not blob.exists()


@pytest.mark.parametrize(
    ("ranges", "wanted"), [(True, [None, "bytes=10485760-"]), (False, [None, "bytes=10485760-"])]
)
def test_a_download_that_breaks_off_goes_on(run, hub, stack, tmp_path, ranges, wanted):
    """The connection breaks; the file is whole in the end, also where parts can't be asked for."""
    hub.files["org/repo/m.gguf"] = CONTENT * 5  # the client writes 10 MiB at a time
    hub.cut_after, hub.cuts, hub.ranges = 12_000_000, 1, ranges
    done = run("models", "pull", "m", **serve(stack, hub))
    assert done.returncode == 0, done.stderr
    assert [headers.get("range") for method, _, headers in hub.asked if method == "GET"] == wanted


LIES = {
    "content": ({}, OTHER, "is not the file that it should be: it has 3000004 bytes with"),
    "longer": ({}, CONTENT + b"!", "3000004"),
    "no etag": ({"ETag": ""}, CONTENT, "comes without a sha256"),
    "another kind of etag": ({"ETag": '"abc"'}, CONTENT, "comes without a sha256"),
    "an etag that climbs": ({"ETag": f'"../../../../{SHA256}"'}, CONTENT, "the hub's ETag is .."),
    "a commit that climbs": ({"X-Repo-Commit": "../../../../out"}, CONTENT, "X-Repo-Commit is .."),
    "no commit": ({"X-Repo-Commit": ""}, CONTENT, "a commit"),
    "size": ({"X-Linked-Size": "5"}, CONTENT, "should be of size 5"),
    "no size": ({"X-Linked-Size": "0"}, CONTENT, "size"),
}


@pytest.mark.parametrize(("claims", "content", "says"), LIES.values(), ids=LIES.keys())
def test_a_hub_that_lies(run, hub, stack, tmp_path, claims, content, says):
    """What is not as it was said to be is refused: nothing is here, and nothing stays of it."""
    true = {"ETag": f'"{SHA256}"', "X-Linked-Size": str(len(CONTENT))}
    hub.claims = true | claims
    hub.files["org/repo/m.gguf"] = content
    there = serve(stack, hub)
    done = run("models", "pull", "m", **there)
    assert done.returncode == 3
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "hint: " in done.stderr
    assert run("models", "path", "m", **there).returncode == 3
    left = [path for path in files_under(tmp_path) if path.stat().st_size > 100_000]
    assert left == []


def test_a_link_out_of_the_cache_is_refused(run, hub, stack, tmp_path):
    """What lies elsewhere is not used under the model's name, and stays where it is."""
    there = serve(stack, hub)
    run("models", "pull", "m", **there)
    path = tmp_path / f"hf/hub/models--org--repo/snapshots/{COMMIT}/m.gguf"
    (tmp_path / "home/models/hub").rename(tmp_path / "records")
    path.unlink()
    elsewhere = tmp_path / "elsewhere.gguf"
    elsewhere.write_bytes(CONTENT)
    path.symlink_to(elsewhere)
    done = run("models", "pull", "m", **there)
    assert done.returncode == 3
    assert "a link to somewhere else" in done.stderr
    assert elsewhere.read_bytes() == CONTENT


def test_a_repository_kept_on_another_disk(run, hub, stack, tmp_path):
    """Whoever moves a whole folder of the cache, and links to it, has moved the model."""
    there = serve(stack, hub)
    run("models", "pull", "m", **there)
    (tmp_path / "home/models/hub").rename(tmp_path / "records")
    folder = tmp_path / "hf/hub/models--org--repo"
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    assert run("models", "pull", "m", **there).returncode == 0


@pytest.mark.parametrize("header", ["ETag", "X-Linked-Etag", "X-Repo-Commit"])
@pytest.mark.parametrize("name", ["../../../../../out", "/tmp/out", "..", "a\\b"])
def test_a_hub_that_lies_the_second_time(run, hub, stack, tmp_path, header, name):
    """What the client would call a file or a folder is looked at whenever it is said."""
    before = sorted(files_under(tmp_path))
    hub.later = {header: f'"{name}"' if header != "X-Repo-Commit" else name}
    done = run("models", "pull", "m", **serve(stack, hub))
    assert done.returncode == 3
    assert f"the hub's {header} is {name}" in done.stderr
    assert sorted(files_under(tmp_path)) == before


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"sha256": "0" * 64}, f"it has the sha256 {SHA256}"),
        ({"size": 5}, f"it has {len(CONTENT)} bytes"),
    ],
)
def test_models_toml_is_stronger_than_the_hub(run, hub, stack, say, source, says):
    """What models.toml says is compared before anything is fetched."""
    say(**source)
    done = run("models", "pull", "m", **serve(stack, hub))
    assert done.returncode == 3
    assert says in done.stderr
    assert {method for method, *_ in hub.asked} == {"HEAD"}


def test_the_token_stays_with_the_hub(run, hub, stack):
    """The hub gets the token; a storage of another origin, which it sends to, does not."""
    storage = Served(files={})
    hub.storage = stack.enter_context(serving(storage))
    storage.files = dict(hub.files)
    done = run("models", "pull", "m", **serve(stack, hub))
    assert done.returncode == 0, done.stderr
    assert {headers["authorization"] for *_, headers in hub.asked} == {f"Bearer {TOKEN}"}
    assert storage.asked
    assert all("authorization" not in headers for *_, headers in storage.asked)


def test_from_https_it_is_not_led_to_plain_http(run, hub, stack, tls):
    """A hub behind TLS that sends to a storage without it is not followed."""
    storage = Served(files={})
    hub.storage = stack.enter_context(serving(storage))
    storage.files = {f"/org/repo/resolve/main/{name}": data for name, data in hub.files.items()}
    address = stack.enter_context(serving(hub, context=tls))
    trusted = {"SSL_CERT_FILE": os.environ["SSL_CERT_FILE"]}
    done = run("models", "pull", "m", HF_ENDPOINT=address, **trusted)
    assert done.returncode == 3
    assert f"the address leads to plain http: {hub.storage}" in done.stderr
    assert storage.asked == []
    hub.storage = ""
    assert run("models", "pull", "m", HF_ENDPOINT=address, **trusted).returncode == 0


@pytest.mark.parametrize(
    ("status", "says", "hint"),
    [
        (401, "there is no org/repo on the hub, or it is private", "HF_TOKEN"),
        (403, "org/repo is given to those who agree to its terms", "agree at http://127.0.0.1"),
        (404, "there is no m.gguf in org/repo", "/org/repo/tree/main"),
        (500, "http://127.0.0.1", "connect to a network or let HF_ENDPOINT"),
    ],
)
def test_what_the_hub_refuses(run, hub, stack, status, says, hint):
    """One line with the reason, and one with a way out."""
    hub.status = status
    done = run("models", "pull", "m", **serve(stack, hub))
    assert done.returncode == 3
    error, hinted = done.stderr.splitlines()[-2:]
    assert error.startswith("error: model 'm' is not here yet and could not be fetched: " + says)
    assert hint in hinted


def test_no_hub_at_all(run):
    """A hub that does not answer is named."""
    done = run("models", "pull", "m", HF_ENDPOINT="http://127.0.0.1:1")
    assert done.returncode == 3
    assert "could not be fetched: http://127.0.0.1:1: " in done.stderr


def test_a_full_disk_is_found_before(run, hub, stack):
    """What does not fit is not begun."""
    hub.claims = {"X-Linked-Size": str(1 << 60)}
    done = run("models", "pull", "m", **serve(stack, hub))
    assert done.returncode == 3
    assert re.search(r"\d [MG]B are free", done.stderr)
    assert "HF_HOME" in done.stderr
    assert {method for method, *_ in hub.asked} == {"HEAD"}


def test_all_parts_of_a_split_model(run, hub, stack, say, tmp_path):
    """The first part is the model; a wrong part spoils it all."""
    names = [f"m-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    hub.files = {f"org/repo/{name}": b"GGUF" + name.encode() * 1000 for name in names}
    say(file=names[0])
    there = serve(stack, hub)
    done = run("models", "pull", "m", **there)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"{names[0]}\n")
    folder = tmp_path / f"hf/hub/models--org--repo/snapshots/{COMMIT}"
    (folder / names[2]).unlink()
    assert run("models", "path", "m", **there).returncode == 3
    removed = run("models", "pull", "m", **there)
    assert removed.returncode == 0, removed.stderr
    assert sorted(path.name for path in folder.iterdir()) == names
    assert run("models", "rm", "m", "--yes", **there).returncode == 0
    assert list(folder.iterdir()) == []


def test_rm_leaves_the_files_of_others(run, hub, stack, tmp_path, user):
    """Only the model's own file goes out of a cache that other programs share."""
    hub.files["org/repo/other.gguf"] = b"GGUF other"
    there = serve(stack, hub)
    fetch = "from huggingface_hub import hf_hub_download as d; d('org/repo', 'other.gguf')"
    subprocess.run([sys.executable, "-c", fetch], env=user | there, check=True, capture_output=True)
    run("models", "pull", "m", **there)
    done = run("models", "rm", "m", "--yes", **there)
    assert done.returncode == 0, done.stderr
    assert "freed 3 MB of the Hugging Face cache" in done.stdout
    held = [path for path in files_under(tmp_path / "hf/hub") if path.suffix != ".lock"]
    assert sorted(path.name for path in held if b"GGUF" in path.read_bytes()[:4]) == sorted(
        [hashlib.sha256(b"GGUF other").hexdigest(), "other.gguf"]
    )


def test_two_pulls_at_once(hub, stack, user, say, tmp_path):
    """Both end well, with the same file."""
    there = serve(stack, hub)
    command = [sys.executable, "-m", "softchat", "models", "pull", "m"]
    pulls = [
        subprocess.Popen(command, env=user | there, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    out = [pull.communicate(timeout=120) for pull in pulls]
    assert [pull.returncode for pull in pulls] == [0, 0, 0], out
    assert len({stdout for stdout, _ in out}) == 1


@pytest.mark.parametrize("point", range(KILLS))
def test_killed_anywhere(hub, stack, user, run, say, tmp_path, point):
    """After SIGKILL at any moment nothing wrong goes by a final name, and the next pull works."""
    there = serve(stack, hub)
    command = [sys.executable, "-m", "softchat", "models", "pull", "m"]
    pull = subprocess.Popen(
        command, env=user | there, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(0.15 + 0.85 * point / KILLS)  # import, look up, download, verify, write down
    pull.send_signal(signal.SIGKILL)
    pull.wait()
    for path in files_under(tmp_path):
        if path.name in (SHA256, "m.gguf"):
            assert path.read_bytes() == CONTENT
    here = run("models", "path", "m", **there)
    assert here.returncode in (0, 3)
    assert run("models", "pull", "m", **there).returncode == 0


@pytest.fixture
def stopped(hub, stack, user, say, tmp_path):
    """A function that stops a pull with a signal in the middle of the file; its exit status."""

    def stop(number, content):
        hub.pause = threading.Event()
        hub.files["org/repo/m.gguf"] = content
        there = serve(stack, hub)
        command = [sys.executable, "-m", "softchat", "models", "pull", "m"]
        pull = subprocess.Popen(
            command, env=user | there, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        blobs = tmp_path / "hf/hub/models--org--repo/blobs"
        deadline = time.monotonic() + 60
        try:
            while not (blobs.is_dir() and any(path.stat().st_size for path in blobs.iterdir())):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            pull.send_signal(number)
            return pull.wait(60), blobs, there
        finally:
            hub.pause.set()
            pull.kill()
            pull.wait()

    return stop


def test_killed_in_the_middle_of_the_download(stopped, run):
    """Half a file has no name that counts; a day later it is swept."""
    content = CONTENT * 8  # the client writes 10 MiB at a time
    _, blobs, there = stopped(signal.SIGKILL, content)
    (left,) = blobs.iterdir()
    assert left.name.endswith(".incomplete")
    assert run("models", "path", "m", **there).returncode == 3
    os.utime(left, (time.time() - 90_000,) * 2)
    assert run("models", "pull", "m", **there).returncode == 0
    assert [path.name for path in blobs.iterdir()] == [hashlib.sha256(content).hexdigest()]


def test_ctrl_c_in_the_middle_of_the_download(stopped):
    """Half a file goes at once."""
    status, blobs, _ = stopped(signal.SIGINT, CONTENT * 8)
    assert status == 130
    assert list(blobs.iterdir()) == []


def test_described_where_it_lies(tmp_path):
    """A file is known by its name and the repository above it, or by its size."""
    source = HubSource(repository="org/repo", file="sub/m.gguf")
    for folder, known in (
        ("hub/models--org--repo/snapshots/1/sub", True),
        (".lmstudio/models/org/repo", True),
        ("other/repo", False),
        ("models--org--repo-2/snapshots/1", False),
    ):
        assert source.describes(tmp_path / folder / "m.gguf") is known
        assert not source.describes(tmp_path / folder / "n.gguf")
    sized = HubSource(repository="org/repo", file="m.gguf", size=4)
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    assert sized.describes(tmp_path / "m.gguf")
    assert not sized.describes(tmp_path / "gone/m.gguf")
