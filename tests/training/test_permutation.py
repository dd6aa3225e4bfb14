"""Driving permutations: the run's clock, not the environments' own."""

import numpy as np
import stable_baselines3 as sb3
from siftrl.training.environments import make_vec_env, relevant_features
from siftrl.training.permutation import PermutationDriver, current_permutation

TASK = {"env_id": "InvertedPendulum-v5", "noise_fraction": 0.5, "permute_every": 40, "permutation_seed": 1}


def test_all_environments_follow_the_total_of_steps():
    training, evaluation = make_vec_env(TASK, n_envs=4, seed=0), make_vec_env(TASK, seed=9)
    model = sb3.SAC("MlpPolicy", training, buffer_size=1000, learning_starts=10**6, device="cpu")
    model.learn(100, callback=PermutationDriver(40, training, evaluation))
    for env in (training, evaluation):
        env.reset()
        # Each of the four has made 25 steps, fewer than a period.
        assert set(env.get_attr("permutation")) == {2}
    assert list(relevant_features(training)) == list(relevant_features(evaluation))


def test_the_order_changes_where_an_environment_by_itself_would_change_it():
    task = {**TASK, "env_id": "Pendulum-v1", "permute_every": 400}  # two episodes
    alone, driven, evaluation = (make_vec_env(task, seed=seed) for seed in (0, 0, 9))
    driver = PermutationDriver(400, driven, evaluation)
    driver.drive(0)
    orders = []
    for env in (alone, driven):
        env.reset()
    for step in range(1, 900):
        infos = [env.step(np.zeros((1, 1), np.float32))[3][0] for env in (alone, driven)]
        driver.drive(step)
        orders.append([info["permutation"] for info in infos])
    orders = np.array(orders)
    np.testing.assert_array_equal(orders[:, 0], orders[:, 1])
    assert np.flatnonzero(np.diff(orders[:, 1])).tolist() == [399, 799]


def test_environments_without_permutation_have_order_0():
    assert current_permutation(make_vec_env({"env_id": "InvertedPendulum-v5", "noise_fraction": 0.5}, seed=0)) == 0
