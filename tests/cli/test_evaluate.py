"""`softchat eval` as a user runs it, on the real model and a few short questions."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from softchat.cli.evaluate import Evaluation, _list_wrong, _so_far
from softchat.evaluate.evaluate import Outcome, Result
from softchat.evaluate.plan import make_runs
from softchat.evaluate.questions import Question
from tests import tiny

QUICK = (
    "--lora",
    "none",  # with an adapter, sums in a batch are rounded otherwise
    "--max-think",
    "10",
    "--max-answer",
    "8",
    "--threads",
    "1",
)
QUESTIONS = 5


@pytest.fixture
def data(tmp_path):
    return write_sums(tmp_path / "sums.jsonl")


def write_sums(path):
    """A file of questions."""
    lines = [{"question": f"What is {n} + {n}?", "answer": 2 * n} for n in range(1, QUESTIONS + 1)]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory, home, real_model):
    """What a run on one question after another gives, by run and question."""
    folder = tmp_path_factory.mktemp("whole")
    write_sums(folder / "sums.jsonl")
    command = [sys.executable, "-m", "softchat", "eval", "sums.jsonl", *QUICK, "--out", "r.jsonl"]
    mine = {k: v for k, v in os.environ.items() if not k.startswith("SOFTCHAT_")}
    subprocess.run(
        command, cwd=folder, check=True, capture_output=True, timeout=120,
        env=mine | {"SOFTCHAT_HOME": str(home)},
    )  # fmt: skip
    return outcomes(folder / "r.jsonl")


def outcomes(path):
    """Each result of a file but for its times."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {
        (line["run"], line["index"]): {k: v for k, v in line.items() if not k.endswith("_s")}
        for line in lines[1:]
    }


def test_parallel_is_serial(softchat, data, tmp_path, one_by_one):
    """Four at once give the answers, steps and reasons that one at a time gives, and a report."""
    done = softchat("eval", str(data), *QUICK, "--out", "four.jsonl", "--parallel", "4")
    assert done.status == 0, done
    assert outcomes(tmp_path / "four.jsonl") == one_by_one
    report = json.loads(done.out.splitlines()[-1])
    assert report["parallel"] == 4
    assert [run["name"] for run in report["runs"]] == ["hard", "soft"]
    assert [run["questions"] for run in report["runs"]] == [QUESTIONS, QUESTIONS]
    assert report["differences"][0]["questions"] == QUESTIONS
    assert len(report["sha256"]) == len(report["data_sha256"]) == 64
    assert report["command"].startswith("softchat eval ")
    assert {"machine", "versions", "elapsed_s", "results"} <= report.keys()
    assert "soft - hard" in done.out


def test_going_on(softchat, data, tmp_path):
    """The same command again does nothing over; with a higher limit it does what is missing."""
    # The home of these tests outlives them: questions that no earlier run has seen.
    fresh = tmp_path / "fresh.jsonl"
    fresh.write_text(data.read_text().replace("What is", f"{time.time_ns()}: what is"))
    command = ("eval", str(fresh), *QUICK, "--strategy", "soft", "--json")
    first = json.loads(softchat(*command, "--limit", "2").out)
    again = json.loads(softchat(*command, "--limit", "2").out)
    more = json.loads(softchat(*command, "--limit", "3").out)
    assert [one["evaluated_now"] for one in (first, again, more)] == [2, 0, 1]
    assert first["results"] == again["results"] == more["results"]
    assert first["runs"] == again["runs"]
    other = json.loads(softchat(*command, "--limit", "1", "--tau", "0.3").out)
    assert other["results"] != first["results"]


