"""A table without lines; where its columns would be too narrow to read, a list of its cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import PaddingDimensions
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

_READABLE = 6  # cells of a column whose words may be wrapped
_CUT = 10  # cells of one whose end may be cut off


class PlainTable(Table):
    """Columns beside one another; in a narrow window each row's cells below one another.

    Args:
        padding: cells above, right of, below and left of each cell; or above and beside it.
        width: cells; None: as many as it needs.
        header_style: of the names of its columns.

    """

    def __init__(
        self,
        *,
        padding: PaddingDimensions = (0, 2, 0, 0),
        width: int | None = None,
        header_style: str = "dim",
    ) -> None:
        super().__init__(box=None, padding=padding, width=width, header_style=header_style)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As a table if there is room for one."""
        if self._has_room(console, options):
            yield from super().__rich_console__(console, options)
            return
        for row in zip(*(column.cells for column in self.columns), strict=True):
            yield from self._listed(row)

    def render_rows(
        self, rows: Iterable[Sequence[Text]], console: Console, options: ConsoleOptions
    ) -> RenderResult:
        """What these rows would be in this table, one by one: rich takes long for many of them.

        Args:
            rows: in place of those that it has, which tell how wide its columns are.
            console: what it is for.
            options: of it.

        """
        if not self._has_room(console, options):
            for row in rows:
                yield from self._listed(row)
            return
        widths = self._calculate_column_widths(console, options)
        header = [Text(str(column.header), f"{self.header_style}") for column in self.columns]
        yield from self._beside(header, widths, console, bottom=True)
        for row in rows:
            yield from self._beside(row, widths, console)

    def _beside(
        self, row: Sequence[Text], widths: Sequence[int], console: Console, *, bottom: bool = False
    ) -> RenderResult:
        """A row as lines, its cells beside one another; with their last lines in one, or first."""
        _, right, _, left = self.padding
        cells = [
            _lines(cell, column, width - left - right, console)
            for cell, column, width in zip(row, self.columns, widths, strict=True)
        ]
        height = max(1, *map(len, cells))
        for line in range(height):
            for lines, width in zip(cells, widths, strict=True):
                place = line - (height - len(lines)) * bottom
                if 0 <= place < len(lines):
                    yield Segment(" " * left)
                    yield from _segments(lines[place], console)
                    yield Segment(" " * right)
                else:
                    yield Segment(" " * width)
            yield Segment.line()

    def _listed(self, row: Iterable[RenderableType]) -> RenderResult:
        """A row as its cells below one another."""
        for column, cell in zip(self.columns, row, strict=True):
            yield from _named(column, cell, self.header_style)
        yield Text()

    def _has_room(self, console: Console, options: ConsoleOptions) -> bool:
        least = sum(self._least(column, console, options) for column in self.columns)
        return least <= min(self.width or options.max_width, options.max_width)

    def _least(self, column: Column, console: Console, options: ConsoleOptions) -> int:
        """Cells that a column needs to be read, with the space beside it."""
        unbounded = options.update(max_width=2**16)
        held = [column.header, *column.cells]
        widest = max(Measurement.get(console, unbounded, one).maximum for one in held)
        _, right, _, left = self.padding
        return left + right + min(widest, _CUT if column.no_wrap else _READABLE)


def _lines(cell: Text, column: Column, width: int, console: Console) -> list[Text]:
    """A cell as lines of this width; none where there is no room for any."""
    if width < 1:
        return []
    room = width - cell.cell_len
    if room < 0:
        return list(
            cell.wrap(
                console,
                width,
                justify=column.justify,
                overflow=column.overflow,
                no_wrap=column.no_wrap,
            )
        )
    if column.justify == "right":
        cell.pad_left(room)
    else:
        cell.pad_right(room)
    return [cell]


def _segments(line: Text, console: Console) -> Iterable[Segment]:
    if line.spans:
        return line.render(console)
    return [Segment(line.plain, console.get_style(line.style))]  # `render` would leave it plain


def _named(column: Column, cell: RenderableType, header_style: object) -> RenderResult:
    """A cell below the name of its column; nothing of a cell that holds nothing."""
    if not str(cell).strip():
        return
    if str(column.header).strip():
        yield Text(str(column.header), f"{header_style}", overflow="fold")
    yield Text(cell, str(column.style), overflow="fold") if isinstance(cell, str) else cell
