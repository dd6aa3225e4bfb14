"""Study files: what is answered to one that is wrong."""

import pytest
from siftrl.sweeps.study import Study
from siftrl.sweeps.study_file import OPTIONS
from siftrl.training.config import RunConfig


def write(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return path


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
    ("[[parts]]\nmethods = [['a']]", "[[parts]] part 2: methods must be one of a, not \"['a']\"."),
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
        Study.from_file(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "message"), [("", "there are no methods"), ("[methods.a]", "there are no parts")])
def test_a_study_needs_methods_and_parts(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Study.from_file(write(tmp_path, text))


def test_a_file_that_is_not_there_is_answered_with_the_closest(tmp_path):
    write(tmp_path, "")
    with pytest.raises(
        ValueError, match=r"cannot read .*stdy\.toml: No such file or directory\. Did you mean study\.toml\?"
    ):
        Study.from_file(tmp_path / "stdy.toml")


def test_a_study_file_is_utf_8_whatever_the_locale(tmp_path, monkeypatch):
    path = tmp_path / "study.toml"
    path.write_bytes("name = 'Erdős'\n[methods.a]\n[[parts]]\nname = 'Rényi'\n".encode())
    monkeypatch.setattr("io.text_encoding", lambda encoding, _level=2: encoding or "ascii")
    study = Study.from_file(path)
    assert (study.name, study.parts[0].name) == ("Erdős", "Rényi")