def test_a_changed_setting_is_refused(softchat, data):
    """A file that is named holds one evaluation; what differs is said."""
    command = ("eval", str(data), *QUICK, "--limit", "1", "--strategy", "soft", "--out", "r.jsonl")
    assert softchat(*command).status == 0
    refused = softchat(*command, "--tau", "0.3")
    assert refused.status == 2
    assert "tau of soft was 0.05 and is 0.3" in refused.err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_stopped_and_resumed(softchat, environ, data, tmp_path, one_by_one, number, status):
    """After a kill or Ctrl-C the same command goes on, and ends as if nothing had happened."""
    path = tmp_path / "r.jsonl"
    command = ["eval", str(data), *QUICK, "--parallel", "3", "--out", str(path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "softchat", *command],
        env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while not path.exists() or path.read_bytes().count(b"\n") < 3:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        os.kill(process.pid, number)
        said = process.communicate(timeout=60)[1]
        assert process.returncode == status
    finally:
        process.kill()
    if number == signal.SIGINT:
        assert "the same command goes on" in said
    done = softchat(*command)
    assert done.status == 0, done
    assert 0 < json.loads(done.out.splitlines()[-1])["evaluated_now"] < 2 * QUESTIONS
    assert outcomes(path) == one_by_one


def test_sweep(softchat, data, tmp_path):
    """A row a combination, in the table, as CSV and as JSON; answers may be lacking."""
    blank = tmp_path / "blank.jsonl"
    blank.write_text('{"question": "Why?"}\n{"question": "2 + 2?", "answer": 4}')
    command = (
        "sweep",
        str(blank),
        *QUICK,
        "--tau",
        "0,50",
        "--patience",
        "1,3",
        "--out",
        "r.jsonl",
    )
    done = softchat(*command, "--csv", "grid.csv")
    assert done.status == 0, done
    assert "tau=50.0 patience=3" in done.out
    with (tmp_path / "grid.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["tau"], row["patience"]) for row in rows] == [
        ("0.0", "1"), ("0.0", "3"), ("50.0", "1"), ("50.0", "3"),
    ]  # fmt: skip
    assert [row["cold_stop"] for row in rows] == ["0", "0", "2", "2"]
    assert [float(row["steps"]) for row in rows[2:]] == [1, 3]
    assert {row["judged"] for row in rows} == {"1"}
    assert all(float(row["accuracy"]) == int(row["right"]) for row in rows)
    assert re.search(r"tau=50.0 patience=3 +[01]/1 ", done.out)
    report = json.loads(softchat(*command, "--json", "--csv", "grid.csv").out)
    assert report["evaluated_now"] == 0
    assert [row["steps"] for row in report["grid"][2:]] == [1, 3]
    assert [row["judged"] for row in report["grid"]] == [1] * 4
    assert softchat("sweep", str(blank)).status == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("data.jsonl", "--csv would overwrite"),
        ("here.jsonl", "--csv would overwrite here.jsonl"),
        ("notes.txt", "notes.txt exists, and is no table of a sweep"),
        ("pupils.csv", "pupils.csv exists, and is no table of a sweep"),
        ("/dev/stdout", "--csv is the file that stdout goes to"),
        ("folder.csv", "can't write folder.csv: Is a directory"),
    ],
)
def test_a_table_takes_no_other_files_place(softchat, tmp_path, name, said):
    """Neither that of the questions or results; told before a model is loaded."""
    for file in ("data.jsonl", "notes.txt"):
        (tmp_path / file).write_text('{"question": "Why?"}')
    (tmp_path / "folder.csv").mkdir()
    pupils = "name,questions,right,accuracy,remark\nAnn,3,2,0.67,good\n"
    (tmp_path / "pupils.csv").write_text(pupils)
    command = ("sweep", "data.jsonl", "--tau", "0,1", "--out", "here.jsonl", "--csv", name)
    done = softchat(*command)
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert (tmp_path / "data.jsonl").read_text() == '{"question": "Why?"}'
    assert (tmp_path / "notes.txt").read_text() == '{"question": "Why?"}'
    assert (tmp_path / "pupils.csv").read_text() == pupils


