"""The HTML page: what data it carries, and that none of it is markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

from softchat.events import Lens
from softchat.plots.data import run_plot
from softchat.plots.page import make_page
from softchat.record.runs import Run
from tests.recordings import HOSTILE, run_of, started, step

LINES = "\u2028\u2029"


class Page(HTMLParser):
    """What a browser would see of a page: its elements, and the text of each script."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "script" and data.strip():
            self.scripts.append(data)


def page_of(*steps, **more):
    return Page(make_page([run_plot(Run.of(run_of(*steps, **more)), HOSTILE)]))


def test_the_page_carries_the_run():
    """All tokens of each step, weights and entropies, the answer."""
    thought = step(0, entropy=0.4, below=1, why="one leads", _a=0.75, _b=0.25)
    page = page_of(thought, begin=started("tiny"))
    (run,) = json.loads(page.scripts[0])
    assert run["tokens"] == [[["·a", 0.75, 0], ["·b", 0.25, 1]]]
    assert (run["entropy"], run["below"], run["soft"]) == ([0.4], [1], [True])
    assert run["why"] == ["one leads"]
    assert (run["tau"], run["patience"], run["reason"]) == (0.5, 3, "cold stop")
    assert run["answer"] == "four legs"


def test_the_page_has_what_it_would_have_answered():
    """By step, with its entropy."""
    seen = Lens(index=0, text="</script>4", entropy=0.5, whole=False, elapsed_s=0.1)
    page = page_of(step(0), seen)
    (run,) = json.loads(page.scripts[0])
    assert run["seen"] == [[0, 0.5, "</script>4…"]]
    assert page.elements == page_of().elements


def test_nothing_of_a_trace_is_markup_or_code():
    """Whatever the names, pieces and answers are, the page has the elements of an empty one."""
    wild = page_of(
        step(0, why=HOSTILE, **{HOSTILE + LINES: 1.0, "<!--": 0.5, "<script>": 0.1, "]]>": 0.1}),
        answer=(HOSTILE + LINES + "<!--<script>",), begin=started(HOSTILE),
    )  # fmt: skip
    assert wild.elements == page_of().elements
    assert wild.scripts[1] == page_of().scripts[1]
    (run,) = json.loads(wild.scripts[0])
    assert "<b>" in run["tokens"][0][0][0]
    assert "\x1b" not in wild.scripts[0]


def test_the_page_needs_nothing_else():
    """It names no address, loads nothing, and forbids itself to."""
    page = page_of(step(0))
    assert not [tag for tag, _ in page.elements if tag in ("link", "img", "iframe", "base")]
    assert not [a for _, a in page.elements if a.keys() & {"src", "href"}]
    policies = [a["content"] for _, a in page.elements if "http-equiv" in a]
    assert policies[0].startswith("default-src 'none'")
    own = make_page([])
    assert set(re.findall(r"https?://[^\"' ]+", own)) == {"http://www.w3.org/2000/svg"}


def test_the_script_makes_no_markup():
    """It puts text into nodes; that is why nothing has to be escaped for it."""
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval", make_page([]))
