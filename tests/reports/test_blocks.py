"""A figure is drawn once, for the page and as a file of the same name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.reports.blocks import Drawer, slug
from siftrl.reports.theme import INK, panel


@given(st.text())
def test_a_slug_is_a_name_for_files_and_ids(name):
    assert set(slug(name)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(slug(name)) <= 60


def test_files_have_the_names_of_the_figures(tmp_path):
    drawer = Drawer(tmp_path / "figures").with_prefix("run-1-")
    block = drawer.draw(lambda: panel()[0], "links of ../qf0", "qf0", "nothing")
    (file,) = (tmp_path / "figures").iterdir()
    assert file.name == "run-1-links-of-qf0.png"
    assert file.read_bytes().startswith(b"\x89PNG")
    assert block.caption == "qf0"
    assert 'id="run-1-links-of-qf0-' in block.svg


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Drawer().draw(lambda: panel()[0], "one", "", "")
    assert not list(tmp_path.iterdir())


def test_figures_are_made_in_the_look_of_reports():
    made = []
    Drawer().draw(lambda: made.append(panel()) or made[0][0], "one", "", "")
    assert made[0][1].xaxis.label.get_color() == INK


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        Drawer(tmp_path / "file").draw(lambda: panel()[0], "one", "", "")
