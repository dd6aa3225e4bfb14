"""Driving permutations: the run's clock, not the environments' own."""

import numpy as np
import stable_baselines3 as sb3
from siftrl.training.environments import make_vec_env, relevant_features
from siftrl.training.permutation import PermutationDriver, current_permutation

TASK = {"env_id": "InvertedPendulum-v5", "noise_fraction": 0.5, "permute_every": 40, "permutation_seed": 1}


def test_all_environments_follow_the_total_of_steps():
    training, evaluation = make_vec_env(TASK, n_envs=4, seed=0), make_vec_env(TASK, seed=9)
    driver = PermutationDriver(40, training, evaluation)
    model = sb3.SAC("MlpPolicy", training, buffer_size=1000, learning_starts=10**6, device="cpu")
    model.learn(100, callback=driver)
    training.reset()
    # Each of the four has made 25 steps, fewer than a period.
    assert set(training.get_attr("permutation")) == {2}
    driver.drive(100)
    evaluation.reset()
    assert set(evaluation.get_attr("permutation")) == {2}
    assert list(relevant_features(training)) == list(relevant_features(evaluation))


def test_a_new_order_holds_from_the_next_reset_and_for_evaluation_no_sooner():
    task = {**TASK, "env_id": "Pendulum-v1", "permute_every": 300}  # one and a half episodes
    training, evaluation = (make_vec_env(task, seed=seed) for seed in (0, 9))
    driver = PermutationDriver(300, training, evaluation)
    driver.drive(0)
    training.reset()
    orders = []
    for step in range(1, 900):
        training.step(np.zeros((1, 1), np.float32))
        driver.drive(step)
        evaluation.reset()
        orders.append((*training.get_attr("permutation"), *evaluation.get_attr("permutation")))
    of_training, of_evaluation = np.array(orders).T
    np.testing.assert_array_equal(of_training, of_evaluation)
    assert (np.flatnonzero(np.diff(of_training)) + 2).tolist() == [400, 800]


def test_environments_without_permutation_have_order_0():
    assert current_permutation(make_vec_env({"env_id": "InvertedPendulum-v5", "noise_fraction": 0.5}, seed=0)) == 0
