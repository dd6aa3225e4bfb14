"""Why does exact noise keep agents from learning, and what would have to go? One question, one small table.

    python experiments/understanding.py

Trains SAC with SB3's hyper-parameters on Pendulum-v1 (6 000 environment steps, 1 000 of them random) with 147 noise features
beside its three, under conditions that differ in one thing each. Adds a row for each run to
``experiments/results/understanding.csv``, goes on with what is missing when started again, and writes ``understanding.md``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch as th
from siftrl.agents import SAC, Sift
from siftrl.agents.feature_reader import FeatureReader
from siftrl.agents.replay_rows import newest_rows, observed
from siftrl.envs import make_ene
from siftrl.experiments.record import RESULTS, complete, read
from siftrl.reports.statistics import iqm, stratified_bootstrap
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from torch import nn

TASK, NOISE_FRACTION, N_STEPS, N_RANDOM = "Pendulum-v1", 0.98, 6_000, 1_000
SEEDS = range(5)
EPISODES = 20
N_JUDGED = 1_000  # transitions on each side of the comparison of errors
N_REDRAWS = 8
LEGEND = f"""\
SAC, SB3's hyper-parameters, {TASK}, {N_STEPS:,} environment steps, {N_RANDOM:,} of them random; three real features
among 147 of exact noise unless the condition says otherwise. A random policy's return is about -1 200.

*Return*: {EPISODES} episodes at the end, interquartile mean over seeds with its bootstrap 95 % interval. Medians over
seeds: *TD error*, of the critic in transitions that were replayed, and in new ones of the same agent, both over the
spread of its targets; *moved*, how far redrawing the noise moves Q (over its spread between states) and the action
(in [-1, 1])."""
COLUMNS = ("condition", "seed", "return", "td_error_replayed", "td_error_new", "q_noise", "action_noise")


class Reads(FeatureReader):
    """Read the real features and some of the noise, with the networks of these names; the others read everything."""

    def __init__(self, n_noise: int = 0, networks: tuple[str, ...] = ("actor", "qf0", "qf1")) -> None:
        super().__init__()
        self.n_noise, self.networks = n_noise, networks

    def _first_layers(self) -> dict[str, nn.Module]:
        return {name: layer for name, layer in super()._first_layers().items() if name in self.networks}

    def _on_rollout_start(self) -> None:
        if not self.accepted.any():
            n_real = len(self.training_env.get_attr("relevant_features")[0])
            self.start_anew(np.arange(len(self.accepted)) < n_real + self.n_noise)


class LoudSift(Sift):
    """Draw the links of accepted features as SB3 draws them, whatever the features' standard deviations are."""

    def start_anew(self, accepted: np.ndarray, rows: np.ndarray | None = None) -> None:
        super().start_anew(accepted)


class LateSift(LoudSift):
    """Examine features for the first time after half of the run, when much has been learnt from noise."""

    def _init_callback(self) -> None:
        super()._init_callback()
        self._next = N_STEPS // 2


class KeepingSift(Sift):
    """Leave the links of accepted features as they are, a fifth of all; the others start at zero."""

    def start_anew(self, accepted: np.ndarray, rows: np.ndarray | None = None) -> None:
        self.link(accepted)


@dataclass(frozen=True)
class Condition:
    """How a run differs from dense SAC among exact noise."""

    noise: float = NOISE_FRACTION
    callback: Callable[[], BaseCallback] | None = None
    policy: dict[str, Any] = field(default_factory=lambda: {"recipe": "dense"})
    algorithm: dict[str, Any] = field(default_factory=dict)


def _reads(n_noise: int = 0, only: str = "") -> Condition:
    """The real features and so much noise; ``only`` the actor, or only the critics, the others everything."""
    networks = {"": ("actor", "qf0", "qf1"), "actor": ("actor",), "critics": ("qf0", "qf1")}[only]
    policy = {"recipe": "sift", "actor_input_density": 0.2, "critic_input_density": 0.2}
    if only:
        policy["critic_input_density" if only == "actor" else "actor_input_density"] = 1.0
    return Condition(callback=lambda: Reads(n_noise, networks), policy=policy)


