"""The answer as Markdown, rendered while it comes. Knows events and a terminal, and no engine.

What can't change any more is settled: written once, above a small live region that shows the rest
and is drawn again as text comes. A source line can only change the block that is open when it
comes, so every earlier block is final; so are the earlier items of an open list, and the lines of
an open code block. What is settled in pieces is therefore what rendering it all at once gives.
Every text passes `base.text.printable`, and once more behind the parser, which reads entities.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import ClassVar, Self

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, ListItem, Markdown, MarkdownElement
from rich.segment import Segment
from rich.syntax import Syntax
from rich.text import Text
from rich.theme import Theme

from softchat.base.text import one_line, printable
from softchat.events import Answer, Event, Finished
from softchat.views.region import LiveRegion

Line = list[Segment]

_REFRESH_S = 0.05
_SHARE = 0.1  # of the time that may go into drawing: the model has the same processor
_NARROWEST = 20  # cells of text; what is narrower, or nested, the terminal itself wraps
_DEEPEST = 18  # the parser leaves out what is nested deeper than 20: such a piece shows as written
_CODE_THEME = "ansi_dark"  # the terminal's own colours, on its own background
# Whatever rich's styles give a background would be copied, or glare on a light terminal.
_THEME = Theme(
    {
        "markdown.code": "cyan",
        "markdown.h1": "bold underline",
        "markdown.h2": "bold",
        "markdown.h3": "bold",
        "markdown.h4": "bold",
        "markdown.h5": "bold",
        "markdown.h6": "bold",
        "markdown.h7": "bold",
        "markdown.item.bullet": "cyan",
        "markdown.item.number": "cyan",
        "markdown.block_quote": "dim",
        "markdown.hr": "dim",
        "markdown.link": "underline",
        "markdown.link_url": "dim",
        "markdown.table.border": "dim",
        "markdown.table.header": "bold",
    }
)


def _make_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    # Nothing that was written may be hidden, as addresses of images would be; and a reference can
    # be defined behind what uses it, which would change what is settled.
    parser.inline.ruler.at("newline", _break_line)
    return parser.disable(["reference", "image", "autolink"])


def _break_line(state: StateInline, silent: bool) -> bool:
    """A line break is one, and the next line keeps its indent: there is code without a fence."""
    if state.src[state.pos] != "\n":
        return False
    if not silent:
        state.pending = state.pending.rstrip(" ")
        state.push("hardbreak", "br", 0)
    state.pos += 1
    return True


_PARSER = _make_parser()


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What is settled as a whole: a block, an item of a list, or a line of a code block."""

    tokens: Sequence[Token] = ()
    code: Text | None = None
    """A line of code, which has no tokens; or what is shown as it was written."""
    gap: bool
    """Whether the source has an empty line before it."""

    def lines(self, console: Console, width: int) -> list[Line]:
        """It, rendered. A line of code may be wider: the terminal wraps it, and copies it whole."""
        if self.code is not None:
            written = self.code.split("\n", allow_blank=True)
            return [_stripped([*line.render(console, end="")]) for line in written]
        narrowest = _NARROWEST + 4 * _depth(self.tokens)
        options = console.options.update(width=max(width, narrowest), height=None)
        lines = console.render_lines(_Rendered(self.tokens), options, pad=False)
        lines = [_stripped(line) for line in lines]
        while lines and not lines[-1]:
            lines.pop()
        first = next((i for i, line in enumerate(lines) if line), 0)
        return lines[first:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block on the top level of a text."""

    start: int
    """Its first line in the source, from 0."""
    pieces: Sequence[Piece]
    final: int
    """How many of the pieces are final, while it is the last block and more lines may come."""


def split_blocks(source: str) -> list[Block]:
    """The blocks of a text that `printable` has seen."""
    lines = source.split("\n")
    blocks = []
    for tokens in _top_level(_PARSER.parse(source), 0):
        _make_harmless(tokens)
        start = _start(tokens)
        gap = start > 0 and not lines[start - 1].strip()
        match tokens[0].type:
            case "fence":
                pieces = _code_pieces(tokens[0], gap)
                blocks.append(Block(start=start, pieces=pieces, final=len(pieces)))
            case "bullet_list_open" | "ordered_list_open":
                pieces = _item_pieces(tokens, gap, lines)
                blocks.append(Block(start=start, pieces=pieces, final=len(pieces) - 1))
            case _:
                piece = _make_piece(tokens, tokens[0], gap, lines)
                blocks.append(Block(start=start, pieces=[piece], final=0))
    return blocks


def code_blocks(source: str) -> list[str]:
    """The text of each fenced code block, those inside lists and quotes too."""
    return [token.content for token in _PARSER.parse(source) if token.type == "fence"]


def _top_level(tokens: Sequence[Token], level: int) -> Iterator[list[Token]]:
    """The tokens by the blocks that they make up on this level."""
    block: list[Token] = []
    for token in tokens:
        block.append(token)
        if token.level == level and token.nesting <= 0:
            yield block
            block = []


def _start(tokens: Sequence[Token]) -> int:
    return tokens[0].map[0] if tokens[0].map else 0


def _code_pieces(fence: Token, gap: bool) -> list[Piece]:
    code = fence.content.removesuffix("\n")
    if not fence.content:
        return []
    lines = _highlighted(code, fence.info).split("\n", allow_blank=True)
    return [Piece(code=line, gap=gap and not i) for i, line in enumerate(lines)]


def _item_pieces(tokens: Sequence[Token], gap: bool, lines: Sequence[str]) -> list[Piece]:
    """Each item as a list of its own, which goes on counting."""
    number = int(tokens[0].attrs.get("start", 1))
    pieces = []
    for index, item in enumerate(_top_level(tokens[1:-1], 1)):
        opened = tokens[0].copy()
        opened.attrs = {"start": number + index}
        apart = not lines[_start(item) - 1].strip() if index else gap
        pieces.append(_make_piece([opened, *item, tokens[-1]], item[0], apart, lines))
    return pieces


def _make_piece(tokens: Sequence[Token], opened: Token, gap: bool, lines: Sequence[str]) -> Piece:
    if _depth(tokens) < _DEEPEST and opened.type != "code_block":
        return Piece(tokens=tokens, gap=gap)
    start, end = opened.map or (0, 0)
    return Piece(code=Text("\n".join(lines[start:end]).rstrip().expandtabs(4)), gap=gap)


def _depth(tokens: Sequence[Token]) -> int:
    return max(token.level for token in tokens)


def _make_harmless(tokens: Sequence[Token]) -> None:
    for token in tokens:
        token.content = printable(token.content)
        for child in token.children or ():
            child.content = one_line(child.content.expandtabs(4))
            child.attrs = {
                name: one_line(value) if isinstance(value, str) else value
                for name, value in child.attrs.items()
            }


def _stripped(line: Sequence[Segment]) -> Line:
    """The line without the blanks at its end, which would be copied too."""
    kept = [segment for segment in line if segment.text and segment.text != "\n"]
    while kept and not kept[-1].text.rstrip(" "):
        kept.pop()
    if kept:
        kept[-1] = kept[-1]._replace(text=kept[-1].text.rstrip(" "))
    return kept


def _highlighted(code: str, info: str) -> Text:
    code = code.expandtabs(4)
    language = info.split(maxsplit=1)[0] if info.strip() else "text"
    text = Syntax("", language, theme=_CODE_THEME).highlight(code)
    if text.plain.endswith("\n") and not code.endswith("\n"):
        text.right_crop(1)  # the line break that lexers add
    return text if text.plain == code else Text(code)  # some change what they read


class _Code(CodeBlock):
    """Code without a frame: inside a list or a quote."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = _highlighted(str(self.text).rstrip("\n"), self.lexer_name)
        text.overflow = "fold"
        yield text


class _Heading(Heading):
    """A heading as a line of text, at the left."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.text


class _Item(ListItem):
    """An item with its mark as one writes it: `• ` or `12. `."""

    def render_bullet(self, console: Console, options: ConsoleOptions) -> RenderResult:
        return self._render(console, options, "• ", "markdown.item.bullet")

    def render_number(
        self, console: Console, options: ConsoleOptions, number: int, last_number: int
    ) -> RenderResult:
        return self._render(console, options, f"{number}. ", "markdown.item.number")

    def _render(
        self, console: Console, options: ConsoleOptions, mark: str, style: str
    ) -> RenderResult:
        inside = options.update(width=options.max_width - len(mark))
        lines = console.render_lines(self.elements, inside, style=self.style)
        for index, line in enumerate(lines or [[]]):
            yield Segment(" " * len(mark) if index else mark, console.get_style(style))
            yield from line
            yield Segment.line()


class _Rendered(Markdown):
    """Tokens that have been parsed and made harmless, as rich renders them."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = Markdown.elements | {
        "fence": _Code,
        "code_block": _Code,
        "heading_open": _Heading,
        "list_item_open": _Item,
    }

    def __init__(self, tokens: Sequence[Token]) -> None:
        super().__init__("", hyperlinks=False)
        self.parsed = list(tokens)


