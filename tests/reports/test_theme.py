"""Colours can be read on light and on dark, and told apart."""

import pytest
from siftrl.reports.theme import COLOURS, KINDS, SERIES, count_steps, panel, themed

PAGES = {"light": "#ffffff", "dark": "#15181c"}


def luminance(colour):
    """Relative luminance, as the Web Content Accessibility Guidelines define it."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    """From 1 to 21, as the same guidelines define it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize(("place", "page"), [*enumerate(PAGES)])
def test_colours_stand_out_from_the_page(name, place, page):
    assert contrast(COLOURS[name][place], PAGES[page]) >= (4.5 if name == "ink" else 3)


def test_a_colour_of_the_figures_is_one_of_the_page():
    lights = [light for light, _ in COLOURS.values()]
    assert len(set(lights)) == len(lights)
    assert {*KINDS.values(), *SERIES} <= set(lights)


def test_the_look_ends_with_the_block():
    from matplotlib import rcParams

    before = dict(rcParams)
    with themed():
        assert rcParams["text.parse_math"] is False
        _, axes = panel()
        count_steps(axes)
        assert axes.get_xlabel() == "environment steps"
        assert axes.xaxis.label.get_color() == COLOURS["ink"][0]
    assert dict(rcParams) == before
