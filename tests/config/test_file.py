"""config.toml: what it gives, what it refuses, and what a damaged one costs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from softchat.config.file import OPTIONS, Config, load_config
from softchat.config.layers import Layers, Source
from softchat.errors import UsageError
from softchat.models import Located
from softchat.models.entry import ModelEntry, PathSource
from softchat.settings import KNOBS, StrategyName


@pytest.fixture
def load(tmp_path):
    """Load a config.toml of this text; warnings are errors."""

    def load_(text):
        (tmp_path / "config.toml").write_text(text)
        return load_config({"SOFTCHAT_HOME": str(tmp_path)}, warn=pytest.fail)

    return load_


def found(name="mine", aliases=(), **defaults):
    entry = ModelEntry(
        name=name, aliases=aliases, source=PathSource(path=Path("x.gguf")), defaults=defaults,
        system="Think.",
    )  # fmt: skip
    return Located(name=name, path=Path("x.gguf"), entry=entry)


def said(**values):
    return Source(values=values, origin=lambda name: f"--{name}")


def test_without_a_file_there_is_nothing(tmp_path):
    """No file, no folder: no warning, nothing set."""
    for home in (tmp_path, tmp_path / "no" / "where"):
        config = load_config({"SOFTCHAT_HOME": str(home)}, warn=pytest.fail)
        assert config == Config()
        assert config.model is None


def test_the_strongest_source_counts_and_is_told(load):
    """Flag, variable and /set over the model's part, over the file, over models.toml, over all."""
    config = load(
        'topn = 4\npatience = 5\nsystem = "Be\\nbrief."\n'
        "\n[models.mine]\npatience = 6\nmin_p = 0.5\n"
    )
    layers = Layers(
        suits=config.suits(found(topn=3, top_k=7, patience=2)),
        chosen=[said(min_p=0.25, threads=3)],
    )
    layers.session["seed"] = 8
    once = layers.resolve(max_think=2)
    assert (once.topn, once.patience, once.min_p, once.top_k) == (4, 6, 0.25, 7)
    assert (once.seed, once.max_think) == (8, 2)
    origins = {name: layers.origin(name) for name in (*KNOBS, *OPTIONS)}
    assert origins["topn"] == "config.toml:1"
    assert origins["patience"] == "config.toml:6"
    assert origins["system"] == "config.toml:3"
    assert origins["min_p"] == "--min_p"
    assert origins["top_k"] == "models.toml"
    assert origins["seed"] == "/set"
    assert origins["max_answer"] == origins["ctx"] == "built in"
    assert layers.value("threads") == 3
    assert layers.value("system") == "Be\nbrief."


@pytest.mark.parametrize("called", ["mine", "other", "hub/a.b/C"])
def test_a_part_for_a_model_is_for_no_other(load, called):
    """By its name, an alias, or whatever name a model without an entry has."""
    config = load(f'[models."{called}"]\ntopn = 2\n')
    model = Located(name=called, path=Path("x.gguf"), entry=None)
    mine = model if "/" in called else found(aliases=("other",))
    assert Layers(suits=config.suits(mine)).resolve().topn == 2
    assert Layers(suits=config.suits(found(name="third"))).resolve().topn == 10


def test_a_seed_is_drawn_unless_somebody_gives_one(load):
    """models.toml and config.toml give one as well as a flag does."""
    drawn = Layers(suits=load("").suits(found()))
    assert drawn.resolve().seed != drawn.resolve().seed
    assert drawn.origin("seed") == "drawn for each turn"
    assert Layers(suits=load("").suits(found(seed=3))).resolve().seed == 3
    assert Layers(suits=load("seed = 4").suits(found(seed=3))).resolve().seed == 4


def test_a_limit_alone_names_its_rule():
    """Who gives sure_entropy gives halt too, unless that is given itself."""
    flag = Source(values={"sure_entropy": 0.1}, origin=lambda name: f"--{name}")
    layers = Layers(suits=[flag])
    assert (layers.resolve().halt, layers.origin("halt")) == ("sure", "--sure_entropy")
    layers.session["halt"] = "none"
    assert (layers.resolve().halt, layers.origin("halt")) == ("none", "/set")


