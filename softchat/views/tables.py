"""A table without lines; where its columns would be too narrow to read, a list of its cells."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import PaddingDimensions
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
        least = sum(self._least(column, console, options) for column in self.columns)
        if least <= min(self.width or options.max_width, options.max_width):
            yield from super().__rich_console__(console, options)
            return
        for row in zip(*(column.cells for column in self.columns), strict=True):
            for column, cell in zip(self.columns, row, strict=True):
                yield from _named(column, cell, self.header_style)
            yield Text()

    def _least(self, column: Column, console: Console, options: ConsoleOptions) -> int:
        """Cells that a column needs to be read, with the space beside it."""
        unbounded = options.update(max_width=2**16)
        held = [column.header, *column.cells]
        widest = max(Measurement.get(console, unbounded, one).maximum for one in held)
        _, right, _, left = self.padding
        return left + right + min(widest, _CUT if column.no_wrap else _READABLE)


def _named(column: Column, cell: RenderableType, header_style: object) -> RenderResult:
    """A cell below the name of its column; nothing of a cell that holds nothing."""
    if not str(cell).strip():
        return
    if str(column.header).strip():
        yield Text(str(column.header), f"{header_style}", overflow="fold")
    yield Text(cell, str(column.style), overflow="fold") if isinstance(cell, str) else cell