def test_a_users_defaults(softchat, data, tmp_path, real_model):
    """config.toml holds for measuring too, weaker than flags, and its τ is none for hard."""
    (tmp_path / "config.toml").write_text("tau = 0.2\npatience = 3\nsystem = 'Be brief.'\n")
    command = ("eval", str(data), *QUICK, "--limit", "1", "--json", "-m", str(real_model))
    done = softchat(*command, "--patience", "2", SOFTCHAT_HOME=str(tmp_path))
    assert done.status == 0, done
    report = json.loads(done.out)
    assert report["system"] == "Be brief."
    hard, soft = (run["settings"] for run in report["runs"])
    assert (hard["tau"], soft["tau"]) == (0, 0.2)
    assert hard["patience"] == soft["patience"] == 2


def test_compare(softchat, data):
    """Runs of a question in columns, or a line of JSON each; all with the same seed."""
    shown = softchat("compare", "What is 2 + 2?", *QUICK)
    assert shown.status == 0, shown
    assert re.search(r"What is 2 \+ 2\?\n +hard +soft *\nsteps +\d+ +\d+", shown.out)
    assert re.search(r"^thoughts +\S", shown.out, re.MULTILINE)
    lines = softchat(
        "compare", "--questions", str(data), "--json", *QUICK, "--run", "soft", "--run", "a: topn=1"
    ).out.splitlines()
    found = [json.loads(line) for line in lines]
    assert [one["run"] for one in found] == ["soft", "a"] * QUESTIONS
    assert all(len(one["entropies"]) == one["steps"] for one in found)
    assert len({one["settings"]["seed"] for one in found}) == 1
    for arguments in ([], [" "], ["What?", "--questions", str(data)]):
        assert softchat("compare", *arguments).status == 2


def test_thoughts_of_a_comparison_are_those_of_ask(softchat):
    """The token that was drawn where one was, and nothing of the closing tag."""
    flags = ("How many legs have three spiders?", "--seed", "3", "--json", "--max-answer", "3")
    for strategy in ("multiplex", "soft"):
        line = json.loads(softchat("compare", *flags, "--strategy", strategy).out)
        events = softchat("ask", *flags, "--strategy", strategy).out.splitlines()
        steps = [one for one in map(json.loads, events) if one["event"] == "step"]
        [halted] = [one for one in map(json.loads, events) if one["event"] == "halted"]
        pieces = [
            next(c["piece"] for c in one["concept"] if c["id"] == one.get("token", c["id"]))
            for one in steps[: len(steps) - halted.get("closing", 0)]
        ]
        assert line["thoughts"] == "".join(pieces).strip()
        assert pieces
        assert "</" not in line["thoughts"]


def test_a_comparison_takes_what_stdin_holds(softchat):
    """With its question, as `ask` does; nothing is passed over."""
    lines = softchat("compare", "Who?", "--json", *QUICK, stdin="Ann paid.").out.splitlines()
    assert [json.loads(line)["question"] for line in lines] == [
        'stdin:\n"""\nAnn paid.\n"""\n\nWho?'
    ] * 2


def test_mistakes(softchat, data, tmp_path):
    """What can't be evaluated is refused in words before the model is loaded."""
    words = tmp_path / "words.jsonl"
    words.write_text('{"question": "Is it?", "answer": "yes"}')
    for arguments, says in (
        (["none.jsonl"], "can't read none.jsonl"),
        ([str(words)], "the answer to question 1 is no number: yes"),
        ([str(data), "--extract", "guess"], "no way of reading answers is called 'guess'"),
        ([str(data), "--tau", "0.1,x"], "tau is 'x'"),
        ([str(data), "--run", "a: tua=1"], "no setting 'tua'"),
        ([str(data), "--run", "soft", "--run", "soft"], "two runs are called 'soft'"),
    ):
        refused = softchat("eval", *arguments)
        assert refused.status == 2, refused
        assert says in refused.err
        assert "Traceback" not in refused.err


