"""Flags that would do nothing beside others are told, before anything is read or loaded."""

from __future__ import annotations

import json

import pytest

MULTIPLEX = ("--strategy", "multiplex")
DATA = [{"question": f"{n} and 1?", "answer": str(n + 1)} for n in range(12)]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        *(
            (("ask", "x", "--samples", "2", *flags), f"{flags[0]} does nothing with --samples")
            for flags in (
                ("--lens",),
                ("--lens-every", "2"),
                ("--lens-tokens", "2"),
                ("--answer-entropy",),
                ("--panel",),
                ("--verbose",),
                ("--markdown",),
                ("--prompt-cache",),
            )
        ),
        (("ask", "x", "--samples", "2", "--extract", "exact"), "--extract does nothing where"),
        (("ask", "x", "--json", "--markdown"), "--markdown does nothing with --json"),
        (("ask", "x", "--no-log", "--prompt-cache"), "--prompt-cache does nothing with --no-log"),
        (("ask", "x", "-c", "--resume", "last"), "--continue and --resume exclude each other"),
        (("ask", "x", "--force"), "--force does nothing without --trace"),
        (("fork", "x", "--at", "1", "--force"), "--force does nothing without --trace"),
        (("replay", "x", "--force"), "--force does nothing without --trace"),
        (("ask", "x", "--strategy", "hard", "--topn", "3"), "--topn does nothing with strategy h"),
        (("ask", "x", "--samples", "2", "--selar-k", "3"), "--selar-k does nothing with strategy"),
        (
            ("ask", "x", *MULTIPLEX, "--multiplex-k", "1", "--multiplex-weights", "equal"),
            "--multiplex-weights does nothing with multiplex_k 1",
        ),
        (("ask", "x", "--halt", "deer", "--eat-alpha", "0.3"), "--eat-alpha does nothing with h"),
        (("ask", "x", "--answer-top-k", "3"), "--answer-top-k does nothing with answer_temperatu"),
        (("ask", "x", "--no-lens", "--lens-every", "3"), "--lens-every does nothing with lens off"),
        (("ask", "x", "--no-think", "--topn", "3"), "--topn does nothing with think off"),
        (("ask", "x", "--max-think", "0", "--tau", "1"), "--tau does nothing with max_think 0"),
        (("replay", "x", "--step", "--speed", "2"), "--speed does nothing with --step"),
        (("replay", "x", "--json", "--markdown"), "--markdown does nothing with --json"),
        (("log", "-q", "x", "show", "1"), "--query does nothing before show"),
        (("log", "--number", "3", "rm", "1"), "--number does nothing before rm"),
        (("log", "show", "1", "--code", "--markdown"), "--markdown does nothing with --code"),
        (("last", "--code", "--markdown"), "--markdown does nothing with --code"),
        (("bench", "--rpc", "127.0.0.1:9", "--at", "200"), "--at does nothing with --rpc"),
        (("bench", "--rpc", "127.0.0.1:9", "--others"), "--others does nothing with --rpc"),
        (("eval", "data.json", "--json", "--show-wrong"), "--show-wrong does nothing with --json"),
        (("ask", "x", "--device", "none", "--gpu-layers", "5"), "--gpu-layers does nothing with"),
        (("eval", "data.json", "--device", "none", "--gpu-layers", "all"), "--gpu-layers does not"),
        (("ask", "x", "--device", "none", "--rpc", "127.0.0.1:9"), "--rpc does nothing with dev"),
        (("tune", "--write", "--dry-run"), "--write and --dry-run exclude each other"),
        (
            ("eval", "data.json", "--run", "x: hard topn=2", "--run", "soft"),
            "topn in --run 'x' does nothing with strategy hard",
        ),
        (("compare", "x", "--run", "x: soft selar_k=3"), "selar_k in --run 'x' does nothing with"),
        (("tune", "data.json", "--run", "hard topn=3"), "topn in --run 'hard topn=3' does nothing"),
        (("tune", "data.json", "--seed", "1,2"), "tune takes one --seed"),
        (("compare", "x", "--lens", "on"), "--lens shows nothing in compare"),
        (("compare", "x", "--run", "hard answer_entropy=on"), "--answer-entropy shows nothing"),
        (("eval", "data.json", "--lens-every", "0,4"), "--lens-every shows nothing in eval"),
        (("sweep", "data.json", "--lens", "on,off"), "--lens shows nothing in sweep"),
        (("tune", "data.json", "--run", "soft lens=on"), "--lens shows nothing in tune"),
        (("sweep", "data.json", "--gumbel-temperature", "0.1,1"), "no run uses --gumbel-temp"),
        (("eval", "data.json", "--run", "hard", "--topn", "3"), "no run uses --topn"),
        (("compare", "x", "--run", "hard", "--strategy", "soft"), "no run uses --strategy"),
        (("eval", "data.json", "--run", "soft tau=0.1", "--tau", "0.9"), "no run uses --tau"),
        (("compare", "x", "--run", "soft seed=5", "--seed", "9"), "no run uses --seed"),
        (
            ("eval", "data.json", "--run", "hard", "--run", "soft topn=2", "--topn", "3"),
            "no run uses --topn",
        ),
        (("compare", "x", "--strategy", "hard", "--eat-alpha", "0.1,0.2"), "no run uses --eat-"),
        (("tune", "data.json", "--run", "soft", "--selar-k", "3"), "no run uses --selar-k"),
        (("eval", "data.json", "--run", "hard", "--patience", "3"), "no run uses --patience"),
        (("eval", "data.json", "--think", "off", "--topn", "3"), "no run uses --topn"),
    ],
)
def test_it_is_refused(softchat, tmp_path, command, said):
    """One line and a hint."""
    (tmp_path / "data.json").write_text(json.dumps(DATA))
    done = softchat(*command)
    assert done.status == 2, done
    message, hint = done.err.splitlines()[-2:]
    assert message.startswith(f"error: {said}"), done
    assert hint.startswith("hint: ")


def test_what_is_so_anyway_may_be_said(softchat, own_home):
    """A `--no-…`; a variable, which is for all commands; a setting of one run of several.

    What config.toml or a prompt says is for other runs, too; a 0 that means never holds anyway.
    """
    quick = ("--max-think", "2", "--max-answer", "2", "--threads", "1")
    off = ("--no-panel", "--no-lens", "--no-markdown", "--no-prompt-cache")
    done = softchat("ask", "x", "--samples", "2", *off, *quick, SOFTCHAT_PANEL="1")
    assert done.status == 0, done
    assert softchat("compare", "x", "--topn", "2", *quick, "--lens", "off").status == 0
    assert softchat("compare", "x", "--think", "off", *quick[2:]).status == 0  # hard and soft
    done = softchat("ask", "x", "--device", "none", "--gpu-layers", "0", *quick)
    assert done.status == 0, done
    (own_home / "config.toml").write_text("topn = 3\ngpu_layers = 5\n[prompts.p]\nselar_k = 4\n")
    quick += ("--device", "none")
    hard = ("ask", "-t", "p", "x", "--strategy", "hard", "--drift-steps", "0", *quick)
    done = softchat(*hard, SOFTCHAT_PATIENCE="3")
    assert done.status == 0, done
