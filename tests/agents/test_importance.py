"""What an agent earns without some features, in a task where that can be counted."""

import gymnasium as gym
import numpy as np
import pytest
from siftrl.agents.importance import permutation_importance, removal_curve, returns_without


class Follow(gym.Env):
    """Repeat the first of three features: a step costs the distance, and one too far off ends the episode. Ten steps."""

    observation_space = gym.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.target = 0, self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return self.target, {}

    def step(self, action):
        distance = abs(float(action[0]) - float(self.target[0]))
        self.t, self.target = self.t + 1, self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return self.target, -distance, distance > 1, self.t == 10, {}


class Repeats:
    observation_space = Follow.observation_space

    def predict(self, observations, deterministic):
        assert deterministic
        return observations[:, :1], None


SEEN = np.random.default_rng(0).uniform(-1, 1, (500, 3)).astype(np.float32)


@pytest.mark.parametrize("replacement", ["mean", "shuffle"])
def test_only_the_feature_that_is_used_is_missed(replacement):
    removed = np.array([[False, False, False], [False, True, True], [True, False, False]])
    returns = returns_without(Repeats(), Follow, removed, SEEN, replacement=replacement, episodes=20)
    assert returns.shape == (3, 20)
    assert (returns[:2] == 0).all()
    assert (returns[2] < 0).all()


def test_a_removed_feature_stands_at_its_mean():
    mean = SEEN.mean(axis=0)[0]
    returns = returns_without(
        Repeats(), Follow, np.array([[True, False, False]]), SEEN, replacement="mean", episodes=1, seed=7
    )
    env = Follow()
    env.reset(seed=7)
    expected, over = 0.0, False
    while not over:
        _, reward, terminated, truncated, _ = env.step([mean])
        expected, over = expected + reward, terminated or truncated
    assert returns[0, 0] == pytest.approx(expected, rel=1e-6)


def test_permutation_importance_is_what_is_lost():
    importance = permutation_importance(Repeats(), Follow, SEEN, episodes=20)
    assert importance[0] > 1
    assert importance[1:].tolist() == [0, 0]


def test_a_good_ranking_keeps_the_return_for_long_and_loses_it_at_once_the_other_way_round():
    scores = np.array([0.9, 0.5, 0.1])
    least_first = removal_curve(Repeats(), Follow, scores, [0, 1, 2, 3], SEEN)
    most_first = removal_curve(Repeats(), Follow, scores, [0, 1, 2, 3], SEEN, most_first=True)
    assert least_first[:3].tolist() == [0, 0, 0]
    assert most_first[0] == 0
    assert most_first[1:].tolist() == [least_first[3]] * 3
    assert least_first[3] < 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"removed": np.zeros(3, bool)}, "removed must have rows of 3 features, got shape"),
        ({"observations": np.zeros((5, 2))}, "observations must have rows of 3 features, got shape"),
        ({"observations": np.zeros((0, 3))}, "observations must have rows of 3 features, got shape"),
        ({"replacement": "zero"}, "replacement must be one of mean, shuffle, got 'zero'"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = {"removed": np.zeros((1, 3), bool), "observations": SEEN, **change}
    with pytest.raises(ValueError, match=message):
        returns_without(Repeats(), Follow, **arguments)
