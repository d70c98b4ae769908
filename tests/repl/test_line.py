"""What Tab offers on a session's line."""

from __future__ import annotations

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.keys import Keys

from softchat.repl.line import PasteParser, SlashCompleter
from softchat.settings import KNOBS, resolve


def offered(text, **knobs):
    """What is offered behind this text, where the next turn has these settings."""
    settings = resolve(knobs)
    names = [name for name in KNOBS if settings.uses(name)]
    takes = {"/set": "setting", "/again": "settings"}
    completer = SlashCompleter(takes, lambda: [], lambda: names)
    found = completer.get_completions(Document(text), CompleteEvent())
    return [one.text for one in found]


def test_only_knobs_that_are_used_are_offered():
    """Those of the chosen strategy and rule, and those of all."""
    plain = offered("/set ")
    assert {"tau", "strategy", "topn", "halt"} <= set(plain)
    assert not {"gumbel_temperature", "selar_k", "sure_entropy", "halt_at"} & set(plain)
    assert "selar_k" in offered("/set ", strategy="selar")
    assert "topn" not in offered("/set ", strategy="hard")
    assert {"eat_alpha", "halt_at"} <= set(offered("/set ", halt="eat"))
    assert "deer_probes=" not in offered("/again ", halt="eat")
    assert "eat_alpha=" in offered("/again ", halt="eat")


def test_values_are_offered_for_any():
    """What can be listed, whether it is used or not."""
    assert offered("/set multiplex_weights ") == ["equal", "probability"]
    assert "deer" in offered("/set halt ")


def keys_of(*fed):
    """The keys that these pieces are; None: nothing comes for a while."""
    presses = []
    parser = PasteParser(presses.append)
    for piece in fed:
        parser.flush() if piece is None else parser.feed(piece)
    return [(press.key, press.data) for press in presses]


def test_a_ctrl_c_ends_a_paste_without_end():
    """What was pasted is there, and the keys behind it are heard again."""
    fed = ("\x1b[200~a\nb", None, "c", "\x03", None, "d")
    pasted = (Keys.BracketedPaste, "a\nbc")
    assert keys_of(*fed) == [pasted, (Keys.ControlC, "\x03"), ("d", "d")]


def test_a_slow_paste_is_one():
    """Whatever its pieces, a Ctrl-C among them too, unless it comes last and nothing follows."""
    fed = ("\x1b[200~a", None, "b\x03", "c", None, "\x1b[20", None, "1~d")
    assert keys_of(*fed) == [(Keys.BracketedPaste, "ab\x03c"), ("d", "d")]
