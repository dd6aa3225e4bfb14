"""RunConfig: everything that decides a training run, with one default for each fact."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from ..envs.noise_source import MOST_CORRELATED
from ..envs.noise_tables import KINDS
from ..names import did_you_mean
from .options import (
    AT_LEAST_ONE,
    DENSITY,
    FRACTION,
    NOISE_FRACTION,
    NOT_EMPTY,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    Rule,
    at_most,
    check_options,
    one_of,
    option,
)

AGENT, HYPERPARAMETERS, ENVIRONMENT, NOISE, TRAINING, RECORD, MACHINE = (
    "agent",
    "single hyper-parameters, where they shall differ from --hparams",
    "environment",
    "noise and permutation",
    "training",
    "what is recorded",
    "machine",
)

#: Options of other groups that make the agent, too, whatever else they are about.
ALSO_OF_THE_AGENT = ("replay_noise", "on_permute", "buffer_size", "quiet_start")

DISTRIBUTIONS = one_of(*KINDS)


@dataclass(frozen=True)
class RunConfig:
    """The options of one training run, checked on construction.

    ``train.py`` makes a flag of every field. Densities are fractions of possible links that exist, so sparsity is
    one minus density; steps are environment steps, summed over all training environments.

    Raises:
        ValueError: for a value outside its range and for a name that does not exist, with the closest one that does.

    Example:
        >>> config = RunConfig(env="Hopper-v5", noise=0.95, n_timesteps=1000)
        >>> RunConfig.from_json(config.to_json()) == config
        True
    """

    algo: str = option("sac", "the algorithm", rule=one_of("sac", "td3"), group=AGENT)
    recipe: str = option(
        "sift",
        "the agent: sift, sift-anew, anf, anf-gradient, anf-features, anf-shared, anf-falling, ds, set, rigl, snfs, itop, "
        "srigl, gmp, granet, graesser-set, graesser-rigl, graesser-static, graesser-prune, rlx2, static, oracle or dense",
        rule=NOT_EMPTY,
        group=AGENT,
        metavar="NAME",
    )
    hparams: str = option(
        "sb3",
        "hyper-parameters of Stable-Baselines3, or of the recipe's paper",
        rule=one_of("sb3", "paper"),
        group=AGENT,
    )
    density: float | None = option(
        None, "fraction of the possible links that exist, over all layers (recipe's own)", rule=DENSITY, group=AGENT
    )
    input_density: float | None = option(
        None, "the same for the input layers alone (recipe's own)", rule=DENSITY, group=AGENT
    )
    distribution: str | None = option(
        None, "how --density is spread over the layers, such as uniform, er, erk, input (recipe's own)", group=AGENT
    )
    actor_density: float | None = option(None, "as --density, for the actor alone", rule=DENSITY, group=AGENT)
    critic_density: float | None = option(None, "as --density, for the critics alone", rule=DENSITY, group=AGENT)
    input_epsilon: float | None = option(
        None,
        "instead of densities: Erdős-Rényi factor of the input layers, as in ds; output layers stay dense",
        rule=POSITIVE,
        group=AGENT,
    )
    hidden_epsilon: float | None = option(
        None, "the same for the hidden layers; one of the two alone leaves the other as in ds", rule=POSITIVE, group=AGENT
    )
    width: int = option(256, "units of each of the two hidden layers", rule=at_most(10_000), group=AGENT)

    learning_rate: float | None = option(None, "step size of Adam", rule=POSITIVE, group=HYPERPARAMETERS)
    batch_size: int | None = option(None, "transitions in an update", rule=at_most(1_000_000), group=HYPERPARAMETERS)
    weight_decay: float | None = option(
        None, "share of the weights that is added to their gradient", rule=NOT_NEGATIVE, group=HYPERPARAMETERS
    )
    learning_starts: int | None = option(
        None, "environment steps with random actions before the first update", rule=NOT_NEGATIVE, group=HYPERPARAMETERS
    )
    period_updates: int | None = option(
        None, "updates between two rewirings of a network", rule=AT_LEAST_ONE, group=HYPERPARAMETERS
    )
    drop_fraction: float | None = option(
        None, "fraction of a layer's links that a rewiring replaces, at the start", rule=FRACTION, group=HYPERPARAMETERS
    )

    env: str = option(
        "HalfCheetah-v5",
        "the task's Gymnasium id; observations and actions are continuous",
        rule=NOT_EMPTY,
        group=ENVIRONMENT,
        metavar="ID",
    )
    n_envs: int = option(
        1,
        "training environments stepped together; still one update per environment step",
        rule=at_most(1_000),
        group=ENVIRONMENT,
    )

    noise: float = option(
        0.9, "fraction of the features that are noise, 0 for the bare task", rule=NOISE_FRACTION, group=NOISE
    )
    noise_distribution: str = option(
        "normal",
        "the kind of noise: new at each step (normal, uniform; imitate: after histograms of the real features), with a "
        "memory (autoregressive, brownian; shadow: features of a copy of the task in which someone else acts), or real "
        "features plus noise (copies)",
        rule=DISTRIBUTIONS,
        group=NOISE,
    )
    noise_std: float = option(
        1.0,
        "standard deviation of the noise; of imitate, shadow and copies in units of the real features'",
        rule=NOT_NEGATIVE,
        group=NOISE,
    )
    noise_correlation: float = option(
        0.95,
        "of autoregressive noise with what it was a step before",
        rule=Rule(f"from 0 to {MOST_CORRELATED}", lambda value: 0 <= value <= MOST_CORRELATED),
        group=NOISE,
    )
    replay_noise: str = option(
        "exact",
        "a replayed observation shows the noise it had (exact), or noise drawn anew in each batch (fresh)",
        rule=one_of("exact", "fresh"),
        group=NOISE,
    )
    permute: bool = option(False, "put the features into one random order", group=NOISE)
    permute_every: int | None = option(
        None, "a new random order of the features after every N environment steps", rule=AT_LEAST_ONE, group=NOISE
    )
    permutation_seed: int = option(0, "seed of the orders; training and evaluation share it", rule=NOT_NEGATIVE, group=NOISE)
    on_permute: str = option(
        "keep",
        "stored transitions keep their order, are brought into the new one, or are thrown away",
        rule=one_of("keep", "remap", "clear"),
        group=NOISE,
    )

    n_timesteps: int = option(
        1_000_000,
        "environment steps to train for; with -i: further steps, and those that the run still lacks if left out",
        rule=AT_LEAST_ONE,
        short="-n",
        group=TRAINING,
    )
    seed: int = option(0, "seed of networks, environments, noise and exploration", rule=SEED, group=TRAINING)
    quiet_start: bool = option(
        False,
        "scale the first layers for standardised observations, quietly, when the random steps at the start are over, 1 000 "
        "of them if SB3 has 100 (sift and oracle always start so)",
        group=TRAINING,
    )
    buffer_size: int = option(1_000_000, "transitions that the replay holds", rule=AT_LEAST_ONE, group=TRAINING)
    trained_agent: str | None = option(
        None,
        "a run folder: go on with that run as if it had never stopped; a zip: a new run with its weights, optimisers, "
        "topology, counters, and its replay if it is a checkpoint",
        rule=NOT_EMPTY,
        short="-i",
        group=TRAINING,
        metavar="RUN_OR_ZIP",
    )

    log_folder: str = option("logs", "where run folders go", rule=NOT_EMPTY, short="-f", group=RECORD, metavar="DIR")
    tensorboard_log: str | None = option(
        None, "where TensorBoard events go (the run folder)", rule=NOT_EMPTY, short="-tb", group=RECORD, metavar="DIR"
    )
    eval_freq: int = option(5_000, "environment steps between evaluations, 0 for none", rule=NOT_NEGATIVE, group=RECORD)
    eval_episodes: int = option(5, "episodes of one evaluation", rule=AT_LEAST_ONE, group=RECORD)
    save_freq: int = option(
        50_000,
        "environment steps between checkpoints, 0 for one at the end only",
        rule=NOT_NEGATIVE,
        group=RECORD,
    )
    progress: bool = option(False, "show a progress bar", short="-P", group=RECORD)
    verbose: int = option(
        1,
        "0: the result only, 1: tables and evaluations, 2: also the training log",
        rule=NOT_NEGATIVE,
        group=RECORD,
    )

    device: str = option(
        "auto", "cpu, cuda, cuda:1, ...; auto takes a GPU where there is one", rule=NOT_EMPTY, group=MACHINE
    )
    threads: int | None = option(
        1, "CPU threads; a second pays only for many linked features, on an idle machine", rule=AT_LEAST_ONE, group=MACHINE
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.permute and self.permute_every is not None:
            raise ValueError("permute (one order for good) and permute-every (a new one every N steps) exclude each other.")
        if self.noise_distribution != "autoregressive" and self.noise_correlation != type(self).noise_correlation:
            raise ValueError(f"noise-correlation is that of autoregressive noise, and this is {self.noise_distribution}.")

    def check_new(self) -> None:
        """Check what a new run alone must satisfy: no option is given that nothing would come of.

        Runs of earlier versions, and studies whose methods have options for some of their tasks, may hold such options.

        Raises:
            ValueError: naming the option, and what it needs.
        """
        if self.on_permute != type(self).on_permute and self.permute_every is None:
            raise ValueError(f"on-permute {self.on_permute} is about new orders, and needs --permute-every to bring them.")
        is_permuted = self.permute or self.permute_every is not None
        if self.permutation_seed != type(self).permutation_seed and not is_permuted:
            raise ValueError(
                f"permutation-seed {self.permutation_seed} is that of the orders, and needs --permute or --permute-every."
            )

    def epsilon(self) -> dict[str, float] | None:
        """The Erdős-Rényi factors that are given, by role of a layer; None where there are none."""
        factors = {"input": self.input_epsilon, "hidden": self.hidden_epsilon}
        return {role: factor for role, factor in factors.items() if factor is not None} or None

    def ene_kwargs(self) -> dict[str, Any]:
        """The arguments of :func:`siftrl.envs.make_ene` that rebuild this run's environment."""
        return {
            "env_id": self.env,
            "noise_fraction": self.noise,
            "noise_distribution": self.noise_distribution,
            "noise_std": self.noise_std,
            "noise_correlation": self.noise_correlation,
            "permute": self.permute,
            "permute_every": self.permute_every,
            "permutation_seed": self.permutation_seed,
        }

    def to_dict(self) -> dict[str, Any]:
        """All fields, in the order of their declaration."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """All fields as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> RunConfig:
        """The configuration with these options; others take their defaults.

        Raises:
            ValueError: for an option that does not exist or does not fit.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name in options:
            if name not in names:
                raise ValueError(f"a run has no option {name!r}.{did_you_mean(name, names)}")
        return cls(**options)

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """The configuration that :meth:`to_json` wrote.

        Raises:
            ValueError: where ``text`` is no JSON object of options.
        """
        options = json.loads(text)
        if not isinstance(options, dict):
            raise ValueError("a run's configuration is a JSON object.")
        return cls.from_dict(options)
