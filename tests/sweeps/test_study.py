"""Study files: what they come to, and what is answered to one that is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sweeps.study import OPTIONS, Part, Study
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
    return Study.load(write(tmp_path, TEXT))


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
    study = Study.load(write(tmp_path, TEXT + "n_timesteps = 7\n"))
    steps = {(run.parts, run.method): run.config.n_timesteps for run in study.runs()}
    assert steps == {(("noise",), "anf-sac"): 1_000_000, (("noise",), "sac"): 500_000, (("more noise",), "anf-sac"): 7}


def test_a_run_is_what_its_tables_say_and_lies_where_it_always_will(study, tmp_path):
    (run,) = [run for run in study.runs(parts=["more noise"]) if run.config.noise == 0.95 and run.config.seed == 1]
    assert run.config == RunConfig(
        recipe="anf", hparams="paper", replay_noise="fresh", n_timesteps=1_000_000, eval_freq=5_000,
        env="Hopper-v5", noise=0.95, seed=1,
    )  # fmt: skip
    assert run.label == "anf-sac on Hopper-v5, noise 0.95, seed 1"
    assert run.folder(tmp_path) == tmp_path / "sac-anf" / "Hopper-v5_0.95_s1_2385b1d0327a"


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


def test_every_option_of_a_run_is_one_of_a_study_but_for_the_sweeps_own():
    missing = set(RunConfig().to_dict()) - set(OPTIONS)
    assert missing == {"threads", "log_folder", "tensorboard_log", "progress", "verbose", "trained_agent"}


WRONG = [
    ("name = ", "is no TOML"),
    ("naem = 1", "the file has a key 'naem' that is not known there. Did you mean name?"),
    ("name = 'a/b'", "name must be the name of a folder, not 'a/b'."),
    ("options = 3", "options must be a table, [options], not 3."),
    ("[options]\nenvv = 'Hopper-v5'", "[options] has a key 'envv' that is not known there. Did you mean env?"),
    ("[options]\nthreads = 2", "[options]: threads cannot be set in a study: --threads-per-run says it."),
    (
        "[options]\nnoise = [0.1, 0.2]",
        "[options]: noise must be one value, not [0.1, 0.2]; only [[parts]] can list several.",
    ),
    ("[methods.b]\nrecipee = 'set'", "[methods.b] has a key 'recipee' that is not known there. Did you mean recipe?"),
    ("[methods]\nc = 3", "methods.c must be a table, [methods.c], not 3."),
    ("[[parts]]\nnosie = 0.5", "[[parts]] part 2 has a key 'nosie' that is not known there. Did you mean noise?"),
    ("[[parts]]\nname = 3", "[[parts]] number 2: name must be a text, not 3."),
    ("[[parts]]\nname = 'one'", "two tables [[parts]] have the name 'one'."),
    ("[[parts]]\nmethods = ['aa']", "[[parts]] part 2: methods must be one of a, not 'aa'. Did you mean a?"),
    ("[[parts]]\nseed = []", "[[parts]] part 2: seed must list at least one value."),
    ("[[parts]]\nseed = [1, 1]", "[[parts]] part 2: seed lists 1 twice."),
    ("[[parts]]\nnoise = 1.5", "part 'part 2', method 'a': noise must be at least 0 and below 1, not 1.5."),
    ("[[parts]]\nn_timesteps = 1.5", "part 'part 2', method 'a': n-timesteps must be of type int, not 1.5."),
    ("[[parts]]\nrecipe = ['set', 'riggl']", "Did you mean rigl?"),
    ("[[parts]]\nenv = 'Hoper-v5'", "env must be a registered environment, not 'Hoper-v5'. Did you mean Hopper-v5?"),
    ("[methods.b]\nrecipe = 'set'\n[[parts]]\nrecipe = 'rigl'", "part 'part 2', method 'b' is the same run as method 'a'."),
]


@pytest.mark.parametrize(("addition", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_is_wrong_is_said_in_one_sentence_with_its_place(addition, message, tmp_path):
    text = "[methods.a]\nrecipe = 'dense'\n[[parts]]\nname = 'one'\n"
    # Keys of the file itself stand before its tables.
    path = write(tmp_path, text + addition if addition.startswith("[") else addition + "\n" + text)
    with pytest.raises(ValueError) as caught:
        Study.load(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "message"), [("", "there are no methods"), ("[methods.a]", "there are no parts")])
def test_a_study_needs_methods_and_parts(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Study.load(write(tmp_path, text))


def test_a_file_that_is_not_there_is_answered_with_the_closest(tmp_path):
    write(tmp_path, TEXT)
    with pytest.raises(
        ValueError, match=r"cannot read .*stdy\.toml: No such file or directory\. Did you mean study\.toml\?"
    ):
        Study.load(tmp_path / "stdy.toml")
