"""Escapes and markup in whatever a stranger writes are inert in every view and command."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from softchat import cli
from softchat.errors import SoftchatError
from softchat.events import ConceptEntry, Error, Mode, ModelInfo, Step
from softchat.record.runs import split_runs
from softchat.record.session_format import SCHEMA
from softchat.repl.show import stats_table
from softchat.talk.conversation import Turn
from softchat.views.comparison import comparison
from softchat.views.jsonl import JsonView
from softchat.views.markdown import MarkdownView
from softchat.views.panel import PanelView
from softchat.views.plain import AnswerView, StepView
from softchat.views.recorded import run_page
from softchat.views.steps import step_in_full, steps_table
from softchat.views.wording import glyphs_for
from tests import tiny
from tests.faults.soak import times
from tests.faults.strangers import EVIL, assert_inert, assert_own, evil_text
from tests.recordings import run_of, started, write_trace

GLYPHS = glyphs_for("utf-8")
COUNT = times(8, 300)
SAYABLE = [evil for evil in EVIL if evil != "\ud800"]  # no argument can be that


def evil_run(rng):
    """A run in which every text is a stranger's."""

    def text():
        return evil_text(rng)

    model = ModelInfo(
        name=text(), path=text(), architecture=text(), n_vocab=9, n_embd=2, n_ctx=64,
        loras=(text(),),
    )  # fmt: skip
    begin = replace(started(strategy="soft"), model=model)
    begin = replace(begin, settings=begin.settings | {"strategy": text(), text(): text()})
    steps = [
        Step(
            index=index, entropy=0.4, below=1, mode=Mode.SOFT, elapsed_s=0.1 * (index + 1),
            concept=tuple(ConceptEntry(id=i, piece=text(), weight=0.5) for i in range(2)),
            why=text(),
        )
        for index in range(3)
    ]  # fmt: skip
    return run_of(*steps, begin=begin, answer=tuple(text() for _ in range(4)))


def whole(text):
    return text.encode("utf-8", "replace").decode()


def every_text(run, change):
    """The run with each text in it changed."""

    def walk(value):
        if isinstance(value, str) and type(value) is str:
            return change(value)
        if isinstance(value, tuple):
            return tuple(map(walk, value))
        if isinstance(value, dict):
            return {walk(key): walk(inner) for key, inner in value.items()}
        if hasattr(value, "__dataclass_fields__"):
            return replace(
                value, **{name: walk(getattr(value, name)) for name in value.__dataclass_fields__
                          if name not in ("event",)}
            )  # fmt: skip
        return value

    return [walk(event) for event in run]


@pytest.mark.parametrize("seed", range(COUNT))
def test_no_view_lets_it_through(seed):
    """The panel and Markdown on a terminal, plain lines, the answer alone, JSON lines."""
    run = every_text(evil_run(random.Random(seed)), whole)
    screen, lines, answer, rows = StringIO(), StringIO(), StringIO(), StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=24, legacy_windows=False)
    for view in (
        PanelView(console, MarkdownView(console), refresh_s=0), AnswerView(answer), JsonView(rows),
        StepView(lines, AnswerView(lines)),
    ):  # fmt: skip
        with view:
            for event in run:
                view.show(event)
    assert_own(screen.getvalue())
    for sink in (lines, answer, rows):
        assert_inert(sink.getvalue())
    assert [json.loads(line)["event"] for line in rows.getvalue().splitlines()]


@pytest.mark.parametrize("seed", range(COUNT))
def test_no_table_lets_it_through(seed):
    """The page of a recorded run, its steps, one step in full, /compare, /stats."""
    events = every_text(evil_run(random.Random(seed)), whole)
    (run,) = split_runs(iter(events))
    turn = Turn(question="q", answer=run.answer, settings={}, events=tuple(events))
    sink = StringIO()
    console = Console(file=sink, force_terminal=True, width=100, legacy_windows=False)
    console.print(
        run_page(run, width=100, glyphs=GLYPHS),
        steps_table(run.steps, GLYPHS),
        step_in_full(run.steps[0], tau=0.1, glyphs=GLYPHS),
        comparison({"hard": events, "soft": events}, width=100, glyphs=GLYPHS),
        stats_table([turn]),
    )
    assert_own(sink.getvalue())


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    """Run the command line in this process: what it wrote, both streams in one."""
    monkeypatch.setenv("SOFTCHAT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SOFTCHAT_JSON", raising=False)
    monkeypatch.chdir(tmp_path)
    # Off a terminal typer strips escapes from what is written, and would hide what is looked for.
    monkeypatch.setattr("typer._click.utils.should_strip_ansi", lambda *_: False)

    def run(*arguments):
        monkeypatch.setenv("SOFTCHAT_MODELS", "")  # --models-file sets it, for this process
        monkeypatch.setattr(sys, "argv", ["softchat", *arguments])
        try:
            cli._run()
        except SoftchatError as error:
            cli._report(error)
        caught = capsys.readouterr()
        return caught.out + caught.err

    return run


