"""Driving permutations: the run's clock, not the environments' own."""

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


def test_environments_without_permutation_have_order_0():
    assert current_permutation(make_vec_env({"env_id": "InvertedPendulum-v5", "noise_fraction": 0.5}, seed=0)) == 0
