"""Films: the frames of one episode, the camera that follows, and files at the task's speed."""

import numpy as np
import pytest
from PIL import Image
from siftrl.training.environments import make_vec_env
from siftrl.training.video import FirstEpisode, check_video, follow, write_video


def frames(n, height=40, width=60):
    """Each of one colour, so that it can be told from the others."""
    return [np.full((height, width, 3), (5 * number, 100, 255 - 5 * number), np.uint8) for number in range(n)]


@pytest.mark.parametrize(("fps", "stride"), [(20, 1), (50, 2), (125, 5)])
@pytest.mark.parametrize("full_size", [False, True])
def test_a_gif_plays_at_the_tasks_speed(fps, stride, full_size, tmp_path):
    path = tmp_path / "film.gif"
    write_video(path, iter(frames(10)), fps, full_size=full_size)
    with Image.open(path) as film:
        assert film.size == ((60, 40) if full_size else (30, 20))
        assert film.n_frames == len(range(0, 10, stride))
        assert film.info["duration"] == pytest.approx(1000 * stride / fps, abs=5)
        assert film.info["loop"] == 0
        film.seek(1)
        assert np.asarray(film.convert("RGB"))[0, 0] == pytest.approx([5 * stride, 100, 255 - 5 * stride], abs=2)


@pytest.mark.parametrize("fps", [30, 60, 67])
def test_a_gif_of_any_speed_takes_as_long_as_the_task(fps, tmp_path):
    path = tmp_path / "film.gif"
    write_video(path, iter(frames(40)), fps)
    with Image.open(path) as film:
        durations = []
        for number in range(film.n_frames):
            film.seek(number)
            durations.append(film.info["duration"])
    stride = round(fps / 25)
    assert sum(durations) == pytest.approx(1000 * stride * len(durations) / fps, abs=5)
    assert max(durations) - min(durations) <= 10


@pytest.mark.parametrize("name", ["film.gif", "film.mp4"])
def test_a_film_that_fails_leaves_the_one_before(name, tmp_path):
    if name.endswith("mp4"):
        pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / name
    path.write_text("the film before")

    def failing():
        yield from frames(3, 32, 64)
        raise MemoryError

    with pytest.raises(MemoryError):
        write_video(path, failing(), 20)
    assert path.read_text() == "the film before"
    assert list(tmp_path.iterdir()) == [path]


def test_one_frame_is_a_film(tmp_path):
    write_video(tmp_path / "film.gif", iter(frames(1)), 30)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 1


def test_an_mp4_holds_every_frame(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    import imageio.v3

    write_video(tmp_path / "film.mp4", iter(frames(10, 32, 64)), 20)
    film = imageio.v3.imread(tmp_path / "film.mp4")
    assert film.shape == (10, 32, 64, 3)
    assert film[9, 0, 0].astype(int) == pytest.approx([45, 100, 210], abs=12)


def test_what_cannot_be_written_is_said_before(tmp_path, monkeypatch):
    check_video(tmp_path / "film.GIF")
    with pytest.raises(ValueError, match=r"must end in .gif or .mp4, not 'film.avi'"):
        check_video(tmp_path / "film.avi")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_video(tmp_path / "film.gif")
    with pytest.raises(ValueError, match=r"pip install 'siftrl\[video\]'"):
        check_video(tmp_path / "film.mp4")


class Camera:
    """An environment that renders its own step count."""

    def __init__(self):
        self.unwrapped, self.steps = self, 0

    def has_attr(self, name):
        return name == "relevant_features"

    def get_attr(self, name, index):
        return [np.array([2, 0])]

    def get_images(self):
        return [self.steps]


@pytest.mark.parametrize("keep", [False, True])
def test_one_episode_is_filmed_with_what_is_seen_at_each_frame(keep):
    film, env = FirstEpisode(keep_observations=keep), Camera()
    for env.steps in range(1, 7):
        film({"env": env, "done": env.steps == 4, "new_observations": [10 * env.steps]}, {})
    assert film.frames == [1, 2, 3]
    assert film.observations == ([10, 20, 30] if keep else [])
    assert film.relevant.tolist() == [2, 0]
    film.check_frames()


def test_an_episode_of_one_step_has_nothing_to_show():
    film = FirstEpisode()
    film({"env": Camera(), "done": True, "new_observations": [0]}, {})
    with pytest.raises(ValueError, match="over after one step"):
        film.check_frames()


@pytest.mark.parametrize(("env_id", "camera"), [("HalfCheetah-v5", 0), ("Reacher-v5", -1)])
def test_the_camera_follows_what_runs(env_id, camera):
    env = make_vec_env({"env_id": env_id, "noise_fraction": 0.5, "render_mode": "rgb_array"}, seed=0)
    follow(env)
    assert env.envs[0].unwrapped.mujoco_renderer.camera_id == camera


def test_tasks_without_such_cameras_are_left_alone():
    env = make_vec_env({"env_id": "Pendulum-v1", "noise_fraction": 0.0, "render_mode": "rgb_array"}, seed=0)
    before = dict(vars(env.envs[0].unwrapped))
    follow(env)
    assert vars(env.envs[0].unwrapped) == before
