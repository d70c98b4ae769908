"""What a stranger wrote, in a session on a real terminal: its file, file names, the prompt."""

from __future__ import annotations

import json
import time

from softchat.base.interrupt import TWICE_S
from softchat.record.session_format import SCHEMA
from tests.faults.strangers import EVIL
from tests.terminal import Terminal

PROMPT = r">[^\n]*\s*\n[^\n]*context \d+/\d+$"
SHORT = ("--max-think", "2", "--max-answer", "2")
# Those that the prompt itself has no use for: whoever sees one on the wire sees the stranger's.
FOREIGN = [
    evil
    for evil in EVIL
    if evil[0] in "\x1b\x9b\x9d\x90\u202e\u2066\u200f\u2028\u2029\u061c" and evil != "\x1b[2J"
]  # fmt: skip
WAIT_S = 120  # for a machine that does much else


def clear(one):
    """Ctrl-C on the prompt clears its line, and says how to leave."""
    one.screen.reset()
    one.child.send("\x03")
    one.until(r"quit leaves[\s\S]*" + PROMPT, WAIT_S)
    time.sleep(TWICE_S)  # one more within this time would leave


def test_a_session_of_a_stranger(own_home, environ, tmp_path):
    """Taken up, asked in, looked into, completed: the terminal gets none of what is in it."""
    evil = "".join(FOREIGN)
    turn = {"question": evil, "answer": evil, "settings": {"tau": evil, evil: evil}}
    data = {
        "schema": SCHEMA, "started": evil, "updated": evil, "model": "smollm2", "system": evil,
        "turns": [turn], "pending": evil, "closed": False,
    }  # fmt: skip
    folder = own_home / "sessions"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(data))
    names = tmp_path / "names"
    names.mkdir()
    for number, text in enumerate(FOREIGN):
        (names / f"{number}{text.replace('/', '')}").write_text("")
    one = Terminal(("--resume", "last", *SHORT), environ, columns=150, lines=50)
    one.until(PROMPT, WAIT_S)
    clear(one)  # of the pending question
    for line, shown in (
        ("Why?", "thought 2 "), ("/stats", "positions"), ("/think", "H"), ("/undo", "taken back"),
        ("/set tau " + "x" * 9, "it must be"),
    ):  # fmt: skip
        one.screen.reset()
        one.child.send(line + "\r")
        one.until(shown + r"[\s\S]*" + PROMPT, WAIT_S)
    one.child.send(f"/load {names}/\t")
    one.until(r"names/[^\n]*\n +0[\s\S]*\n +1", WAIT_S)  # the menu of completions
    one.child.send("\t")
    one.until(r"names/0", WAIT_S)
    clear(one)
    one.child.send("/quit\r")
    assert one.finish(WAIT_S) == 0
    assert (one.screen.title, one.screen.icon_name) == ("", "")
    found = [evil for evil in FOREIGN if evil.encode() in one.raw]
    assert found == []
