"""`softchat tune` as a user runs it, on a tiny model with random weights."""

from __future__ import annotations

import json

import pytest

from tests import tiny

QUICK = ("--threads", "1", "--parallel", "3", "--max-think", "2", "--answer-temperature", "0")
OWN = '# mine\n[models.tiny]\nsource = {{ type = "path", path = "{path}" }} # here\n'


@pytest.fixture
def model(tmp_path):
    """A models.toml of one's own that knows the tiny model."""
    # The first letter alone: all questions make one prompt, so one answer is that of all.
    template = "{{ messages[0].content[:1] }}<think>"
    path = tiny.write(tmp_path / "tiny.gguf", chat_template=template, letters=tiny.ASCII)
    file = tmp_path / "own.toml"
    file.write_text(OWN.format(path=path))
    return ("-m", "tiny", "--models-file", str(file)), file


def write(path, answer, count=24):
    path.write_text(
        "\n".join(json.dumps({"question": f"q{n}?", "answer": answer}) for n in range(count))
    )
    return str(path)


@pytest.fixture
def won(softchat, model, tmp_path):
    """Questions on which three tokens of answer are right, and the one of the controls is not."""
    data = write(tmp_path / "any.jsonl", "x", count=1)
    run = ("--run", "long: soft topn=1 max_answer=3")
    out = str(tmp_path / "r.jsonl")
    done = softchat("eval", data, *model[0], *QUICK, *run, "--extract", "exact", "--out", out)
    assert done.status == 0, done
    result = json.loads((tmp_path / "r.jsonl").read_text().splitlines()[1])
    return write(tmp_path / "won.jsonl", result["answer"])


def tune(softchat, data, model, *more):
    return softchat(
        "tune", data, *model[0], *QUICK, "--extract", "exact", "--max-answer", "1", *more
    )


LONG = ("--run", "soft topn=1", "--run", "long: soft topn=1 max_answer=3")


def test_what_is_better_is_found_and_written_down(softchat, model, won):
    """The verdict names it; --dry-run shows what --write then puts beside what is there."""
    shown = tune(softchat, won, model, *LONG, "--dry-run")
    assert shown.status == 0, shown
    assert shown.out.startswith("Use long. long was right on 100.0% of 16 questions")
    assert "hard, the best of the controls, on 0.0%" in shown.out
    assert "[models.tiny.defaults]" in shown.err
    assert "defaults" not in model[1].read_text()
    written = tune(softchat, won, model, *LONG, "--write")
    assert written.status == 0, written
    text = model[1].read_text()
    assert text.startswith("# mine\n[models.tiny]\n")
    assert "# here" in text
    assert 'strategy = "soft"' in text
    assert "max_answer = 3" in text
    assert "seed" not in text


def test_what_is_no_better_is_not_written(softchat, model, tmp_path):
    """On questions that nobody gets right it says so, and the file stays as it is."""
    before = model[1].read_text()
    done = tune(softchat, write(tmp_path / "q.jsonl", "never"), model, *LONG, "--write")
    assert done.status == 0, done
    assert done.out.startswith("Nothing that was tried is shown to beat ordinary decoding.")
    assert model[1].read_text() == before


def test_it_goes_on_where_it_was(softchat, model, won, tmp_path):
    """A second time nothing is run, and the verdict is the same, and who went out when."""
    more = (*LONG, "--json", "--out", str(tmp_path / "tuned.jsonl"))
    one = json.loads(tune(softchat, won, model, *more).out)
    lines = (tmp_path / "tuned.jsonl").read_text()
    again = json.loads(tune(softchat, won, model, *more).out)
    assert (tmp_path / "tuned.jsonl").read_text() == lines
    for name in ("verdict", "winner", "settings", "proof", "out"):
        assert one[name] == again[name]
    assert one["verdict"] == "better"
    assert one["proof"]["tries"] == 3
    assert one["out"] == {"soft topn=1": 8}
    proving = {json.loads(line)["run"] for line in lines.splitlines()[-8:]}
    assert "soft topn=1" not in proving


def test_without_time_there_is_no_verdict(softchat, model, won, tmp_path):
    """It says so, and nothing else."""
    hurry = ("--minutes", "0.00001", "--write", "--out", str(tmp_path / "new.jsonl"))
    done = tune(softchat, won, model, *LONG, *hurry)
    assert done.status == 0, done
    assert done.out.startswith("No verdict")
    assert "defaults" not in model[1].read_text()


@pytest.mark.parametrize("minutes", ["nan", "inf"])
def test_time_is_a_number(softchat, won, model, minutes):
    """With NaN it would never end, without a word."""
    done = tune(softchat, won, model, "--minutes", minutes)
    assert done.status == 2
    assert done.err.splitlines() == [f"error: --minutes is {minutes}", "hint: 0: any"]


def test_twelve_candidates_are_tried_if_none_is_named(softchat, model, won):
    """Those that are the same as another one on this model are tried once."""
    report = json.loads(tune(softchat, won, model, "--json", "--topn", "3").out)
    assert len(report["candidates"]) == 11  # `soft` is `soft topn=3` here
    assert set(report["controls"]) == {"hard", "hard argmax", "hard, cold stop"}


def test_controls_stay_what_they_are(softchat, model, won):
    """Settings that hold for all are no part of what makes a control; a strategy is a candidate."""
    flags = ("--json", "--tau", "0.3", "--halt", "sure", "--strategy", "selar", "--max-think", "1")
    report = json.loads(tune(softchat, won, model, *flags).out)
    drawn, argmax, cold = report["controls"].values()
    assert (drawn["tau"], argmax["tau"], cold["tau"]) == (0, 0, 0.3)
    assert {one["halt"] for one in (drawn, argmax, cold)} == {"none"}
    assert [one["strategy"] for one in report["candidates"].values()] == ["selar"]


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (("--strategy", "hard,soft", "--halt", "sure"), "hard, as set"),
        (("--run", "hard argmax: soft topn=2"), "hard argmax, as set"),
    ],
)
def test_no_candidate_has_the_name_of_a_control(softchat, model, won, asked, name):
    """Or the results of both would be those of each, and the file could not be gone on with."""
    one, again = (tune(softchat, won, model, "--json", *asked) for _ in range(2))
    assert (one.status, again.status) == (0, 0), again
    report = json.loads(again.out)
    assert name in report["candidates"]
    assert set(report["controls"]) == {"hard", "hard argmax", "hard, cold stop"}
    taken = ("--run", "hard: soft topn=2", "--run", "hard, as set: soft topn=1")
    refused = tune(softchat, won, model, *taken)
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith("error: two runs are called 'hard, as set'\n")


def test_what_cannot_be(softchat, model, tmp_path):
    """Too few questions, nothing to try, a model without a name: a line and a hint each."""
    few = tune(softchat, write(tmp_path / "few.jsonl", "7", count=5), model)
    assert few.status == 2
    assert "5 questions are too few" in few.err
    data = write(tmp_path / "q.jsonl", "7")
    same = tune(softchat, data, model, "--run", "hard")
    assert same.status == 2
    assert "no candidate but ordinary decoding" in same.err
    nameless = softchat("tune", data, "-m", str(tmp_path / "tiny.gguf"), "--write")
    assert nameless.status == 2
    assert "softchat models add" in nameless.err
