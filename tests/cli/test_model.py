"""Loading a model for a command."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from dataclasses import replace
from io import StringIO

import pytest

from softchat.cli.app import app
from softchat.cli.model import _loras, tell_of_default, told_if_slow
from softchat.errors import UsageError
from softchat.models import Located
from softchat.models.catalogue import user_catalogue
from softchat.record.session_file import SessionFile
from softchat.record.session_format import SessionRecord
from softchat.talk.conversation import Turn
from tests.recordings import run_of, step, write_trace

ASK = ("ask", "q", "-m", "./m.gguf")


class Terminal(StringIO):
    """A terminal that tells when it has been written to."""

    def __init__(self):
        super().__init__()
        self.written = threading.Event()

    def isatty(self):
        return True

    def flush(self):
        self.written.set()


@pytest.fixture(autouse=True)
def _quiet_machine(monkeypatch):
    """Whatever else runs here, this machine is not busy."""
    monkeypatch.setattr("softchat.cli.model.busy_note", lambda threads: "")


def test_a_busy_machine_is_told_too(monkeypatch):
    """Below the line that it loads."""
    monkeypatch.setattr("softchat.cli.model.busy_note", lambda threads: "busy")
    stderr = Terminal()
    with contextlib.redirect_stderr(stderr), told_if_slow("m", after_s=0.0):
        assert stderr.written.wait(60)
    assert stderr.getvalue() == "loading m…\nbusy\n"


def test_the_default_model_is_told_for_what_it_is(monkeypatch, tmp_path):
    """On a terminal, until there is a question that was kept; a real model needs no word."""
    monkeypatch.setenv("SOFTCHAT_HOME", str(tmp_path))
    entries = user_catalogue({}).entries

    def said(name, where):
        with contextlib.redirect_stderr(where):
            tell_of_default(Located(name=name, path=tmp_path, entry=entries[name]))
        return where.getvalue()

    assert said("smollm2-135m", Terminal()).startswith("note: smollm2-135m is a tiny model, for ")
    assert not said("smollm2-135m", StringIO())
    assert not said("qwen3-4b", Terminal())
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "ask-1.json").touch()
    assert not said("smollm2-135m", Terminal())


def test_a_model_that_loads_slowly_is_told():
    """On one line, from which nothing of its name can break out."""
    stderr = Terminal()
    with contextlib.redirect_stderr(stderr), told_if_slow("m\x1b[2J", after_s=0.0):
        assert stderr.written.wait(60)
    assert stderr.getvalue() == "loading m␛[2J…\n"


@pytest.mark.parametrize("how", [{"after_s": 600.0}, {"after_s": 0.0, "quiet": True}])
def test_a_model_that_loads_at_once_is_not(how):
    """Nor is any where nothing but the answer is wanted."""
    stderr = Terminal()
    with contextlib.redirect_stderr(stderr), told_if_slow("m", **how):
        pass
    assert not stderr.getvalue()


@pytest.mark.parametrize("command", ["compare", "eval"])
def test_every_command_tells_of_a_slow_load(tmp_path, monkeypatch, home, real_model, command):
    """Not only ask: whoever waits for a model wants to know for what."""
    told = []

    @contextlib.contextmanager
    def tell(name, *, doing="loading", quiet):
        told.append((doing, quiet))
        yield

    monkeypatch.setattr("softchat.cli.model.told_if_slow", tell)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setenv("SOFTCHAT_HOME", str(home))
    data = tmp_path / "data.jsonl"
    data.write_text('{"question": "1 + 1?", "answer": 2}\n')
    given = [str(data), "--out", str(tmp_path / "out")] if command == "eval" else ["1 + 1?"]
    few = ["--max-think", "1", "--max-answer", "1", "--strategy", "soft"]
    assert not app([command, *given, "-m", str(real_model), *few], standalone_mode=False)
    assert told[-1] == ("loading", False)
    assert ("reading", False) in told or command != "eval"


@pytest.mark.parametrize("others", [["none"], ["a.gguf"], ["gone.gguf=0.5"]])
def test_no_adapter_and_an_adapter(others):
    """`none` stands alone; it may where the model has no adapter of its own."""
    for texts in (["none", *others], [*others, "none"]):
        with pytest.raises(UsageError, match="--lora none, and another --lora beside") as error:
            _loras(texts)
        assert error.value.hint.startswith("--lora none alone")
    assert _loras(["none"]) == ()
    assert _loras([]) is None


@pytest.mark.parametrize("scale", ["1e38", "inf", "nan", "-101"])
def test_the_scale_of_an_adapter_has_bounds(tmp_path, scale):
    """It is the scale that is refused, not the model that it makes nonsense of."""
    adapter = tmp_path / "a.gguf"
    adapter.touch()
    with pytest.raises(UsageError, match=r"the scale of .* is ") as error:
        _loras([f"{adapter}={scale}"])
    assert error.value.hint == "it must be from -100 to 100"
    (lora,) = _loras([f"{adapter}=-0.5"])
    assert lora.scale == -0.5


USED = {
    "its file": (ASK, "m.gguf"),
    "a link to it": (ASK, "link"),
    "by a link": (("ask", "q", "-m", "./link.gguf"), "m.gguf"),
    "by its name": (("ask", "q", "-m", "mine", "--models-file", "own.toml"), "m.gguf"),
    "an adapter": ((*ASK, "--lora", "a.gguf=0.5"), "a.gguf"),
    "its own adapter": (("ask", "q", "-m", "mine", "--models-file", "own.toml"), "a.gguf"),
    "models.toml": ((*ASK, "--models-file", "own.toml"), "own.toml"),
    "one that is not there": (ASK, "home/models.toml"),
    "config.toml": (ASK, "home/config.toml"),
    "a system prompt": (ASK, "home/prompt.txt"),
    "of a fork": (("fork", "run.jsonl", "--at", "0", "--take", "1", "-m", "./m.gguf"), "m.gguf"),
    "of a replay": (("replay", "run.jsonl", "--speed", "0"), "home/config.toml"),
    "the log": (ASK, "home/log.sqlite3"),
    "what the log is written by": (ASK, "home/log.sqlite3-journal"),
    "what was typed": (ASK, "home/history"),
    "the log, of a replay": (("replay", "run.jsonl", "--speed", "0"), "home/log.sqlite3"),
    "the log, of eval": (("eval", "data.jsonl", "-m", "./m.gguf"), "home/log.sqlite3"),
    "of eval": (("eval", "data.jsonl", "-m", "./m.gguf"), "home/models.toml"),
    "of tune": (("tune", "data.jsonl", "-m", "./m.gguf"), "home/models.toml"),
    "of a sweep": (("sweep", "data.jsonl", "--tau", "0,1", "-m", "./m.gguf"), "home/models.toml"),
}


@pytest.mark.parametrize("case", USED)
def test_what_a_command_uses_is_not_written_over(softchat, tmp_path, case):
    """By whatever name, with --force too; nothing is lost, and nothing made."""
    command, out = USED[case]
    for name, text in {
        "m.gguf": "GGUF",
        "a.gguf": "GGUF",
        "own.toml": '[models.mine]\nlora = "a.gguf"\nsource = {type = "path", path = "m.gguf"}',
        "data.jsonl": '{"question": "1 + 1?", "answer": "2"}\n' * 9,
        "home/config.toml": 'system = "@prompt.txt"',
        "home/prompt.txt": "Be brief.",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "link").symlink_to("m.gguf")
    (tmp_path / "link.gguf").symlink_to("m.gguf")
    begun, *rest = run_of(step(0))
    write_trace(tmp_path / "run.jsonl", [replace(begun, prompt=(1, 2)), *rest])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    by = {"eval": "--out", "tune": "--out", "sweep": "--csv"}.get(command[0], "--trace")
    force = ("--force",) if by == "--trace" else ()
    done = softchat(*command, by, out, *force, SOFTCHAT_HOME=str(tmp_path / "home"))
    assert (done.status, done.out) == (2, ""), done
    assert done.err.startswith(f"error: {by} would overwrite ")
    assert done.err.endswith(", which this command uses\nhint: name another file\n")
    assert {path: path.read_bytes() for path in before} == before
    assert tmp_path / out in before or not (tmp_path / out).exists()


@pytest.mark.skipif(os.name != "posix", reason="links are others there")
def test_an_export_or_a_plot_is_none_of_softchats_own_files(softchat, tmp_path, own_home):
    """None that is not there yet either, nor by a link; what config.toml says wrong is no harm."""
    (own_home / "sessions").mkdir()
    turn = Turn(question="Why?", answer="So.", settings={})
    kept = SessionFile(own_home / "sessions", None)
    record = SessionRecord(id=kept.id, model="fake", system="", chosen={}, turns=(turn,))
    kept.write(record, closed=True)
    kept.release()
    write_trace(tmp_path / "run.jsonl", run_of(step(0)))
    (tmp_path / "link.html").symlink_to(own_home / "log.sqlite3")
    export, plot = ("sessions", "export", "last"), ("plot", "run.jsonl", "-o")
    names = ("models.toml", "config.toml", "log.sqlite3", "log.sqlite3-journal", "history")
    for by, command, out in (
        *(("export", export, str(own_home / name)) for name in names),
        ("export", export, "link.html"),
        ("-o", plot, "link.html"),
    ):
        done = softchat(*command, out)
        assert (done.status, done.out) == (2, ""), out
        assert done.err.startswith(f"error: {by} would overwrite {own_home}"), out
        assert done.err.endswith(", which this command uses\nhint: name another file\n")
    assert not {one.name for one in own_home.iterdir()} & {*names}
    (own_home / "config.toml").write_text("nonsense = 1")
    assert softchat(*export, "chat.md").status == 0
    assert softchat(*export, str(own_home / "models.toml")).status == 2


def test_results_are_not_put_among_the_sessions(softchat, own_home, tmp_path):
    """Each file there is a session's."""
    (tmp_path / "data.jsonl").write_text('{"question": "1 + 1?", "answer": 2}\n')
    command = (
        "eval",
        "data.jsonl",
        "--limit",
        "1",
        "--max-think",
        "1",
        "--max-answer",
        "1",
        "--out",
    )
    done = softchat(*command, str(own_home / "sessions" / "r.jsonl"))
    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines()[0].endswith("sessions/r.jsonl is among softchat's own")


def test_a_trace_is_not_put_among_the_sessions(softchat, tmp_path):
    """One of them has the steps of each session, and would be written over without --force."""
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    done = softchat(*ASK, "--trace", "home/sessions/x.jsonl", SOFTCHAT_HOME=str(tmp_path / "home"))
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: home/sessions/x.jsonl is among softchat's own\n")