@dataclass(frozen=True, slots=True)
class _Lines:
    """Rendered lines, as something that rich prints."""

    lines: Sequence[Line]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for index, line in enumerate(self.lines):
            if index:
                yield Segment.line()
            yield from line


class MarkdownView:
    """The answer as Markdown on one terminal (stdout), and nothing else.

    Args:
        console: the terminal.
        clock: seconds; decides when the live region is drawn again.

    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._region = LiveRegion(console)
        self._clock = clock
        self._source = ""  # from the first block on that is not settled as a whole
        self._settled = 0  # pieces of that block that are
        self._begun = False  # whether anything has been settled
        self._due = float("-inf")

    def show(self, event: Event) -> None:
        """Take in a piece of the answer; settle all of it when the run has finished."""
        match event:
            case Answer(text=text):
                # Models open with a space or an empty line.
                self._source += printable(text if self._source else text.lstrip())
                if self._clock() >= self._due:
                    self._refresh()
            case Finished():
                self._finish()

    def _refresh(self) -> None:
        began = self._clock()
        with self._console.use_theme(_THEME):
            width, height = self._region.size
            settled = self._settle(width)
            live = self._lines(split_blocks(self._source), width)
            rows = [row for line in live for row in _folded(line, width)]
            self._region.draw(
                _Lines(rows[-max(1, height - 1) :]), above=_Lines(settled) if settled else None
            )
        now = self._clock()
        self._due = now + max(_REFRESH_S, (now - began) / _SHARE)

    def _settle(self, width: int) -> list[Line]:
        """The lines that have become final; from here on they are done with."""
        whole = self._source[: self._source.rfind("\n") + 1]  # half a line may mean anything
        blocks = split_blocks(whole)
        if not blocks:
            return []
        last = blocks.pop()
        final = last.pieces[: last.final]
        settled = self._lines([*blocks, replace(last, pieces=final)], width)
        self._settled = len(final)
        if blocks:
            # An empty line before it stays: it is shown with the block.
            lines = whole.split("\n", last.start)
            gone = last.start - (not lines[last.start - 1].strip())
            self._source = self._source.split("\n", gone)[gone]
        self._begun = self._begun or bool(settled)
        return settled

    def _lines(self, blocks: Sequence[Block], width: int) -> list[Line]:
        """What is not settled of these blocks."""
        pieces = [piece for block in blocks for piece in block.pieces][self._settled :]
        lines: list[Line] = []
        for piece in pieces:
            if piece.gap and (lines or self._begun):
                lines.append([])
            lines += piece.lines(self._console, width)
        return lines

    def _finish(self) -> None:
        with self._console.use_theme(_THEME):
            width, _ = self._region.size
            rest = self._lines(split_blocks(self._source), width)
        if rest:
            self._region.draw(_Lines([]), above=_Lines(rest))
        self._region.erase()
        self._source, self._settled, self._begun = "", 0, False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Settle an answer that broke off, unless the stream itself is what broke."""
        if isinstance(error, OSError):
            self._region.erase()
        else:
            self._finish()


def _folded(line: Line, width: int) -> list[Line]:
    """The line in rows of at most `width` cells, as the terminal will wrap it."""
    length = Segment.get_line_length(line)
    if length <= width:
        return [line]
    cuts = [*range(width, length, width), length]
    return [list(row) for row in Segment.divide(line, cuts)]
