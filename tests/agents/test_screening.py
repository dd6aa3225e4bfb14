"""What an examination of features finds, and what it does not."""

import numpy as np
import pytest
from scipy import signal
from siftrl.agents import screening
from siftrl.agents.screening import Experience, screen

N = 800


def task(rng, n=N):
    """A cart that is pushed towards a goal: its speed, its place, the square of its place, and the goal, ``(n + 1, 4)``."""
    impulses = rng.uniform(-1, 1, (n, 1))
    speed, place, goal = np.zeros(n + 1), np.zeros(n + 1), np.repeat(rng.uniform(4, 8, n // 20 + 1), 20)[: n + 1]
    for t in range(n):
        speed[t + 1] = 0.8 * speed[t] + impulses[t, 0]
        place[t + 1] = 0.95 * place[t] + 0.3 * speed[t + 1]
    rewards = -np.abs(place[1:] - goal[:-1])
    return np.stack([speed, place, place**2, goal], 1), impulses, rewards


def autoregressive(rng, coefficient, n_features, n=N):
    noise = rng.standard_normal((n + 1, n_features))
    for t in range(n):
        noise[t + 1] = coefficient * noise[t] + np.sqrt(max(1 - coefficient**2, 0.01)) * noise[t + 1]
    return noise


NOISE = {
    "independent": lambda rng: rng.standard_normal((N + 1, 300)),
    "heavy tails": lambda rng: rng.standard_cauchy((N + 1, 300)),
    "autoregressive": lambda rng: autoregressive(rng, 0.9, 300),
    "a task that another one controls": lambda rng: np.hstack([task(rng)[0][:, :3] for _ in range(30)]),
}


def experience(features, impulses, rewards):
    return Experience(features[:-1].astype(np.float32), features[1:].astype(np.float32), impulses, rewards)


@pytest.mark.parametrize("kind", NOISE)
@pytest.mark.parametrize("seed", range(3))
def test_the_task_is_found_whatever_the_noise(kind, seed):
    rng = np.random.default_rng(seed)
    real, impulses, rewards = task(rng)
    found = screen(experience(np.hstack([real, NOISE[kind](rng)]), impulses, rewards)).accepted
    assert found[:4].all()
    assert found[4:].sum() <= 3


def test_without_the_impulses_there_is_no_experiment():
    rng = np.random.default_rng(0)
    real, impulses, _ = task(rng)
    features = np.hstack([real[:, :3], rng.standard_normal((N + 1, 100))])
    none = np.zeros(N)
    assert screen(experience(features, impulses, none)).accepted[:3].all()
    assert not screen(experience(features, rng.permutation(impulses), none)).accepted.any()


def test_what_foretells_the_reward_is_found_through_the_reward_alone():
    rng = np.random.default_rng(0)
    real, impulses, rewards = task(rng)
    assert screen(experience(real, impulses, rewards)).accepted[3]
    assert not screen(experience(real, impulses, np.zeros(N))).accepted[3]


def wheel(rng, n=N):
    """A wheel that is pushed: the sine and the cosine of its angle, and what turned it, ``(n + 1, 2)``."""
    impulses = rng.uniform(-1, 1, (n, 1))
    speed = signal.lfilter([0.3], [1.0, -0.9], impulses[:, 0])
    angle = np.concatenate([[0.0], np.cumsum(speed)])
    return np.stack([np.sin(angle), np.cos(angle)], 1), impulses


@pytest.mark.parametrize("seed", range(3))
def test_an_angle_is_found_by_the_size_of_its_steps(seed):
    rng = np.random.default_rng(seed)
    real, impulses = wheel(rng)
    features = np.hstack([real, *(wheel(rng)[0] for _ in range(50))])
    assert screen(experience(features, impulses, np.zeros(N))).accepted.nonzero()[0].tolist() == [0, 1]


def test_impulses_add_up_in_each_environment_by_itself():
    rng = np.random.default_rng(1)
    wheels = [wheel(rng, N // 4) for _ in range(4)]
    features = np.stack([real for real, _ in wheels], 1).astype(np.float32)
    impulses = np.concatenate([impulses for _, impulses in wheels], 1).reshape(N, 1)
    whole = Experience(features[:-1].reshape(N, 2), features[1:].reshape(N, 2), impulses, np.zeros(N), n_envs=4)
    assert screen(whole).p_values.max() < screen(whole._replace(n_envs=1)).p_values.min()


def test_what_few_episodes_have_on_average_foretells_nothing():
    rng = np.random.default_rng(0)
    real, impulses, rewards = task(rng)
    episodes = np.repeat(np.arange(4), N // 4)
    levels = rng.standard_normal((4, 100))[np.append(episodes, 3)] + 0.1 * rng.standard_normal((N + 1, 100))
    whole = experience(np.hstack([real, levels]), impulses, rewards + np.array([0.0, 40.0, -40.0, 20.0])[episodes])
    assert screen(whole).accepted[4:].sum() > 50
    assert not screen(whole._replace(episodes=episodes)).accepted[4:].any()
    many = np.arange(N) // (N // 40)
    assert np.array_equal(screen(whole._replace(episodes=many)).p_values, screen(whole).p_values)


def test_features_are_examined_in_blocks_as_they_are_together(monkeypatch):
    rng = np.random.default_rng(0)
    real, impulses, rewards = task(rng)
    whole = experience(np.hstack([real, rng.standard_normal((N + 1, 50))]), impulses, rewards)
    expected = screen(whole)
    monkeypatch.setattr(screening, "_BLOCK", 7)
    finding = screen(whole)
    assert np.array_equal(finding.accepted, expected.accepted)
    np.testing.assert_allclose(finding.p_values, expected.p_values, rtol=1e-3, atol=1e-6)


def test_among_noise_alone_an_examination_rarely_finds_anything():
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        noise = experience(rng.standard_normal((201, 50)), rng.uniform(-1, 1, (200, 2)), rng.standard_normal(200))
        found.append(screen(noise, false_discovery_rate=0.1).accepted.any())
    # 6 are expected at most, and 14 or more would be an accident of one in a thousand.
    assert sum(found) < 14


def test_rounds_share_the_false_discovery_rate(monkeypatch):
    rates, discovered = [], screening.discovered
    monkeypatch.setattr(screening, "discovered", lambda p_values, rate: (rates.append(rate), discovered(p_values, rate))[1])
    rng = np.random.default_rng(0)
    real, impulses, rewards = task(rng)
    screen(experience(np.hstack([real, NOISE["independent"](rng)]), impulses, rewards), false_discovery_rate=0.006)
    assert len(rates) > 2
    assert rates[:3] == pytest.approx([0.003, 0.001, 0.0005])
    assert sum(rates) < 0.006


def test_the_order_of_the_features_does_not_matter():
    rng = np.random.default_rng(0)
    real, impulses, rewards = task(rng)
    features, order = np.hstack([real, rng.standard_normal((N + 1, 50))]), rng.permutation(54)
    one, other = (screen(experience(values, impulses, rewards)) for values in (features, features[:, order]))
    assert np.array_equal(one.accepted[order], other.accepted)
    np.testing.assert_allclose(one.p_values[order], other.p_values, rtol=0.05, atol=1e-3)


def test_what_never_moves_is_not_found_and_what_is_known_is_not_lost():
    rng = np.random.default_rng(0)
    real, impulses, rewards = task(rng)
    features = np.hstack([real, np.full((N + 1, 1), 3.0), rng.standard_normal((N + 1, 20))])
    known = np.zeros(25, bool)
    known[[0, 7]] = True
    finding = screen(experience(features, impulses, rewards), known)
    assert finding.accepted.nonzero()[0].tolist() == [0, 1, 2, 3, 7]
    assert finding.p_values[4] == 1.0


def test_wrong_arguments_are_named():
    rng = np.random.default_rng(0)
    real, impulses, rewards = task(rng)
    whole = experience(real, impulses, rewards)
    with pytest.raises(ValueError, match="at least 8 transitions, got 7"):
        screen(Experience(*(part[:7] for part in whole[:4])))
    with pytest.raises(ValueError, match="each of its 3 environments, got 800"):
        screen(whole._replace(n_envs=3))
    with pytest.raises(ValueError, match="false_discovery_rate must be between 0 and 1, got 1"):
        screen(whole, false_discovery_rate=1)


def linear_task(rng, impulses, n_features=8):
    """Features that turn into each other, and that two impulses push."""
    turn = 0.95 * np.linalg.qr(np.random.default_rng(9).standard_normal((n_features, n_features)))[0]
    push = np.random.default_rng(8).standard_normal((2, n_features))
    features = np.zeros((len(impulses) + 1, n_features))
    for t, impulse in enumerate(impulses):
        features[t + 1] = turn @ features[t] + impulse @ push + 0.3 * rng.standard_normal(n_features)
    return features


@pytest.mark.parametrize(("responsive", "n_shadow"), [(np.arange(16) < 8, 0), (None, 7)], ids=["told", "not told"])
def test_one_false_feature_brings_in_no_others(responsive, n_shadow):
    """One of eight features of a shadow is known, wrongly: as it answers to nothing, it is not asked who foretells it."""
    rng = np.random.default_rng(0)
    impulses = rng.uniform(-1, 1, (1_000, 2))
    features = np.hstack([linear_task(rng, impulses), linear_task(rng, rng.uniform(-1, 1, (1_000, 2)))])
    whole = experience(features, impulses, rng.standard_normal(1_000))
    finding = screen(whole, np.arange(16) < 9, responsive=responsive)
    assert finding.accepted[9:].sum() == n_shadow
    assert finding.responsive[:8].all()


def test_features_answer_through_the_strongest_known_ones_wherever_these_stand():
    def is_found(seed, place, n=2_000, n_known=17):
        rng = np.random.default_rng(seed)
        impulses = rng.uniform(-1, 1, (n, 1))
        features = signal.lfilter([1.0], [1.0, -0.9], 0.2 * rng.standard_normal((n + 1, n_known)), axis=0)
        features[:, place] = signal.lfilter([1.0], [1.0, -0.9], np.append(0, impulses[:, 0]))
        late = 2 * rng.standard_normal(n + 1)
        late[1:] += impulses[:, 0] * features[:-1, place]
        whole = experience(np.column_stack([features, late, rng.standard_normal((n + 1, 30))]), impulses, np.zeros(n))
        return screen(whole, np.arange(48) < n_known).accepted[n_known]

    assert all(is_found(seed, place) for seed in range(2) for place in (0, 16))
