"""Run folders as train.py leaves them, without training; and a reader of pages."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from siftrl.training.config import RunConfig
from siftrl.training.feature_history import FeatureHistory

HOSTILE = '<script>alert("1")</script>\'"</style></pre><img src=x onerror=alert(1)>{{ 7 * 7 }}'
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Reader(HTMLParser):
    """Reads a page, and takes offence at tags that do not match."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.ids, self.links, self.text, self.open = [], [], [], [], []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        values = dict(attributes)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [value for name, value in attributes if name in ("href", "src")]
        assert not [name for name in values if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def history(n=4, n_real=3, n_features=12, networks=("actor",), permuted=False, seed=0):
    """A feature history in which real features gain links and noise loses them; the last noise feature has none."""
    rng = np.random.default_rng(seed)
    places = [rng.permutation(n_features) if permuted else np.arange(n_features) for _ in range(n)]
    gain = np.where(np.arange(n_features) < n_real, 10, -2)
    links = np.maximum(20 + gain * np.arange(n)[:, None], 0) + np.arange(n_features)
    links[:, -1] = 0
    weights = rng.uniform(0.1, 0.2, n_features)
    of_net, strength = np.zeros_like(links), np.zeros(links.shape)
    for record, place in enumerate(places):
        of_net[record, place], strength[record, place] = links[record], links[record] * weights
    return FeatureHistory(
        timesteps=np.arange(1, n + 1) * 100,
        permutation=np.arange(n) if permuted else np.zeros(n, np.int64),
        relevant=np.array([place[:n_real] for place in places], np.int64).reshape(n, n_real),
        feature_std=np.ones((n, n_features), np.float32),
        links={net: of_net.astype(np.int32) for net in networks},
        strength={net: strength.astype(np.float32) for net in networks},
    )


def write_run(folder, returns=((-5.0, -3.0), (-2.0, 0.0), (1.0, 3.0), (4.0, 6.0)), features=None, **options):
    """Write the folder of a run that was evaluated every 100 steps, and return it."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    config = RunConfig(
        **{"env": "Pendulum-v1", "noise": 0.75, "n_timesteps": 100 * len(returns), "eval_freq": 100, **options}
    )
    (folder / "config.json").write_text(json.dumps({"siftrl": "0.1.0", "device": "cpu", "config": config.to_dict()}))
    (folder / "command.txt").write_text("siftrl-train --env Pendulum-v1\n")
    (folder / "0.monitor.csv").write_text('#{"t_start": 0.0}\nr,l,t\n-1.0,200,10.0\n-1.0,200,30.0\n-1.0,100,20.0\n')
    steps = 100 * np.arange(1, len(returns) + 1)
    np.savez(folder / "evaluations.npz", timesteps=steps, results=np.array(returns, float), ep_lengths=np.ones((1, 1)))
    if features is not None:
        (folder / "features.npz").write_bytes(features.to_bytes())
    return folder


@pytest.fixture
def make_history():
    return history


@pytest.fixture
def make_run(tmp_path):
    """Writes run folders below ``tmp_path``, by name."""
    return lambda name="sac-sift/run_1", *args, **options: write_run(tmp_path / name, *args, **options)


@pytest.fixture
def hostile():
    """Text that would run if it were not escaped."""
    return HOSTILE


@pytest.fixture
def read_page():
    """Reads a page as a browser would: tags, ids, links, text."""
    return Reader
