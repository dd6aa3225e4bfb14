"""What a report is made of: sections of text, tables and figures; figures are drawn once, for the page and as files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..training.atomic import atomic_write
from .svg import inline_svg
from .theme import themed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150
_LONGEST_NAME = 60


@dataclass(frozen=True)
class TableBlock:
    """A table.

    Attributes:
        header: What the columns are.
        rows: Cells as text.
        caption: What it shows; empty where the section says so.
        n_labels: How many of the columns, from the left, are words; the others are numbers.
    """

    header: list[str]
    rows: list[list[str]]
    caption: str = ""
    n_labels: int = 1


@dataclass(frozen=True)
class FigureBlock:
    """A figure: its markup, which is safe, and the line below it."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Block:
    """A part of a section under a heading of its own, or the section's first part, which has none.

    Attributes:
        title: The heading.
        text: Paragraphs.
        figures: Side by side where there is room.
        tables: One after another.
        code: Lines to be typed.
        folded: Whether it is shown only when asked for.
    """

    title: str = ""
    text: list[str] = field(default_factory=list)
    figures: list[FigureBlock] = field(default_factory=list)
    tables: list[TableBlock] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A section of a report; ``key`` is its id within the page."""

    key: str
    title: str
    blocks: list[Block]


class Drawer:
    """Draws figures for the page and, where a folder is given, as PNG files of the same names.

    Args:
        folder: For the files; made when the first one is written.
        prefix: Of the names of all figures.
    """

    def __init__(self, folder: Path | None = None, prefix: str = "") -> None:
        self.folder, self.prefix = folder, prefix

    def with_prefix(self, prefix: str) -> Drawer:
        """The same, for figures whose names begin otherwise."""
        return Drawer(self.folder, prefix)

    def draw(self, make: Callable[[], Figure], name: str, caption: str, alt: str) -> FigureBlock:
        """Make a figure and draw it.

        Args:
            make: Makes it; called in the look of reports.
            name: Unlike that of any other figure of the page; other signs than letters and digits become hyphens.
            caption: The line below it.
            alt: What it shows, in words and numbers.

        Raises:
            OSError: Where a file cannot be written.
        """
        name = slug(f"{self.prefix}{name}")
        with themed():
            figure = make()
            svg = inline_svg(figure, name, alt)
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
                with atomic_write(self.folder / f"{name}.png") as file:
                    figure.savefig(file, format="png", dpi=_DPI, facecolor="white")
        return FigureBlock(svg, caption)


def slug(name: str) -> str:
    """A name for files and ids: lower-case letters, digits and hyphens.

    Example:
        >>> slug("Links of ../qf0")
        'links-of-qf0'
    """
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:_LONGEST_NAME]
