"""Studies: what they come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sweeps.study import Part, Study
from siftrl.training.config import RunConfig
from siftrl.training.launch import run_hash

TEXT = """
name = "anf"
[options]
n_timesteps = 1e6
eval_freq = 5_000
[methods.anf-sac]
recipe = "anf"
hparams = "paper"
replay_noise = "fresh"
[methods.sac]
recipe = "dense"
n_timesteps = 500_000
[[parts]]
name = "noise"
env = ["HalfCheetah-v5", "Hopper-v5"]
noise = [0.8, 0.9]
seed = [0, 1, 2, 3, 4]
[[parts]]
name = "more noise"
methods = ["anf-sac"]
env = "Hopper-v5"
noise = [0.9, 0.95]
seed = [0, 1]
"""


def write(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return path


@pytest.fixture
def study(tmp_path):
    return Study.from_file(write(tmp_path, TEXT))


def test_the_product_of_each_part_and_each_run_once(study):
    runs = study.runs()
    assert len(runs) == 2 * 2 * 2 * 5 + 2
    assert len({(run.method, run_hash(run.config)) for run in runs}) == len(runs)
    shared = [run for run in runs if run.parts == ("noise", "more noise")]
    assert [(run.method, run.config.env, run.config.noise, run.config.seed) for run in shared] == [
        ("anf-sac", "Hopper-v5", 0.9, 0),
        ("anf-sac", "Hopper-v5", 0.9, 1),
    ]
    assert study.axes == ("env", "noise", "seed")


def test_parts_go_before_methods_and_methods_before_options(tmp_path):
    study = Study.from_file(write(tmp_path, TEXT + "n_timesteps = 7\n"))
    steps = {(run.parts, run.method): run.config.n_timesteps for run in study.runs()}
    assert steps == {(("noise",), "anf-sac"): 1_000_000, (("noise",), "sac"): 500_000, (("more noise",), "anf-sac"): 7}


def test_a_run_is_what_its_tables_say_and_lies_where_it_always_will(study, tmp_path):
    (run,) = [run for run in study.runs(parts=["more noise"]) if run.config.noise == 0.95 and run.config.seed == 1]
    assert run.config == RunConfig(
        recipe="anf", hparams="paper", replay_noise="fresh", n_timesteps=1_000_000, eval_freq=5_000,
        env="Hopper-v5", noise=0.95, seed=1,
    )  # fmt: skip
    assert run.label == "anf-sac on Hopper-v5, noise 0.95, seed 1"
    assert run.folder(tmp_path) == tmp_path / "sac-anf" / "Hopper-v5_0.95_s1_ea892ac32897"


def test_first_seeds_come_first(study):
    seeds = [run.config.seed for run in study.runs()]
    assert seeds == sorted(seeds)


def test_parts_and_methods_can_be_selected(study):
    assert {run.method for run in study.runs(methods=["sac"])} == {"sac"}
    assert len(study.runs(parts=["more noise"])) == 4
    with pytest.raises(ValueError, match=r"part must be one of noise, more noise, not 'nose'\. Did you mean noise\?"):
        study.runs(parts=["nose"])
    with pytest.raises(ValueError, match=r"method must be one of anf-sac, sac, not 'sca'\. Did you mean sac\?"):
        study.runs(methods=["sca"])


def test_a_scaled_study_has_fewer_steps_and_seeds(study):
    runs = study.runs(scale=0.02)
    assert {run.config.seed for run in runs} == {0}
    assert {(run.method, run.config.n_timesteps, run.config.eval_freq, run.config.learning_starts) for run in runs} == {
        ("anf-sac", 20_000, 2_000, 500),
        ("sac", 10_000, 1_000, 100),
    }
    assert {run.config.seed for run in study.runs(scale=0.02, seeds=2)} == {0, 1}
    assert {run.config.seed for run in study.runs(scale=0.5)} == {0, 1, 2}
    assert study.runs(scale=1) == study.runs()


@given(
    st.lists(st.integers(0, 9), min_size=1, unique=True), st.lists(st.sampled_from([0.0, 0.5, 0.9]), min_size=1, unique=True)
)
def test_the_size_of_a_part_is_the_product_of_its_lists(seeds, noise):
    study = Study(
        "x", {}, {"a": {}, "b": {"algo": "td3"}}, (Part("p", ("a", "b"), {"noise": tuple(noise), "seed": tuple(seeds)}),)
    )
    assert len(study.runs()) == 2 * len(seeds) * len(noise)


def test_runs_of_parts_that_differ_have_labels_that_differ():
    short, long = (Part(name, ("anf",), {"noise": (0.9,), "n_timesteps": (n,)}) for name, n in (("a", 100), ("b", 200)))
    study = Study("x", {"env": "Pendulum-v1"}, {"anf": {"recipe": "anf"}}, (short, long))
    labels = [run.label for run in study.runs()]
    assert labels == [f"anf on Pendulum-v1, noise 0.9, n_timesteps {n}, seed 0" for n in (100, 200)]


def test_a_task_may_be_registered_by_a_module():
    part = Part("p", ("anf",), {"seed": (0,)})
    (run,) = Study("x", {"env": "gymnasium:Pendulum-v1"}, {"anf": {"recipe": "anf"}}, (part,)).runs()
    assert run.config.env == "gymnasium:Pendulum-v1"
    with pytest.raises(ValueError, match="No module named 'nowhere'"):
        Study("x", {"env": "nowhere:Pendulum-v1"}, {"anf": {"recipe": "anf"}}, (part,))