def _dense(**algorithm: Any) -> Condition:
    return Condition(algorithm=algorithm)


def _normalised() -> nn.Module:
    return nn.Sequential(nn.LayerNorm(256), nn.ReLU())


CONDITIONS = {
    "dense, no noise": Condition(noise=0.0),
    "dense, noise redrawn": _dense(replay_buffer_kwargs={"replay_noise": "fresh"}),
    "dense": Condition(),
    "sift": Condition(callback=Sift, policy={"recipe": "sift"}),
    "sift, drawn as SB3's": Condition(callback=LoudSift, policy={"recipe": "sift"}),
    "sift, links not drawn anew": Condition(callback=KeepingSift, policy={"recipe": "sift"}),
    f"sift, drawn as SB3's, after {N_STEPS // 2:,} steps": Condition(callback=LateSift, policy={"recipe": "sift"}),
    "anf": Condition(policy={"recipe": "anf"}),
    "rigl, 20 % of input links": Condition(policy={"recipe": "rigl", "input_density": 0.2}),
    **{f"{n} of 147 noise features read": _reads(n) for n in (3, 15, 50)},
    **{
        f"no noise, {share:.0%} of input links": Condition(noise=0.0, policy={"recipe": "sift", "input_density": share})
        for share in (0.02, 0.05, 0.2)
    },
    "the actor alone reads no noise": _reads(only="actor"),
    "the critics alone read no noise": _reads(only="critics"),
    "learning rate 1e-4 (3e-4)": _dense(learning_rate=1e-4),
    "batch of 1 024 (256)": _dense(batch_size=1_024),
    "weight decay 1e-3 (0)": Condition(policy={"recipe": "dense", "optimizer_kwargs": {"weight_decay": 1e-3}}),
    "LayerNorm in both hidden layers": Condition(policy={"recipe": "dense", "activation_fn": _normalised}),
    "an update every fourth step": _dense(train_freq=4),
    "3 000 random steps (1 000)": _dense(learning_starts=3_000),
}
ENDS = ("dense, no noise", "dense")
QUESTIONS = {
    "What is memorised?": (*ENDS, "dense, noise redrawn", "sift"),
    "Which parts of sift are needed, and does rewiring do?": (
        *ENDS,
        "sift",
        "sift, drawn as SB3's",
        "sift, links not drawn anew",
        f"sift, drawn as SB3's, after {N_STEPS // 2:,} steps",
        "anf",
        "rigl, 20 % of input links",
    ),
    "How many noise features may be left?": (
        *ENDS,
        "sift, drawn as SB3's",
        *(f"{n} of 147 noise features read" for n in (3, 15, 50)),
    ),
    "How many links do real features need?": (
        "dense, no noise",
        *(f"no noise, {share} of input links" for share in ("2%", "5%", "20%")),
    ),
    "Is it the actor or the critics?": (*ENDS, "the actor alone reads no noise", "the critics alone read no noise"),
    "Do hyper-parameters cure it?": (
        *ENDS,
        "learning rate 1e-4 (3e-4)",
        "batch of 1 024 (256)",
        "weight decay 1e-3 (0)",
        "LayerNorm in both hidden layers",
        "an update every fourth step",
        "3 000 random steps (1 000)",
    ),
}


def train(condition: Condition, seed: int) -> SAC:
    """One run."""
    env = make_ene(TASK, noise_fraction=condition.noise)
    algorithm = {"learning_starts": N_RANDOM, **condition.algorithm}
    model = SAC("SparseMlpPolicy", env, policy_kwargs=dict(condition.policy), seed=seed, **algorithm)
    return model.learn(N_STEPS, callback=condition.callback and condition.callback())


class Judged(NamedTuple):
    """Transitions in which errors are looked at: arrays with a row for each."""

    here: np.ndarray
    there: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray


def replayed(model: SAC) -> Judged:
    """The newest transitions of the replay, which were learnt from."""
    buffer = model.replay_buffer
    rows = newest_rows(buffer, N_JUDGED)
    return Judged(*observed(buffer, rows), buffer.actions[rows, 0], buffer.rewards[rows, 0])


