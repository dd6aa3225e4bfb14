"""Assessing a saved agent: its episodes, its links, in its own environment or a changed one."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv

from ..agents.attention import require_actor
from ..agents.filter import FilterRow, filter_report
from . import report
from .agent import saved_agent, weights_only_agent
from .archive import Provenance, inspect_model, read_provenance
from .atomic import atomic_write_text, check_writable
from .attention_picture import with_attention
from .device import resolve_device
from .disturbance import Disturbance, ObservedMoments, check_disturbances, disturbed_env, parse_disturbances
from .environments import evaluation_seed, make_vec_env, relevant_features
from .evaluation import Episodes, evaluate
from .folder import find_model
from .foreign_env import require_named
from .options import spelling
from .permutation import current_permutation
from .video import FirstEpisode, check_video, use_offscreen_gl, write_video


class Wishes(Protocol):
    """How to assess: the options of ``evaluate.py``; ``None`` keeps what the agent was trained with."""

    episodes: int
    seed: int
    stochastic: bool
    device: str
    weights_only: bool
    noise_std: float | None
    noise_distribution: str | None
    permutation: int | None
    live_noise: int | None
    corrupt: str | None
    corrupt_features: str
    env: str | None
    noise: float | None
    json: str | None
    video: str | None
    attention: bool


@dataclass(frozen=True)
class Assessment:
    """What came out.

    Args:
        model: the archive that was assessed.
        environment: arguments of :func:`siftrl.envs.make_ene` of the environment that was played.
        permutation: number of the feature order.
        played: returns and lengths.
        links: how each network's input layer spends its links, and ranks the features, scaled by their standard deviation
            in the observations played; empty for agents without actor and critics.
        disturbances: what went wrong in these episodes.
        clean: the same number of episodes where nothing did, if something did.
    """

    model: Path
    environment: dict[str, Any]
    permutation: int
    played: Episodes
    links: dict[str, FilterRow]
    disturbances: tuple[Disturbance, ...] = ()
    clean: Episodes | None = None

    def to_dict(self) -> dict[str, Any]:
        """The figures for a JSON file; a task without noise has ``None`` links per noise feature."""
        told_otherwise = ("env_id", "render_mode", "permute", "permute_every")
        environment = {name: value for name, value in self.environment.items() if name not in told_otherwise}
        return {
            "model": str(self.model),
            "env": self.environment["env_id"],
            **environment,
            "permutation": self.permutation,
            "mean_reward": float(np.mean(self.played.returns)),
            "std_reward": float(np.std(self.played.returns)),
            "episode_rewards": self.played.returns,
            "episode_lengths": self.played.lengths,
            "corruptions": [{"name": one.name, "severity": one.severity, "level": one.level} for one in self.disturbances],
            "clean_mean_reward": None if self.clean is None else float(np.mean(self.clean.returns)),
            "links": {
                network: {name: None if math.isnan(value) else value for name, value in row._asdict().items()}
                for network, row in self.links.items()
            },
        }


def assess(model: str, wishes: Wishes) -> Assessment:
    """Load the agent that ``model`` means, play, and print and write what was wished for.

    Raises:
        ValueError: for an agent that is not there or not whole, and for wishes that do not fit it.
    """
    path = find_model(model)
    inspect_model(path)
    for output in (wishes.json, wishes.video):
        if output is not None:
            check_writable(output)
    film = None
    if wishes.video is not None:
        check_video(Path(wishes.video))
        use_offscreen_gl()
        film = FirstEpisode(keep_observations=wishes.attention)
    provenance = read_provenance(path)
    environment = environment_of(path, provenance, wishes)
    disturbances = parse_disturbances(wishes.corrupt)
    check_disturbances(environment, disturbances, wishes.corrupt_features)
    env = make_vec_env(environment, seed=evaluation_seed(wishes.seed))
    permutation = provenance.permutation if wishes.permutation is None and provenance else wishes.permutation
    if permutation is not None and env.has_attr("permutations"):
        env.env_method("set_permutation", permutation)
    agent = _load(path, provenance, env, wishes)
    if wishes.attention:
        require_actor(agent)
    reads_features = hasattr(agent, "critic")
    observed = ObservedMoments(env.observation_space.shape[0])
    clean = None
    if disturbances:
        moments = ObservedMoments(env.observation_space.shape[0])
        clean = _play(agent, env, wishes, moments)
        env = disturbed_env(
            environment,
            disturbances,
            agent=agent,
            moments=moments,
            seed=evaluation_seed(wishes.seed),
            features=wishes.corrupt_features,
            permutation=permutation,
        )

    def watch(locals_: dict[str, Any], globals_: dict[str, Any]) -> None:
        observed(locals_, globals_)
        if film is not None:
            film(locals_, globals_)

    played = _play(agent, env, wishes, watch)
    links = filter_report(agent, relevant_features(env), observed.std) if reads_features else {}
    assessment = Assessment(path, environment, current_permutation(env), played, links, disturbances, clean)
    _show(assessment, agent, env, provenance)
    if wishes.json is not None:
        atomic_write_text(wishes.json, json.dumps(assessment.to_dict(), indent=2, allow_nan=False) + "\n")
    if film is not None:
        film.check_frames()
        frames = with_attention(film, agent, environment["env_id"]) if wishes.attention else film.frames
        write_video(Path(wishes.video), frames, env.unwrapped.metadata.get("render_fps", 30), full_size=wishes.attention)
        print(f"Video of the first episode: {wishes.video}")
    return assessment


def _play(agent: Any, env: VecEnv, wishes: Wishes, callback: Any) -> Episodes:
    seed = evaluation_seed(wishes.seed)
    if wishes.stochastic:
        set_random_seed(seed)
    return evaluate(
        agent,
        env,
        episodes=wishes.episodes,
        seed=seed,
        deterministic=not wishes.stochastic,
        callback=callback,
    )


def _load(path: Path, provenance: Provenance | None, env: VecEnv, wishes: Wishes) -> Any:
    device = resolve_device(wishes.device)
    if not wishes.weights_only:
        return saved_agent(path, env, device)
    if provenance is None:
        raise ValueError(f"weights-only needs a model that train.py saved, which {path} is not: it lacks the run's options.")
    return weights_only_agent(path, provenance, env, device)


def environment_of(path: Path, provenance: Provenance | None, wishes: Wishes) -> dict[str, Any]:
    """Arguments of :func:`siftrl.envs.make_ene` for the environment to play: as trained, but for what was wished.

    Raises:
        ValueError: where neither the model nor the wishes name a task, and for other noise where there is none.
    """
    if provenance is not None:
        if wishes.env is None:
            require_named(provenance.config.env, None, path)
        environment = provenance.config.ene_kwargs()
    elif wishes.env is not None:
        environment = {"env_id": wishes.env, "noise_fraction": 0.0}
    else:
        raise ValueError(f"the model {path} was not saved by train.py, so it does not know its task: name it with --env.")
    changes = {
        "env_id": wishes.env,
        "noise_fraction": wishes.noise,
        "noise_std": wishes.noise_std,
        "noise_distribution": wishes.noise_distribution,
        "live_noise": wishes.live_noise,
        "render_mode": None if wishes.video is None else "rgb_array",
    }
    environment.update({name: value for name, value in changes.items() if value is not None})
    for name in ("noise_std", "noise_distribution"):
        if changes[name] is not None and not environment["noise_fraction"]:
            task = environment["env_id"]
            raise ValueError(f"{spelling(name)} must be left out for {path}: its task, {task}, has no noise features.")
    is_permuted = environment.get("permute") or environment.get("permute_every")
    if wishes.permutation is not None and not is_permuted:
        # Orders exist only in a permuted environment; this one changes its order never by itself, and starts with its own.
        environment["permute_every"] = sys.maxsize
    return environment


def _show(assessment: Assessment, agent: Any, env: VecEnv, provenance: Provenance | None) -> None:
    features, real = env.observation_space.shape[0], len(relevant_features(env))
    trained = f", trained for {provenance.num_timesteps:,} environment steps" if provenance else ""
    print(f"{assessment.model}{trained}")
    shown = ("noise_distribution", "noise_std", "live_noise")
    details = [
        f"{name.replace('_', ' ')} {assessment.environment[name]}" for name in shown if name in assessment.environment
    ]
    if features == real:
        details.clear()
    if env.has_attr("permutations"):
        details.append(f"feature order {assessment.permutation}")
    print(
        f"{assessment.environment['env_id']}: {features:,} features, {real:,} of them real"
        + (f" ({', '.join(details)})" if details else "")
    )
    if assessment.links:
        report.show_links({"": assessment.links}, agent)
    if assessment.clean is not None:
        print(f"{_in_words(assessment.clean)}; then with {', '.join(one.in_words for one in assessment.disturbances)}:")
    print(_in_words(assessment.played))


def _in_words(played: Episodes) -> str:
    returns, lengths = np.array(played.returns), np.array(played.lengths)
    if len(returns) == 1:
        return f"Return of 1 episode: {returns[0]:,.1f}; length {lengths[0]:,}"
    return (
        f"Return over {len(returns)} episodes: {returns.mean():,.1f} ± {returns.std():,.1f} "
        f"(min {returns.min():,.1f}, max {returns.max():,.1f}); length {lengths.mean():,.1f}"
    )