def test_a_tau_of_the_file_gives_hard_no_cold_stop(load):
    """The baseline has none unless it is asked for: by a flag, a variable, or /set."""
    suits = load('tau = 0.2\nstrategy = "hard"').suits(found(tau=0.1))
    layers = Layers(suits=suits)
    assert (layers.resolve().strategy, layers.resolve().tau) == (StrategyName.HARD, 0)
    assert layers.origin("tau") == "strategy hard"
    assert layers.resolve(strategy="soft").tau == 0.2
    layers.session["tau"] = 0.3
    assert (layers.resolve().tau, layers.origin("tau")) == (0.3, "/set")
    chosen = Layers(suits=suits, chosen=[said(tau=0.4)])
    assert (chosen.resolve().tau, chosen.origin("tau")) == (0.4, "--tau")


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("tau = 1979-05-27", 1, "tau is 1979-05-27", "it must be a number of at least 0"),
        ("tau = true", 1, "tau is true", "it must be a number of at least 0"),
        ("seed = 07:32:00", 1, "seed is 07:32:00", "it must be a whole number"),
        ("think = 1979-05-27", 1, "think is 1979-05-27", "it must be true or false"),
        ("halt = [1979-05-27]", 1, "halt is [1979-05-27]", "it can be: "),
        ("stop = 1979-05-27T07:32:00", 1, "stop is 1979-05-27T07:32:00", "it must be text"),
        ("rpc = 1979-05-27", 1, "rpc is 1979-05-27", "it must be a string in quotes"),
        ("gpu_layers = 1979-05-27", 1, "gpu_layers is 1979-05-27", "it can be: auto"),
        ("[prompts]\na = 1979-05-27", 2, "a is 1979-05-27", "it must be a string in quotes"),
        ("# mine\ntou = 1", 2, "no key 'tou' here", "did you mean 'tau'?"),
        ("tau = -1", 1, "tau is -1", "it must be a number of at least 0"),
        ('tau = "x"', 1, "tau is 'x'", "it must be a number of at least 0"),
        ("\nthreads = 1.5", 2, "threads is 1.5", "it must be a whole number from 0 to 1024"),
        ("gpu_layers = -2", 1, "gpu_layers is '-2'", "it can be: auto, all, or a whole number"),
        ('gpu_layers = "some"', 1, "gpu_layers is 'some'", "auto, all, or a whole number"),
        ("gpu_layers = true", 1, "gpu_layers is true", "it can be: auto, all, or a whole number"),
        ("gpu_layers = 1.5", 1, "gpu_layers is 1.5", "it can be: auto, all, or a whole number"),
        ('think = "off"', 1, "think is 'off'", "it must be true or false"),
        ('strategy = ["soft"]', 1, "strategy is ['soft']", "it can be: soft, hard"),
        ("[prompts]\na = 3", 2, "a is 3", "it must be a string in quotes, or a table"),
        ("[models.x]\nlog = false", 2, "no key 'log' here", "it belongs above the first table"),
        (f"\nseed = {10**20}", 2, "seed is larger than a number can be", "have 64 bits"),
        (f"[models.x]\nctx = {10**20}", 2, "ctx is larger than a number can be", "64 bits"),
        ('cache_type = "q9"', 1, "cache_type is 'q9'", "it can be: f16, q8_0"),
        ('flash_attn = "yes"', 1, "flash_attn is 'yes'", "it can be: auto, on, off"),
        ('rpc = "a:b"', 1, "a:b is no address of a server", "HOST:PORT"),
        ("ctx = true", 1, "ctx is true", "it must be a whole number from 0 to 16777216"),
        ('panel = "off"', 1, "panel is 'off'", "it must be true or false"),
        ("model = 3", 1, "model is 3", "it must be a string in quotes"),
        ("[models.x]\ntopn = 0", 2, "topn is 0", "it must be a whole number of at least 1"),
        ("[models.x]\n\nmodel = 'y'", 3, "no key 'model' here", "there are: "),
        ("[models.a.b]\ntopn = 3", 1, "no key 'b' here", 'needs quotes: [models."a.b"]'),
        (
            "[prompts.p]\nprompt = '$lang $input'\n\ndefaults.lan = 'x'",
            4, "the text has no $lan to give a value to", "it has: $lang",
        ),
        (
            "[prompts.p]\nprompt = '$input'\ndefaults = {input = 'x'}",
            3, "$input is what is asked, and has no default", "leave it out",
        ),
        ("models = 3", 1, "models is 3", "it must be a table: [models]"),
    ],
)  # fmt: skip
def test_a_mistake_is_an_error_with_its_line(load, text, place, message, hint):
    """File, line, what is wrong, and what would be right: nothing is passed over in silence."""
    with pytest.raises(UsageError) as caught:
        load(text)
    assert re.match(rf".*config\.toml:{place}: ", caught.value.message)
    assert caught.value.message.endswith(message)
    assert hint in caught.value.hint


