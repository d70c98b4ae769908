"""The pages: what the program writes of them is up to date, and every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from softchat.config.file import OPTIONS
from softchat.events import HaltReason
from softchat.repl.commands import COMMANDS
from softchat.settings import StrategyName
from tests import reference

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("[!R]*.md"))]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```$", re.M | re.S)


# Flags of pip and of scripts, which stand in the pages too.
FOREIGN = {
    "--find-links",
    "--no-cache-dir",
    "--extra-index-url",
    "--strategies",
    "--seeds",
    "--set",
    "--bins",
}


def links(page: Path) -> list[tuple[Path, str]]:
    """The files that a page links to, each with the heading that is meant, if one is."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    found = [link.partition("#") for link in _LINK.findall(text) if "://" not in link]
    return [((page.parent / to).resolve() if to else page, heading) for to, _, heading in found]


def headings(page: Path) -> set[str]:
    """The names by which a page's headings are linked to, as GitHub makes them."""
    lines = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text("utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", reference.pages(), ids=name_of)
def test_a_written_page_is_up_to_date(page):
    """`python -m tests.reference` would change nothing."""
    assert page.read_text("utf-8") == reference.pages()[page]


def test_the_reference_does_not_hang_on_the_terminal(monkeypatch):
    """Nor on variables: narrow, coloured or set otherwise, help is written the same."""
    before = reference.pages()
    for name, value in {
        "COLUMNS": "33", "TERMINAL_WIDTH": "33", "FORCE_COLOR": "1", "TERM": "dumb",
        "SOFTCHAT_TAU": "0.7", "SOFTCHAT_MODELS": "/nowhere", "LANG": "C",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert reference.pages() == before


def test_the_reference_is_what_a_terminal_of_80_columns_shows(softchat):
    """Of the real command line."""
    shown = softchat("plot", "--help", COLUMNS="80").out.replace("python -m softchat", "softchat")
    assert f"```text\n{shown.rstrip()}\n```" in (ROOT / "docs" / "reference.md").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    """To a file that is there, and to a heading in it."""
    for to, heading in links(page):
        assert to.exists(), to
        assert not heading or heading in headings(to), (to, heading)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_in_code_exists(page):
    """Files and folders of this repository that a page names without a link."""
    text = page.read_text("utf-8")
    named = re.findall(r"(?<![\w./-])(?:softchat|tests|training|benchmarks)/[\w./-]*[\w/]", text)
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_flag_exists(page):
    """What is written as a flag, or behind `softchat`, stands in the reference."""
    text = page.read_text("utf-8")
    code = re.findall(r"`((?:--|softchat )[^`\n]+)`", text)
    code += re.findall(r"^softchat .*$", text, re.M)
    reference_ = (ROOT / "docs" / "reference.md").read_text("utf-8")
    known = set(re.findall(r"--[\w-]+", reference_)) | FOREIGN
    assert set(re.findall(r"(?<!\S)--[\w-]+", "\n".join(code))) <= known


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("chat.md", COMMANDS),
        ("config.md", OPTIONS),
        ("events.md", HaltReason),
        ("strategies.md", StrategyName),
    ],
    ids=["commands", "options", "reasons", "strategies"],
)
def test_nothing_is_left_out(page, names):
    """Slash commands, options, reasons and strategies: each has its place."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    assert [name for name in names if f"`{name}" not in text] == []


def test_every_page_can_be_reached():
    """From the README, link by link."""
    reached, open_ = set(), [README]
    while open_:
        page = open_.pop()
        reached.add(page)
        new = {to for to, _ in links(page) if to.suffix == ".md"} - reached
        open_ += sorted(new)
    assert {name_of(page) for page in PAGES} <= {name_of(page) for page in reached}


def test_the_map_of_the_code_is_complete():
    """The README names every file and folder of the package, but for what any package has."""
    parts = {path for path in (ROOT / "softchat").iterdir() if path.suffix == ".py"}
    parts |= {path.parent for path in (ROOT / "softchat").glob("*/__init__.py")}
    named = {to for to, _ in links(README)}
    assert {path.name for path in parts - named} == {"__init__.py", "__main__.py"}


def test_the_loop_is_two_clicks_away():
    """The README links the file, and the file has what it is said to have."""
    loop = ROOT / "softchat" / "thinking" / "think.py"
    assert (loop, "") in links(README)
    assert "def think_steps(" in loop.read_text("utf-8")


def test_the_readme_stays_short():
    """Under 200 lines."""
    assert len(README.read_text("utf-8").splitlines()) < 200


@pytest.mark.parametrize(
    ("mark", "ends"),
    [("install", 'gives away 5. How many has he now?"'),
     ("tests", ".venv/bin/python tests/check.py")],
)  # fmt: skip
def test_the_two_commands_stand_where_they_are_cut_out(mark, ends):
    """Behind their mark a block of one line, which begins from nothing."""
    text = README.read_text("utf-8")
    [command] = re.findall(rf"^<!-- {mark} -->\n```sh\n(.+)\n```$", text, re.M)
    assert command.startswith("python3 -m venv .venv && ")
    assert command.endswith(ends)


def test_no_everyday_job_takes_more_keys_than_elsewhere():
    """In the table of docs/everyday.md; a cell with more than keys in it is no way to do it."""
    text = (ROOT / "docs" / "everyday.md").read_text("utf-8")
    _, _, after = text.partition("<!-- keys")
    rows = [line.strip("| ").split(" | ") for line in after.splitlines() if line.startswith("|")][
        2:
    ]
    assert len(rows) >= 5
    for job, *others, mine in rows:
        keys = [cell[1:-1] for cell in others if re.fullmatch("`[^`]+`", cell)]
        assert all(len(mine) - 2 <= len(other) for other in keys), job
