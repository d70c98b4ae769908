"""`softchat plot`, on traces made by hand."""

from __future__ import annotations

import stat
import subprocess
import sys

import pytest

from tests.recordings import run_of, step, write_trace

BEGINS = {"svg": b"<?xml", "png": b"\x89PNG", "html": b"<!doctype html>"}


@pytest.fixture(autouse=True)
def _traces(tmp_path):
    write_trace(tmp_path / "one.jsonl", run_of(step(0), step(1)))
    write_trace(tmp_path / "two.jsonl", run_of(step(0)), run_of(step(0), step(1)))
    write_trace(tmp_path / "none.jsonl", run_of())


@pytest.mark.parametrize("form", BEGINS)
def test_the_name_says_what_is_written(softchat, tmp_path, form):
    """A file that only its owner can read, and nothing on the terminal."""
    result = softchat(
        "plot", "one.jsonl", "two.jsonl", "-o", f"plot.{form}", PYTHONWARNINGS="error"
    )
    assert (result.status, result.out, result.err) == (0, "", "")
    written = tmp_path / f"plot.{form}"
    assert written.read_bytes().startswith(BEGINS[form])
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_labels_are_the_names_of_the_traces(softchat, tmp_path):
    """And the turn, where there are several."""
    softchat("plot", "one.jsonl", "two.jsonl", "-o", "plot.svg")
    text = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    for label in ("one · cold stop", "two · run 1 · cold stop", "two · run 2 · cold stop"):
        assert f">{label}<" in text


@pytest.mark.parametrize(
    ("arguments", "says", "helps"),
    [
        (("one.jsonl", "-o", "plot.pdf"), "plot.pdf", ".svg, .png or .html"),
        (("one.jsonl", "-o", "plot"), "plot", ".svg"),
        (("one.jsonl", "-o", "nowhere/plot.html"), "can't write", "-o"),
        (("none.jsonl", "-o", "plot.html"), "no step", "to think"),
        (("missing.jsonl", "-o", "plot.html"), "can't read", "file"),
        (("trace.html",), "trace.html would overwrite trace.html", "another file"),
        (("trace.svg", "-o", "trace.svg"), "-o would overwrite trace.svg", "another file"),
        (("kept.jsonl",), "kept.html exists, and is no plot", "another file"),
    ],
)
def test_a_mistake_is_one_line_and_a_hint(softchat, tmp_path, arguments, says, helps):
    """Status 2; what is there stays."""
    for name in ("trace.html", "trace.svg", "kept.jsonl"):
        write_trace(tmp_path / name, run_of(step(0)))
    (tmp_path / "kept.html").write_text("mine")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    result = softchat("plot", *arguments)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert (result.status, result.out) == (2, ""), result
    error, hint = result.err.splitlines()
    assert says in error
    assert helps in hint


def test_without_matplotlib(environ, tmp_path):
    """The page needs none; the others say how to get it."""
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from softchat.cli import main\n"
        "sys.argv = ['softchat', *sys.argv[1:]]\n"
        "main()"
    )
    status = {}
    for form in BEGINS:
        done = subprocess.run(
            [sys.executable, "-c", code, "plot", "one.jsonl", "-o", f"plot.{form}"],
            capture_output=True, text=True, check=False, timeout=60, env=environ, cwd=tmp_path,
        )  # fmt: skip
        status[form] = done.returncode
        if form != "html":
            assert "pip install matplotlib" in done.stderr
            assert "Traceback" not in done.stderr
    assert status == {"svg": 2, "png": 2, "html": 0}


def test_without_a_name_the_page_lies_beside_the_trace(softchat, tmp_path):
    """It says where."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "one.jsonl").rename(tmp_path / "sub/one.jsonl")
    done = softchat("plot", "sub/one.jsonl")
    assert (done.status, done.out) == (0, "sub/one.html\n")
    assert "<html" in (tmp_path / "sub/one.html").read_text("utf-8")
    assert softchat("plot", "sub/one.jsonl").status == 0  # its own page is drawn anew


def test_a_trace_whose_name_is_too_long_is_told_as_show_tells_it(softchat):
    """By plot; by replay also for what it would write."""
    name = "a" * 300
    said = softchat("show", name)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith(f"error: can't read the trace {name}: ")
    drawn = softchat("plot", name)
    assert (drawn.status, drawn.out, drawn.err) == (2, "", said.err)
    done = softchat("replay", "one.jsonl", "--speed", "0", "--trace", name)
    assert (done.status, done.out) == (2, "")
    said = f"error: can't write the trace {name}: File name too long\nhint: name another file\n"
    assert done.err == said


@pytest.mark.parametrize("name", ["run.svg", "run.png", "run.html"])
def test_a_plot_may_be_drawn_again(softchat, tmp_path, name):
    """Over one of softchat's own, by whatever name; a file of somebody else's stays."""
    write_trace(tmp_path / "one.jsonl", run_of(step(0)))
    for _ in range(2):
        assert softchat("plot", "one.jsonl", "-o", name).status == 0
    mine = f"<svg><title>softchat plot</title></svg>{(tmp_path / name).read_bytes()[:3000]}"
    (tmp_path / name).write_text(mine)
    done = softchat("plot", "one.jsonl", "-o", name)
    assert (done.status, (tmp_path / name).read_text()) == (2, mine)
    assert f"{name} exists, and is no plot of softchat's" in done.err


def test_a_browser_that_can_not_be_opened_is_a_failure(softchat, tmp_path):
    """In a line, with status 1; the plot is there all the same."""
    done = softchat("plot", "one.jsonl", "--open", "-o", "plot.html", BROWSER="/bin/false")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: no browser could be opened\nhint: ")
    assert "plot.html" in done.err
    assert (tmp_path / "plot.html").exists()
