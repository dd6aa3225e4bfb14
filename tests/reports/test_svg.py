"""A figure in a page has the page's colours, ids of its own, and words for those who cannot see it."""

import re
from xml.etree import ElementTree

import pytest
from siftrl.reports.svg import inline_svg
from siftrl.reports.theme import NOISE, REAL, panel, themed

HOSTILE = '<script>alert("1")</script> & $\\frac{1$'


def drawn(name="one", title="title", alt="what it shows"):
    with themed():
        figure, axes = panel()
        axes.plot([1, 2], [3, 4], color=REAL, label="real")
        axes.fill_between([1, 2], [3, 4], color=NOISE, alpha=0.2)
        axes.imshow([[1.0, 2.0]], interpolation="none")
        axes.set_title(title)
        return inline_svg(figure, name, alt)


def test_colours_are_variables_of_the_page():
    svg = drawn()
    assert {"var(--real)", "var(--noise)", "var(--ink)"} <= set(re.findall(r"var\(--[a-z-]+\)", svg))
    assert not re.findall(r"#[0-9a-f]{6}", svg)


def test_ids_are_the_figures_own_and_references_lead_to_them():
    root = ElementTree.fromstring(drawn("one"))
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(ids)) == len(ids)
    assert all(name.startswith("one-") for name in ids)
    text = ElementTree.tostring(root, encoding="unicode")
    references = re.findall(r"url\(#([^)]+)\)", text) + re.findall(r'href="#([^"]+)"', text)
    assert references
    assert set(references) <= set(ids)


def test_what_it_shows_is_said():
    root = ElementTree.fromstring(drawn(alt=HOSTILE))
    assert (root.tag, root.get("role"), root.get("aria-label")) == ("svg", "img", HOSTILE)
    assert root.get("viewBox")
    assert root.get("width") is root.get("height") is None


def test_text_stays_text():
    svg = drawn(title=HOSTILE, alt=HOSTILE)
    assert "<script" not in svg
    assert HOSTILE in "".join(ElementTree.fromstring(svg).itertext())


def test_styles_of_a_figure_do_not_reach_the_page():
    assert not {"style", "metadata"} & {element.tag for element in ElementTree.fromstring(drawn()).iter()}


def test_the_same_figure_gives_the_same_markup():
    assert drawn() == drawn()


@pytest.mark.filterwarnings("ignore:Glyph 27")
def test_characters_that_xml_lacks_are_replaced():
    assert "a?b" in "".join(ElementTree.fromstring(drawn(title="a\x1bb")).itertext())
