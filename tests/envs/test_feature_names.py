"""Names stand where the features do: each is held against the simulation that it speaks of."""

import sys

import gymnasium as gym
import numpy as np
import pytest
from siftrl.envs.feature_names import feature_names

TASKS = [
    *(f"{task}-v5" for task in ("Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup", "InvertedPendulum")),
    *(f"{task}-v5" for task in ("InvertedDoublePendulum", "Pusher", "Reacher", "Swimmer", "Walker2d")),
    "Ant-v4",
    "Humanoid-v4",
    "Pendulum-v1",
]
ARGUMENTS = [
    ("Ant-v5", {"include_cfrc_ext_in_observation": False}),
    ("Ant-v4", {"use_contact_forces": True}),
    ("Ant-v4", {"exclude_current_positions_from_observation": False}),
    ("HalfCheetah-v5", {"exclude_current_positions_from_observation": False}),
    ("Humanoid-v5", {"include_cinert_in_observation": False, "include_qfrc_actuator_in_observation": False}),
    ("Humanoid-v4", {"exclude_current_positions_from_observation": False}),
]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.parametrize(("task", "arguments"), [*((task, {}) for task in TASKS), *ARGUMENTS])
def test_each_feature_has_a_name_of_its_own(task, arguments):
    with gym.make(task, **arguments) as env:
        width = env.observation_space.shape[0]
    names = feature_names(task, **arguments)
    assert len(names) == len(set(names)) == width


def simulated(task):
    """By name, what a task observes after some random steps, and the task."""
    env = gym.make(task).unwrapped
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(20):
        observation, *_ = env.step(env.action_space.sample())
    return dict(zip(feature_names(task), observation, strict=True)), env


@pytest.mark.parametrize("task", [task for task in TASKS if task != "Pendulum-v1"])
def test_joints_are_where_their_names_say(task):
    seen, env = simulated(task)
    checked = 0
    for index in range(env.model.njnt):
        joint = env.data.joint(env.model.joint(index).name)
        if joint.qpos.size > 1:
            continue
        observed = {"position": joint.qpos, "angle": joint.qpos, "velocity": joint.qvel, "angular velocity": joint.qvel}
        for part, value in observed.items():
            if (seen_here := seen.get(f"{joint.name} {part}")) is not None:
                # Some tasks cut fast motion off.
                assert seen_here in (value[0], *([np.clip(value[0], -10, 10)] if "velocity" in part else []))
                checked += 1
        for function in (np.sin, np.cos):
            if f"{function.__name__}({joint.name} angle)" in seen:
                assert seen[f"{function.__name__}({joint.name} angle)"] == pytest.approx(function(joint.qpos[0]))
                checked += 1
    assert checked >= 4


@pytest.mark.parametrize("task", ["Ant-v5", "Humanoid-v5", "Humanoid-v4", "Ant-v4"])
def test_the_root_floats(task):
    seen, env = simulated(task)
    root = env.data.joint("root")
    assert seen["root position z"] == root.qpos[2]
    assert [seen[f"root orientation {part}"] for part in "wxyz"] == root.qpos[3:].tolist()
    assert [seen[f"root velocity {axis}"] for axis in "xyz"] == root.qvel[:3].tolist()
    assert [seen[f"root angular velocity {axis}"] for axis in "xyz"] == root.qvel[3:].tolist()


@pytest.mark.parametrize("task", ["Humanoid-v5", "HumanoidStandup-v5", "Humanoid-v4"])
def test_bodies_are_where_their_names_say(task):
    seen, env = simulated(task)
    for body in ("torso", "left_foot"):
        of_body = env.data.body(body)
        assert seen[f"{body} mass"] == pytest.approx(env.model.body(body).mass[0])
        assert seen[f"{body} inertia yz"] == of_body.cinert[5]
        assert [seen[f"{body} angular velocity {axis}"] for axis in "xyz"] == of_body.cvel[:3].tolist()
        assert [seen[f"{body} contact force {axis}"] for axis in "xyz"] == of_body.cfrc_ext[3:].tolist()
    assert seen["left_elbow actuator torque"] == env.data.joint("left_elbow").qfrc_actuator[0] != 0


def test_bodies_without_a_name_are_told_apart_by_the_one_above():
    names = feature_names("Ant-v5")
    assert names[:3] == ("root position z", "root orientation w", "root orientation x")
    assert names[-1] == "part below aux_4 contact force z"


def test_places_of_the_pusher_and_the_reacher():
    seen, env = simulated("Pusher-v5")
    assert [seen[f"object position {axis}"] for axis in "xyz"] == env.get_body_com("object").tolist()
    seen, env = simulated("Reacher-v5")
    assert seen["fingertip to target y"] == (env.get_body_com("fingertip") - env.get_body_com("target"))[1]


def test_names_are_short_words():
    assert feature_names("HalfCheetah-v5")[:3] == ("rootz position", "rooty angle", "bthigh angle")
    assert feature_names("Hopper-v5")[-1] == "foot_joint angular velocity"
    assert feature_names("Pendulum-v1") == ("cos(angle)", "sin(angle)", "angular velocity")


@pytest.mark.parametrize("task", ["CartPole-v1", "nothing-v0", "antigravity:Ant-v5", "../Ant-v5", ""])
def test_other_tasks_are_not_made(task):
    assert feature_names(task) is None
    assert "antigravity" not in sys.modules
