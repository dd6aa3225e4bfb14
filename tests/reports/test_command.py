"""siftrl-report: pages of real folders, what bad input gets, and how a browser shows them."""

import html
import os
import re
import subprocess
import sys

import pytest
import siftrl.train
from siftrl.reports.command import main

BROWSER = os.environ.get("SIFTRL_BROWSER")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def refused(capsys, *argv):
    """What the command says of arguments that it must refuse in one sentence."""
    assert main([*map(str, argv)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("siftrl-report: error: ")
    return line


def test_a_run_from_training_to_its_report(tmp_path, read_page, capsys):
    task = ["--env", "InvertedPendulum-v5", "--noise", "0.5", "--width", "8", "--buffer-size", "200", "--recipe", "set"]
    training = ["-n", "120", "--eval-freq", "60", "--eval-episodes", "1", "--verbose", "0", "-f", str(tmp_path / "logs")]
    assert siftrl.train.main([*task, *training]) == 0
    assert main([str(tmp_path / "logs"), "--figures", "figures"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Report on 1 run: report.html"
    page = (tmp_path / "here" / "report.html").read_text()
    read = read_page(page)
    assert {"result", "features", "layers", "cost", "configuration"} <= set(read.ids)
    assert len(set(read.ids)) == len(read.ids)
    text = " ".join(read.text)
    assert all(
        name in text for name in ("slider position", "hinge angular velocity", "latent_pi.0", "120 of 120", "PyTorch")
    )
    figures = sorted(path.stem for path in (tmp_path / "here" / "figures").iterdir())
    assert len(figures) == page.count("<figure>") == 16
    assert page.count('role="img"') == len(re.findall('aria-label="[^"]{20,}"', page)) == 16


def test_a_group_and_the_run_that_is_broken(make_run, make_history, tmp_path, read_page, capsys):
    for seed in range(2):
        make_run(f"logs/good_{seed}", seed=seed, features=make_history(seed=seed))
    (make_run("logs/broken") / "evaluations.npz").write_bytes(b"nothing")
    assert main([str(tmp_path / "logs")]) == 0
    shown = capsys.readouterr()
    assert shown.out == "Report on 2 runs: report.html\n"
    (warning,) = shown.err.splitlines()
    assert "left out: the evaluations " in warning
    read = read_page((tmp_path / "here" / "report.html").read_text())
    assert {"task-1", "left-out", "runs", "run-1-result", "run-2-features"} <= set(read.ids)
    assert len(set(read.ids)) == len(read.ids)
    assert "broken" in " ".join(read.text)


def test_a_brief_report_has_no_section_for_each_run(make_run, tmp_path, read_page):
    make_run("logs/1"), make_run("logs/2", seed=1)
    assert main([str(tmp_path / "logs"), "--brief", "-o", "brief.html"]) == 0
    read = read_page((tmp_path / "here" / "brief.html").read_text())
    assert "runs" not in read.ids
    assert "details" not in read.tags


def test_a_run_whose_model_is_foreign_is_left_out_of_its_sections(make_run, tmp_path, capsys):
    make_run("logs/1")
    (make_run("logs/2", seed=1) / "model.zip").write_bytes(b"PK")
    assert main([str(tmp_path / "logs")]) == 0
    assert "no intact zip" in capsys.readouterr().err


def test_what_comes_from_files_is_text(make_run, make_history, tmp_path, read_page, hostile):
    history = make_history(networks=(hostile,))
    named = hostile.replace("/", "")
    folder = make_run(f"logs/{named}", env=hostile, recipe=hostile, hparams="sb3", distribution=hostile, features=history)
    (folder / "command.txt").write_text(f"{hostile}\n")
    (folder / "config.json").write_text((folder / "config.json").read_text().replace("0.1.0", hostile.replace('"', "")))
    make_run("logs/other")
    for argument in (folder, tmp_path / "logs"):
        assert main([str(argument), "--figures", "figures"]) == 0
        page = (tmp_path / "here" / "report.html").read_text()
        read = read_page(page)
        assert not {"script", "img"} & set(read.tags)
        assert "".join(read.text).count(hostile) >= 5
    assert {path.parent.name for path in tmp_path.rglob("*.png")} == {"figures"}


def test_bad_input_gets_one_sentence(make_run, tmp_path, capsys):
    folder = make_run("logs/run")
    assert "there is no folder" in refused(capsys, tmp_path / "nowhere")
    assert "is a file: name the folder" in refused(capsys, folder / "evaluations.npz")
    assert "there is no folder gone" in refused(capsys, folder, "-o", "gone/report.html")
    assert "it is a folder" in refused(capsys, folder, "-o", str(tmp_path))
    assert "cannot write to" in refused(capsys, folder, "--figures", str(folder / "config.json"))
    assert "Did you mean --figures?" in refused(capsys, folder, "--figure", "x")
    assert "required: RUN" in refused(capsys)
    (folder / "evaluations.npz").write_bytes(b"")
    assert "cannot be read" in refused(capsys, folder)
    (folder / "evaluations.npz").unlink()
    assert "has no evaluations" in refused(capsys, folder)
    make_run("logs/other").joinpath("config.json").write_text("{}")
    assert main([str(tmp_path / "logs")]) == 2
    *each, last = capsys.readouterr().err.splitlines()
    assert len(each) == 2
    assert last == "siftrl-report: error: none of the 2 runs can be read."
    assert not list((tmp_path / "here").iterdir())


def test_help_and_typos_load_nothing_heavy():
    code = (
        "import sys; from siftrl.reports.command import main; main(['--nonsense']); "
        "heavy = ('torch', 'stable_baselines3', 'matplotlib', 'jinja2', 'mujoco', 'gymnasium.envs.mujoco'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.skipif(not BROWSER, reason="names no browser: SIFTRL_BROWSER=chromium")
@pytest.mark.parametrize(("scheme", "background"), [("light", (255, 255, 255)), ("dark", (21, 24, 28))])
@pytest.mark.parametrize("width", [400, 1280])
def test_a_browser_shows_it(make_run, make_history, tmp_path, scheme, background, width):
    from matplotlib.image import imread

    folder = make_run(features=make_history(networks=("actor", "qf0")))
    assert main([str(folder)]) == 0
    page, measured = tmp_path / "here" / "report.html", tmp_path / "measured.html"
    # No window is narrower than 500 pixels, but a frame can be.
    frame = f'<iframe id="frame" style="width:{width}px" srcdoc="{html.escape(page.read_text())}"></iframe>'
    ruler = "document.title = document.getElementById('frame').contentDocument.documentElement.scrollWidth"
    measured.write_text(f"<!doctype html><title></title>{frame}<script>onload = () => {{ {ruler} }}</script>")

    def browse(path, *flags):
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr", *flags]
        flags += [f"--window-size={width},900", f"--user-data-dir={tmp_path / 'profile'}"]
        flags.append(f"--blink-settings=preferredColorScheme={('dark', 'light').index(scheme)}")
        return subprocess.run([BROWSER, *flags, path.as_uri()], capture_output=True, text=True, check=True)

    shot = browse(page, f"--screenshot={tmp_path / 'shot.png'}")
    assert "CONSOLE" not in shot.stderr
    pixels = imread(tmp_path / "shot.png")[..., :3] * 255
    assert tuple(pixels[5, 2].round().astype(int)) == background
    shown = browse(measured, "--dump-dom").stdout
    assert re.search("<title>([0-9]+)</title>", shown)[1] == str(width)
