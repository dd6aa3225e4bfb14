"""Figures as SVG that lives in a page: in the page's colours, and legible to those who cannot see it."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from .theme import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_VARIABLES = {light: f"var(--{name})" for name, (light, _) in COLOURS.items()}
_COLOUR = re.compile("|".join(_VARIABLES))
_REFERENCE = re.compile(r"url\(#")
_LEFT_OUT = ("metadata", "style")
_NOT_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # characters of foreign texts; matplotlib writes them as they are


def inline_svg(figure: Figure, name: str, alt: str) -> str:
    """A figure as an ``svg`` element for HTML.

    Args:
        figure: Drawn in the colours of :mod:`siftrl.reports.theme`, of which each becomes a variable of the page's style.
        name: Letters, digits and hyphens that no other figure of the page has; its ids begin with it.
        alt: What the figure shows, in words.

    Returns:
        Markup in which all text is escaped. The same figure gives the same markup.
    """
    from matplotlib import rc_context

    file = io.BytesIO()
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(_NOT_XML.sub(b"?", file.getvalue()))
    _adapt(root, name)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.attrib.update({"role": "img", "aria-label": alt})
    return ElementTree.tostring(root, encoding="unicode")


def _adapt(element: ElementTree.Element, name: str) -> None:
    # Within HTML elements and attributes have no namespaces.
    element.tag = _local(element.tag)
    element.attrib = {_local(key): _adapted(_local(key), value, name) for key, value in element.attrib.items()}
    for child in list(element):
        if _local(child.tag) in _LEFT_OUT:
            element.remove(child)
        else:
            _adapt(child, name)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _adapted(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "href" and value.startswith("#"):
        return f"#{name}-{value[1:]}"
    if key == "style":
        return _COLOUR.sub(lambda found: _VARIABLES[found[0]], _REFERENCE.sub(f"url(#{name}-", value))
    return _REFERENCE.sub(f"url(#{name}-", value)
