"""The state of the training loop: counters, last observations, episodes, and the log that is not written yet."""

import numpy as np
import stable_baselines3 as sb3
from siftrl.training.loop_state import loop_state, set_loop_state
from stable_baselines3.common.logger import Logger


def make_model():
    model = sb3.SAC("MlpPolicy", "Pendulum-v1", buffer_size=300, learning_starts=10, policy_kwargs={"net_arch": [4]}, seed=0)
    model.set_logger(Logger(None, []))
    return model


def test_the_loop_goes_on_where_it_was():
    model, other = make_model(), make_model()
    model.learn(215)
    model.logger.record("a", np.float32(0.5), exclude="tensorboard")
    model.logger.record_mean("b", 1.0)
    model.logger.record_mean("b", 2.0)
    other.learn(3)
    other.logger.record("of a start that did not happen", 1)
    set_loop_state(other, loop_state(model))
    for name in ("num_timesteps", "_n_updates", "_episode_num", "ep_info_buffer", "ep_success_buffer"):
        assert getattr(other, name) == getattr(model, name), name
    assert other.ep_info_buffer.maxlen == 100
    np.testing.assert_array_equal(other._last_obs, model._last_obs)
    for model_ in (model, other):
        model_.logger.record_mean("b", 6.0)
    assert dict(other.logger.name_to_value) == dict(model.logger.name_to_value)
    assert other.logger.name_to_value["b"] == 3.0
    assert other.logger.name_to_excluded == model.logger.name_to_excluded
    assert (other.action_space.sample() == model.action_space.sample()).all()