def test_a_damaged_file_shuts_nobody_out(tmp_path):
    """No TOML, no text, a folder, a loop of links: one warning that names it, and no config."""
    file = tmp_path / "config.toml"

    def warned():
        said = []
        assert load_config({"SOFTCHAT_HOME": str(tmp_path)}, warn=said.append) == Config()
        (line,) = said
        assert line.endswith("; going on without it")
        assert "\n" not in line
        return line

    file.write_text("tau = 1\ntau = [")
    assert "config.toml:2: " in warned()
    file.write_bytes(b"tau = 1\n\n# \xff")
    assert "config.toml:3: not valid UTF-8" in warned()
    file.unlink()
    file.mkdir()
    assert "cannot read" in warned()
    file.rmdir()
    file.symlink_to(file)
    assert "cannot read" in warned()


def test_a_file_that_may_not_be_read_is_a_warning(tmp_path, monkeypatch):
    """No rights to it: told, and no more. (Whoever runs tests as root may read everything.)"""

    def refuse(*_args, **_more):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "config.toml").touch()
    monkeypatch.setattr(os, "open", refuse)
    said = []
    load_config({"SOFTCHAT_HOME": str(tmp_path)}, warn=said.append)
    assert "Permission denied" in said[0]


def test_the_example_says_nothing_and_may_say_all_of_it(load):
    """As it is it changes nothing; each of its lines is right when its # is taken away."""
    text = (Path(__file__).parents[2] / "docs" / "config.toml").read_text()
    assert load(text).values == {}
    wanted = re.sub(r"^# (?=\w+ = |\[)", "", text, flags=re.MULTILINE)
    config = load(wanted)
    assert {"tau", "ctx", *OPTIONS} <= config.values.keys()
    assert config.models["smollm2-135m"]["topn"] == 3


def test_one_model_has_one_part(load):
    """Under its name and an alias, one of the two would count for nothing."""
    config = load("[models.mine]\ntopn = 3\n[models.other]\ntopn = 4\n")
    with pytest.raises(UsageError, match=r"config.toml:3: 'mine' and 'other' are one model"):
        config.suits(found(aliases=("other",)))
    assert Layers(suits=config.suits(found())).resolve().topn == 3


def test_a_system_prompt_in_a_file(load, tmp_path):
    """It is looked for beside config.toml; where there is none, the line is told."""
    (tmp_path / "brief.txt").write_text("Be brief.\n")
    config = load('system = "@brief.txt"\n[prompts.a]\nprompt = "x"\nsystem = "@brief.txt"\n')
    assert config.values["system"] == "Be brief."
    assert config.prompts["a"].chosen.values["system"] == "Be brief."
    for text in ("@nosuch", "@"):
        with pytest.raises(UsageError, match=r"config.toml:2: "):
            load(f'topn = 3\nsystem = "{text}"\n')


@pytest.mark.parametrize("table", ["", "[models.x]\n", "[prompts.x]\n"])
@pytest.mark.parametrize("system", ["3", '"@nowhere.txt"'])
def test_a_mistake_is_told_with_one_place(load, tmp_path, table, system):
    """Not with the same one twice."""
    with pytest.raises(UsageError) as caught:
        load(f"{table}system = {system}\n")
    assert caught.value.message.count("config.toml") == 1
    assert caught.value.message.startswith(f"{tmp_path}/config.toml:{1 + bool(table)}: ")


def test_files_that_it_is_made_of(load, tmp_path):
    """It is one of them even where it is not there; those that system prompts name are too."""
    home = tmp_path / "empty"
    config = load_config({"SOFTCHAT_HOME": str(home)}, warn=pytest.fail)
    assert config.files == (home / "config.toml",)
    for name in "abc":
        (tmp_path / name).write_text("text")
    config = load(
        'system = "@a"\n[models.x]\nsystem = "@b"\n[prompts.x]\nsystem = "@c"\n'
        '[prompts.y]\nsystem = "Be brief."\n'
    )
    assert config.files == tuple(tmp_path / name for name in ("config.toml", *"abc"))