def newly_made(model: SAC) -> Judged:
    """As many transitions that the same agent makes next, and does not learn from."""
    env, made = model.get_env(), []
    here = model._last_obs
    for _ in range(N_JUDGED):
        actions = model.predict(here)[0]
        there, rewards, dones, infos = env.step(actions)
        last = infos[0]["terminal_observation"][None] if dones[0] else there
        made.append((here[0], last[0], model.policy.scale_action(actions)[0], rewards[0]))
        here = there
    return Judged(*(np.array(part, np.float32) for part in zip(*made, strict=True)))


def td_error(model: SAC, judged: Judged) -> float:
    """Root mean square of the first critic's temporal-difference error, over the spread of its targets."""
    here, there, actions = (th.as_tensor(part) for part in judged[:3])
    with th.no_grad():
        next_actions, log_prob = model.actor.action_log_prob(there)
        next_q = th.cat(model.critic_target(there, next_actions), 1).amin(1) - th.exp(model.log_ent_coef) * log_prob
        targets = th.as_tensor(judged.rewards) + model.gamma * next_q  # Pendulum-v1 never terminates
        errors = model.critic(here, actions)[0][:, 0] - targets
    return float(errors.square().mean().sqrt() / targets.std())


def noise_shares(model: SAC, judged: Judged) -> tuple[float, float]:
    """How far redrawing an observation's noise moves Q (over its spread between states) and the action (in [-1, 1]); RMS."""
    n_real = len(model.get_env().get_attr("relevant_features")[0])
    rng = np.random.default_rng(0)
    q, actions = [], []
    for _ in range(N_REDRAWS):
        seen = judged.here.copy()
        seen[:, n_real:] = rng.standard_normal(seen[:, n_real:].shape)
        with th.no_grad():
            q.append(model.critic(th.as_tensor(seen), th.as_tensor(judged.actions))[0][:, 0].numpy())
            actions.append(model.actor(th.as_tensor(seen), deterministic=True)[:, 0].numpy())
    return (
        float(np.sqrt(np.var(q, axis=0, ddof=1).mean()) / np.mean(q, axis=0).std()),
        float(np.sqrt(np.var(actions, axis=0, ddof=1).mean())),
    )


def measure(name: str, seed: int) -> Iterator[dict[str, object]]:
    """Train, and one row of the result."""
    condition = CONDITIONS[name]
    model = train(condition, seed)
    old, new = replayed(model), newly_made(model)
    env = make_ene(TASK, noise_fraction=condition.noise)
    env.reset(seed=10_000 + seed)
    score, _ = evaluate_policy(model, env, EPISODES, warn=False)
    figures = (score, td_error(model, old), td_error(model, new), *noise_shares(model, new))
    yield dict(zip(COLUMNS, (name, seed, *(f"{figure:.4g}" for figure in figures)), strict=True))


def tables(rows: list[dict[str, str]]) -> Iterator[str]:
    """A markdown table for each question."""
    yield LEGEND
    for question, names in QUESTIONS.items():
        lines = [
            f"\n**{question}**\n",
            "| condition | seeds | return | 95 % interval | TD error, replayed | new | Q moved | action moved |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for name in names:
            of = [row for row in rows if row["condition"] == name]
            if not of:
                continue
            returns = np.array([float(row["return"]) for row in of])
            low, high, point = stratified_bootstrap(returns[:, None], iqm)
            interval = f"{low:,.0f} to {high:,.0f}" if len(of) > 1 else ""
            medians = " | ".join(f"{np.median([float(row[key]) for row in of]):.2f}" for key in COLUMNS[3:])
            lines.append(f"| {name} | {len(of)} | {point:,.0f} | {interval} | {medians} |")
        yield "\n".join(lines)
    yield "\nCommand: `python experiments/understanding.py`\n"


def main() -> None:
    """Do what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only-table", action="store_true", help="write the tables from the rows there are")
    th.set_num_threads(1)
    path = RESULTS / "understanding.csv"
    if not parser.parse_args().only_table:
        complete(path, COLUMNS, ((name, seed) for seed in SEEDS for name in CONDITIONS), measure)
    text = "\n".join(tables(read(path, COLUMNS)))
    (RESULTS / "understanding.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