def test_progress_counts_what_was_judged():
    """Where some questions have no answer, right is of those that have; where none has, of none."""
    runs = make_runs({}, {}, ["hard"])
    done = [
        Result(run="hard", index=n, seed=0, given="4", correct=ok, outcome=Outcome())
        for n, ok in enumerate((True, None, False))
    ]
    assert _so_far(runs, done) == "hard 1/2"
    assert _so_far(runs, done[1:2]) == "hard -/1"


def test_what_is_wrong_is_listed(capsys):
    """Question, what was read in the answer, and what was wanted; what is right is not there.

    Of a run that failed, why: the model has said nothing, be it readable or not.
    """
    outcome, failed = Outcome(), Outcome(error="the prompt has 883 tokens")
    results = [
        Result(run="soft", index=1, seed=0, given="9", correct=False, outcome=outcome),
        Result(run="soft", index=0, seed=0, given="4", correct=True, outcome=outcome),
        Result(run="hard", index=0, seed=0, given=None, correct=False, outcome=outcome),
        Result(run="hard", index=1, seed=0, given=None, correct=False, outcome=failed),
    ]
    asked = [("2+2?", "4"), ("1\x1b?", "1")]
    questions = {n: Question(index=n, text=q, answer=a) for n, (q, a) in enumerate(asked)}
    _list_wrong(Evaluation(about={}, runs=(), summary=None, results=results, questions=questions))
    assert capsys.readouterr().out.splitlines() == [
        "1 hard: nothing that can be read, not 4: 2+2?",
        "2 hard: failed: the prompt has 883 tokens: 1␛?",
        "2 soft: 9, not 1: 1␛?",
        "3 of 4 wrong",
    ]


def test_what_can_not_begin_leaves_no_results(softchat, data, tmp_path):
    """No file of them, new or named, and none is told of."""
    kept = tmp_path / "kept.jsonl"
    for command in (["eval", str(data)], ["sweep", str(data), "--tau", "0,1"], ["tune"]):
        done = softchat(*command, "--lora", str(data), "--out", "new/r.jsonl")
        assert done.status == 3, done
        assert "results:" not in done.err
        assert not list((tmp_path / "new").iterdir())
        kept.touch()
        assert softchat(*command, "--lora", str(data), "--out", str(kept)).status == 3
        assert kept.read_text().count("\n") == 1
        kept.unlink()


def test_a_blank_is_what_it_is(softchat, data):
    """Text that a run is stopped or closed by is taken as it was typed, as `ask` takes it."""
    flags = ("--stop", " ", "--max-think", "3", "--max-answer", "3", "--limit", "1", "--json")
    done = softchat("eval", str(data), "--strategy", "soft", *flags)
    assert done.status == 0, done
    (run,) = json.loads(done.out)["runs"]
    assert run["settings"]["stop"] == " "


def test_where_every_question_failed(softchat, data, tmp_path):
    """The table is there, and the status says that it holds nothing."""
    (tmp_path / "long.jsonl").write_text(json.dumps({"question": "Hi " * 600, "answer": 1}))
    done = softchat("eval", "long.jsonl", *QUICK, "--ctx", "256", "--run", "soft")
    assert done.status == 1, done
    assert "failed" in done.out
    assert done.err.splitlines()[-2].startswith("error: every question failed: ")


def test_results_of_a_split_model(softchat, data, tmp_path):
    """Each of its parts tells it from another: results of both don't come into one file."""
    first = tiny.write(tmp_path / "s.gguf", parts=2, letters=tiny.ASCII)
    flags = ("--max-think", "2", "--max-answer", "2", "--run", "soft", "--out", "r.jsonl")
    command = ("eval", str(data), "-m", str(first), *flags)
    assert softchat(*command, "--limit", "1").status == 0
    second = first.with_name(first.name.replace("00001-of", "00002-of"))
    weights = bytearray(second.read_bytes())
    weights[-1] ^= 1
    second.write_bytes(weights)
    done = softchat(*command)
    assert done.status == 2, done
    assert "model" in done.err.splitlines()[0]