@pytest.mark.parametrize("seed", range(COUNT))
def test_traces_of_strangers(command, tmp_path, seed):
    """`show`, and `replay` in each of its ways."""
    run = every_text(evil_run(random.Random(seed)), whole)
    run[-1] = Error(kind="decode", message=whole(evil_text(random.Random(seed))), hint=run[-2].text)
    trace = write_trace(tmp_path / "run.jsonl", run)
    for arguments in (
        ["show"], ["show", "--step", "1"], ["replay", "--speed", "0"],
        ["replay", "--speed", "0", "--verbose"], ["replay", "--speed", "0", "--json"],
        ["replay", "--speed", "0", "--quiet"],
    ):  # fmt: skip
        written = command(arguments[0], str(trace), *arguments[1:])
        assert written
        assert_inert(written)


@pytest.mark.parametrize("seed", range(COUNT))
def test_sessions_of_strangers(command, tmp_path, seed):
    """A session in the folder, all of whose texts are a stranger's, its name too."""
    rng = random.Random(seed)
    folder = tmp_path / "home" / "sessions"
    folder.mkdir(parents=True)
    data = {
        "schema": SCHEMA, "started": evil_text(rng), "updated": evil_text(rng),
        "model": evil_text(rng), "system": evil_text(rng), "pending": evil_text(rng),
        "turns": [{"question": evil_text(rng), "answer": evil_text(rng), "settings": {}}],
        "closed": True,
    }  # fmt: skip
    name = evil_text(rng).replace("/", "").replace("\0", "").replace("\ud800", "")[:80]
    (folder / f"a{name}.json").write_text(json.dumps(data))
    assert_inert(command("sessions"))
    assert_inert(command("sessions", "export", "last", "chat.md"))
    assert_inert((tmp_path / "chat.md").read_text())
    assert_inert(command("sessions", "rm", "a"))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("seed", range(COUNT))
def test_models_of_strangers(command, tmp_path, seed):
    """The header of a GGUF file, its name, and a models.toml that describes it."""
    rng = random.Random(seed)
    texts = [whole(evil_text(rng)).replace("\0", "") for _ in range(5)]
    name = texts[0].replace("/", "")[:60] + ".gguf"
    file = tiny.write(tmp_path / name, chat_template=texts[1], name=texts[2])
    written = command("models", "info", f"./{name}")
    assert "architecture" in written
    assert_inert(written)
    own = {"description": texts[3], "licence": texts[4], "system": texts[1]}
    lines = [f"{key} = {json.dumps(value)}" for key, value in own.items()]
    lines.append(f"source = {{ type = 'path', path = {json.dumps(str(file))} }}")
    text = "[models.evil]\n" + "\n".join(lines).replace("\x7f", "\\u007f")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models.toml").write_text(text)
    for arguments in (["models"], ["models", "info", "evil"], ["models", "path", "evil"]):
        assert_inert(command(*arguments))


@pytest.mark.parametrize("json_flag", [[], ["--json"]])
@pytest.mark.parametrize("evil", random.Random(0).sample(SAYABLE, times(6, len(SAYABLE))))
def test_mistakes_with_the_text_of_strangers(command, evil, json_flag):
    """Whatever is named wrongly is told of, as text."""
    name = "x" + evil.replace("\0", "")
    for arguments in (
        ["ask", "-m", name, "q"], ["ask", "-m", f"./{name}.gguf", "q"], ["ask", f"--{name}", "q"],
        ["ask", "--tau", name, "q"], ["ask", "--lora", name, "q"], ["ask", "--trace", f"no/{name}"],
        ["ask", "-m", f"hub/{name}", "q"], ["ask", "--strategy", name, "q"],
        ["replay", name], ["show", name], ["plot", name, "-o", name], ["sessions", "rm", name],
        ["models", "info", name], ["models", "rm", name], ["models", "use", name],
        ["models", "add", name, name], ["models", "add", "good", f"https://{name}/a.gguf"],
        ["models", "path", name, "--models-file", name], [name], ["models", name],
    ):  # fmt: skip
        written = command(*arguments, *(json_flag if arguments[0] in ("ask", "replay") else []))
        assert "error: " in written
        assert_inert(written)


def test_lines_of_json_quote_nothing_raw(softchat):
    """A question comes back in the lines of `compare`: as JSON spells it."""
    question = "x\x9b2J\u202e\u2028\x7f"
    done = softchat("compare", "--json", question, "--max-think", "2", "--max-answer", "2")
    assert [json.loads(line)["question"] for line in done.out.splitlines()] == [question] * 2
    assert_inert(done.out + done.err)
