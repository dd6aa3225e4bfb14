"""A report as one HTML file: nothing in it is loaded from elsewhere, and no script runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .. import __version__
from .blocks import Section
from .theme import COLOURS


@dataclass(frozen=True)
class FoldedRun:
    """The sections of one run of several, folded up.

    Attributes:
        key: Its id within the page.
        title: Which run it is.
        result: What it came to, in words.
        sections: All about it.
    """

    key: str
    title: str
    result: str
    sections: Sequence[Section]


@dataclass(frozen=True)
class Page:
    """What a page holds; all of it is text and escaped, but for the figures.

    Attributes:
        title: Its title.
        lead: Paragraphs below the title.
        sections: Its sections.
        runs: Of a group: each of its runs.
    """

    title: str
    lead: Sequence[str]
    sections: Sequence[Section]
    runs: Sequence[FoldedRun] = field(default_factory=tuple)


def render(page: Page) -> str:
    """A page as HTML.

    Example:
        >>> "<h1>Of &lt;b&gt;</h1>" in render(Page("Of <b>", [], []))
        True
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("siftrl.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(page=page, colours=COLOURS, version=__version__)
