"""A page holds what it was given, as text, and needs nothing else."""

import pytest
from siftrl.reports.blocks import Block, FigureBlock, Section, TableBlock
from siftrl.reports.page import FoldedRun, Page, render


def section(text, key="one"):
    table = TableBlock([text, text], [[text, text]], text, n_labels=1)
    return Section(key, text, [Block(text, [text], [FigureBlock("<svg></svg>", text)], [table], [text], folded=True)])


def test_all_that_is_given_is_text(read_page, hostile):
    runs = [FoldedRun("run-1", hostile, hostile, [section(hostile)])]
    read = read_page(render(Page(hostile, [hostile], [section(hostile)], runs)))
    assert not {"script", "img"} & set(read.tags)
    assert "".join(read.text).count(hostile) == 2 + 1 + 1 + 2 + 2 * 10  # title, lead, contents, run, sections


def test_a_page_needs_nothing_from_elsewhere(read_page):
    page = render(Page("title", [], [section("text")]))
    read = read_page(page)
    assert all(link.startswith("#") for link in read.links)
    assert not {"link", "script", "iframe"} & set(read.tags)
    assert "default-src 'none'" in page
    assert "@import" not in page
    assert "url(" not in page


def test_the_contents_lead_to_the_sections(read_page):
    runs = [FoldedRun("run-1", "r", "1", [section("c")])]
    read = read_page(render(Page("t", [], [section("a", "a"), section("b", "b")], runs)))
    assert read.links == ["#a", "#b", "#runs"]
    assert {"a", "b", "runs", "run-1-one"} <= set(read.ids)
    assert len(set(read.ids)) == len(read.ids)


def test_it_has_colours_for_light_and_dark():
    page = render(Page("t", [], []))
    assert "prefers-color-scheme: dark" in page
    assert page.count("--real:") == page.count("--page:") == 2


@pytest.mark.parametrize("text", ["", "ü – 日本"])
def test_any_language_is_kept(read_page, text):
    assert text in "".join(read_page(render(Page(text, [], []))).text)
