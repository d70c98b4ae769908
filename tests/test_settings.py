"""Every knob and its range."""

from __future__ import annotations

import pytest

from softchat.errors import UsageError
from softchat.settings import KNOBS, Settings, StrategyName, check, parse, resolve


def test_the_last_layer_wins():
    """Flags beat the model's own defaults, which beat softchat's."""
    settings = resolve({"tau": 0.5, "topn": 3}, {"seed": 7}, {"topn": 4})
    assert (settings.tau, settings.topn, settings.seed) == (0.5, 4, 7)
    assert settings.patience == Settings().patience


@pytest.mark.parametrize("text", ["|", "||", "|||||"])
def test_stop_strings_that_are_none(text):
    """Bars alone name no text that could end an answer; beside one they are harmless."""
    for read in (check, parse):
        with pytest.raises(UsageError, match="no text") as caught:
            read("stop", text)
        assert "stands between texts" in caught.value.hint
    assert [check("stop", one) for one in ("", "a|", "||a", " ")] == ["", "a|", "||a", " "]


def test_the_baseline_has_no_cold_stop_unless_asked():
    """`hard` is ordinary chain of thought: a model's own τ is not applied to it, a flag's is."""
    assert resolve({"tau": 0.5}, {"strategy": "hard"}).tau == 0
    assert resolve({"tau": 0.5}, {"strategy": "hard", "tau": 0.1}).tau == 0.1
    assert resolve({"tau": 0.5}, {"strategy": "soft"}).tau == 0.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tau", -0.1),
        ("tau", float("nan")),
        ("tau", float("inf")),
        ("tau", "0.1"),
        pytest.param("tau", 10**400, id="tau-huge"),
        ("patience", 0),
        ("patience", 1.5),
        ("topn", 0),
        ("topn", True),
        ("top_p", 1.1),
        ("min_p", -1),
        ("max_answer", 0),
        ("seed", 2**32),
        ("strategy", "softer"),
    ],
)
def test_a_value_out_of_range_is_refused_in_words(name, value):
    """The message names the setting and the hint says what it can be."""
    with pytest.raises(UsageError, match=name) as caught:
        check(name, value)
    assert "it" in caught.value.hint
    with pytest.raises(UsageError, match=name):
        resolve({name: value})


def test_an_unknown_name_gets_a_close_one():
    """A slip of the finger is answered with the name that was meant."""
    with pytest.raises(UsageError) as caught:
        check("patienc", 3)
    assert "'patience'" in caught.value.hint


def test_the_limits_themselves_are_allowed():
    """Both ends of every range are inside it."""
    for name, knob in KNOBS.items():
        for end in ("low", "high"):
            if knob.metadata[end] is not None:
                assert check(name, knob.metadata[end]) == knob.metadata[end]


def test_settings_are_plain_values_for_events():
    """`to_dict` holds every knob, as JSON can carry it."""
    plain = Settings(strategy=StrategyName.HARD).to_dict()
    assert set(plain) == set(KNOBS)
    assert type(plain["strategy"]) is str


def test_switches_are_on_or_off():
    """As people type them; as a value they are true or false, and nothing else."""
    assert parse("think", "off") is False
    assert parse("think", "On") is True
    for value in ("maybe", 1, None):
        with pytest.raises(UsageError, match="think is"):
            check("think", value)
