"""A replay buffer that stores real features only, and gives the noise back bit for bit."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from ..envs import NoiseSource, Permutations
from ..sparse.gather import Slices
from ..sparse.shared_batch import SharedBatch

REPLAY_NOISE = ("exact", "fresh")
ON_PERMUTE = ("keep", "remap", "clear")

_FRESH_TAG = 0xF4E54  # keeps the redrawn noise apart from everything else that comes from the agent's seed


class NoisyObservations(NamedTuple):
    """A batch of observations, described instead of built.

    Attributes:
        real: float32 (batch, n_real), in the task's own order.
        keys: uint64 (batch, 2), of the noise behind the real features.
        orders: int64 (batch,), number of the order in which real features and noise then stand.
    """

    real: np.ndarray
    keys: np.ndarray
    orders: np.ndarray


class DescribedBatch(NamedTuple):
    """SB3's replay samples before observations are built and before anything becomes a tensor; arrays as SB3 shapes them."""

    observations: NoisyObservations
    actions: np.ndarray
    next_observations: NoisyObservations
    dones: np.ndarray
    rewards: np.ndarray
    discounts: np.ndarray | None


class NoiseReplayBuffer(ReplayBuffer):
    """SB3's replay buffer for extremely noisy environments, in the memory of the clean task.

    A transition holds the real features of both observations, the noise key of the second (the first one's is the same,
    one step earlier), and which order of features stood. Sampling regenerates the rest: the same batches, bit for bit,
    that SB3's own ``ReplayBuffer`` or ``NStepReplayBuffer`` gives at the same state of NumPy's global generator.

    Storage, open to be read: ``observations`` and ``next_observations`` float32 (rows, n_envs, n_real), ``noise_keys``
    uint64 (rows, n_envs, 2), ``orders`` int32 (rows, n_envs): the environment's, or below 0 one of ``own_orders``, int64
    (…, n_features), -1 the first; ``actions``, ``rewards``, ``dones``, ``timeouts`` as in SB3.

    Args:
        buffer_size: transitions to hold, of all environments together.
        observation_space: the noisy environment's.
        action_space: the noisy environment's.
        device: of the sampled tensors.
        n_envs: environments in the vector.
        optimize_memory_usage: not supported; what it would save is mostly not stored anyway.
        handle_timeout_termination: as in SB3.
        noise_source: of the environments; see :func:`~siftrl.agents.replay_choice.noise_replay_kwargs`.
        permutations: of the environments, ``None`` where features keep their places.
        replay_noise: ``"exact"`` gives each observation the noise it had; ``"fresh"`` draws noise anew for every batch,
            once for the observations and once for their successors.
        on_permute: what a new order of the features means for older transitions: ``"keep"`` the order that stood,
            ``"remap"`` to the newest order (the highest number seen), or ``"clear"`` them. After clearing, environments
            that have not been reset yet still deliver transitions in the older order, and updates go on at once from
            the few transitions there are (the published code can first collect 25 000).
        n_steps: length of the returns, in environment steps.
        gamma: discount of the returns; used for ``n_steps`` above 1.
        seed: of fresh noise.

    Raises:
        ValueError: an argument out of its range, or observations that are not those of the noise source.

    Source:
        Grooten et al. 2023 (Automatic Noise Filtering). Their code redraws noise inside every forward pass of every
        network and applies the newest permutation to all transitions; ``"fresh"`` with ``"remap"`` is closest to it.

    Example:
        >>> from stable_baselines3 import SAC
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from siftrl.agents.replay_choice import noise_replay_kwargs
        >>> from siftrl.envs import make_ene
        >>> env = make_vec_env(make_ene, env_kwargs=dict(env_id="Pendulum-v1", noise_fraction=0.99))
        >>> kwargs = noise_replay_kwargs(env)
        >>> model = SAC("MlpPolicy", env, replay_buffer_class=NoiseReplayBuffer, replay_buffer_kwargs=kwargs)
        >>> model.replay_buffer.nbytes / 1e6  # megabytes for a million transitions of 300 features
        60.0
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: Any = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        *,
        noise_source: NoiseSource,
        permutations: Permutations | None = None,
        replay_noise: str = "exact",
        on_permute: str = "keep",
        n_steps: int = 1,
        gamma: float = 0.99,
        seed: int | None = None,
    ):
        if replay_noise not in REPLAY_NOISE:
            raise ValueError(f"replay_noise must be one of {', '.join(REPLAY_NOISE)}, got {replay_noise!r}")
        if on_permute not in ON_PERMUTE:
            raise ValueError(f"on_permute must be one of {', '.join(ON_PERMUTE)}, got {on_permute!r}")
        if n_steps < 1:
            raise ValueError(f"n_steps must be at least 1 environment step, got {n_steps!r}")
        if optimize_memory_usage:
            raise ValueError(
                "optimize_memory_usage must be False for NoiseReplayBuffer, which does not store the noise, got True"
            )
        if observation_space.shape != (noise_source.n_features,) or observation_space.dtype != np.float32:
            raise ValueError(
                f"observation_space must be float32 of shape {(noise_source.n_features,)} for this noise_source, "
                f"got {observation_space.dtype} of shape {observation_space.shape}"
            )
        if permutations is not None and permutations.n_features != noise_source.n_features:
            raise ValueError(
                f"permutations must be of all {noise_source.n_features} features, got {permutations.n_features}"
            )
        real_features = spaces.Box(-np.inf, np.inf, (noise_source.n_real,), np.float32)
        super().__init__(
            buffer_size,
            real_features,
            action_space,
            device,
            n_envs,
            handle_timeout_termination=handle_timeout_termination,
        )
        self.observation_space, self.obs_shape = observation_space, observation_space.shape
        self.noise_keys = np.zeros((self.buffer_size, n_envs, 2), np.uint64)
        self.orders = np.zeros((self.buffer_size, n_envs), np.int32)
        self.noise_source, self.permutations = noise_source, permutations
        self.replay_noise, self.on_permute = replay_noise, on_permute
        self.n_steps, self.gamma = n_steps, gamma
        self.newest_order = 0
        self.own_orders = np.empty((0, noise_source.n_features), np.int64)
        self._rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_FRESH_TAG,)))
        self._verified = False
        self._workspace: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of memory the buffer takes when full; unfilled rows take none yet."""
        return replay_nbytes(self.buffer_size * self.n_envs, self.noise_source.n_real, self.action_space, self.n_envs)

    def add(
        self,
        obs: np.ndarray,
        next_obs: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Store one transition of each environment.

        Args:
            obs: (n_envs, n_features).
            next_obs: (n_envs, n_features), the terminal observation where an episode ended.
            action: (n_envs, action_dim).
            reward: (n_envs,).
            done: (n_envs,).
            infos: of the step that gave next_obs.

        Raises:
            ValueError: no noise key in infos, or observations that the noise source does not give from it.
        """
        if any("noise_key" not in info for info in infos):
            raise ValueError(
                "infos must hold a 'noise_key' for NoiseReplayBuffer: wrap the task in NoiseFeatures, or use ReplayBuffer"
            )
        keys = np.stack([info["noise_key"] for info in infos])
        orders = np.array([info.get("permutation", 0) if self.permutations is not None else 0 for info in infos])
        real, next_real = self._real(obs, orders), self._real(next_obs, orders)
        if not self._verified or (keys[:, 1] == 1).any():  # and where an episode begins: the environment may be another one
            self._verify(obs, NoisyObservations(real, _earlier(keys), orders))
            self._verify(next_obs, NoisyObservations(next_real, keys, orders))
            self._verified = True
        if orders.max() > self.newest_order:
            self.newest_order = int(orders.max())
            if self.on_permute == "clear":
                self.reset()
        self.noise_keys[self.pos] = keys
        self.orders[self.pos] = orders
        super().add(real, next_real, action, reward, done, infos)

    def describe(self, batch_inds: np.ndarray) -> DescribedBatch:
        """Look up the transitions of these rows, each of a random environment, without building their observations.

        Args:
            batch_inds: int64 (batch,), rows of the storage.
        """
        env_inds = np.random.randint(0, high=self.n_envs, size=(len(batch_inds),))
        last, rewards, dones, discounts = self._returns(batch_inds, env_inds)
        first, last = (batch_inds, env_inds), (last, env_inds)
        return DescribedBatch(
            observations=self._described(self.observations, first, _earlier(self.noise_keys[first])),
            actions=self.actions[first],
            next_observations=self._described(self.next_observations, last, self.noise_keys[last]),
            dones=dones,
            rewards=rewards,
            discounts=discounts,
        )

    def observed(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Look up both observations of these rows as the environments showed them, or as they were reordered.

        Args:
            rows: int64 (rows,) of the storage.

        Returns:
            Observations and their successors, float32 (rows * n_envs, n_features), row by row.
        """
        keys, orders = self.noise_keys[rows].reshape(-1, 2), self.orders[rows].reshape(-1).astype(np.int64)
        here, there = (
            part[rows].reshape(-1, self.noise_source.n_real) for part in (self.observations, self.next_observations)
        )
        return (
            self.build(NoisyObservations(here, _earlier(keys), orders)),
            self.build(NoisyObservations(there, keys, orders)),
        )

    def reorder(self, where: np.ndarray, sources: np.ndarray) -> None:
        """From now on give these transitions back with their features in other places; with "remap" nothing has to be done.

        Args:
            where: bool (rows, n_envs), which transitions.
            sources: int64 (n_features,): feature ``j`` is then what feature ``sources[j]`` was.
        """
        if self.on_permute == "remap":
            return  # old transitions stand in the newest order already
        orders = list(self.own_orders)
        for number in np.unique(self.orders[where]):
            orders.append(self._order(int(number))[sources])
            self.orders[where & (self.orders == number)] = -len(orders)
        # Orders in which no transition stands any longer are dropped.
        is_own = self.orders < 0
        used, places = np.unique(-1 - self.orders[is_own], return_inverse=True)
        self.orders[is_own] = -1 - places
        self.own_orders = np.array([orders[number] for number in used], np.int64).reshape(-1, len(sources))

    def _order(self, number: int) -> np.ndarray:
        if number < 0:
            return self.own_orders[-1 - number]
        return np.arange(self.noise_source.n_features) if self.permutations is None else self.permutations.order(number)

    @property
    def _keeps_order(self) -> bool:
        return self.permutations is None and not len(self.own_orders)

    def build(self, described: NoisyObservations) -> np.ndarray:
        """Build observations: real features, the noise of their keys, in the order that belongs to them.

        Args:
            described: what to build.

        Returns:
            float32 (batch, n_features), a new array.
        """
        source = self.noise_source
        whole = np.empty((len(described.real), source.n_features), np.float32)
        whole[:, : source.n_real] = described.real
        source.fill(described.keys, whole[:, source.n_real :], described.real)
        if self._keeps_order:
            return whole
        reordered = np.empty_like(whole)
        for k in np.unique(described.orders):
            order = self._order(int(k))
            for row in np.flatnonzero(described.orders == k):  # twice as fast as one index over both axes
                np.take(whole[row], order, out=reordered[row], mode="clip")
        return reordered

    def slices(self, described: NoisyObservations) -> Slices:
        """Say where the numbers of observations are read from, real features first, whatever their order.

        Args:
            described: whose numbers.
        """
        source, rows = self.noise_source, np.arange(len(described.real))[:, None]
        real = described.real.reshape(-1), rows * source.n_real, [source.n_real]
        if source.adds_to_real:  # sums lie nowhere yet
            sums = np.empty((len(rows), source.n_noise), np.float32)
            source.fill(described.keys, sums, described.real)
            return Slices.join(real, (sums.reshape(-1), rows * source.n_noise, [source.n_noise]))
        noise = source.segments(described.keys)
        return Slices.join(real, (noise.table, noise.offsets, noise.widths))

    def sample_shared(self, batch_size: int) -> ReplayBufferSamples:
        """As :meth:`sample`, with the same draws and values, for networks that read the observations together.

        Args:
            batch_size: transitions to draw.

        Returns:
            A batch of which each of the observations is a :class:`~siftrl.sparse.shared_batch.SharedBatch`, valid until the
            next call, which writes into the same memory.
        """
        batch = self.describe(np.random.randint(0, self.size(), size=batch_size))
        shape = self.noise_source.n_features, batch_size
        if self._workspace is None or self._workspace.shape != shape:
            self._workspace = np.empty(shape, np.float32)
        discounts = None if batch.discounts is None else self.to_torch(batch.discounts, copy=False)
        actions, dones, rewards = (self.to_torch(part, copy=False) for part in (batch.actions, batch.dones, batch.rewards))
        observations = self._shared(batch.observations, self._workspace)
        next_observations = self._shared(batch.next_observations)
        return ReplayBufferSamples(observations, actions, next_observations, dones, rewards, discounts)

    def _shared(self, described: NoisyObservations, workspace: np.ndarray | None = None) -> SharedBatch:
        slices = self.slices(described)
        if self._keeps_order and self.device.type == "cpu":
            return SharedBatch(slices, workspace)
        columns = slices.build(workspace)
        if not self._keeps_order:
            unordered, columns = columns, np.empty_like(columns)
            for k in np.unique(described.orders):
                rows = described.orders == k
                columns[:, rows] = unordered[:, rows][self._order(int(k))]
        return SharedBatch(self.to_torch(columns, copy=False).t())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_workspace": None}

    def _get_samples(self, batch_inds: np.ndarray, env: VecNormalize | None = None) -> ReplayBufferSamples:
        if env is not None:
            raise ValueError(NO_VECNORMALIZE)
        batch = self.describe(batch_inds)
        batch = batch._replace(
            observations=self.build(batch.observations), next_observations=self.build(batch.next_observations)
        )
        # Indexing has made copies already, so the tensors may share their memory.
        return ReplayBufferSamples(*(None if part is None else self.to_torch(part, copy=False) for part in batch))

    def _described(self, storage: np.ndarray, where: tuple, keys: np.ndarray) -> NoisyObservations:
        orders = self.orders[where].astype(np.int64)
        if self.on_permute == "remap":
            orders[:] = self.newest_order
        if self.replay_noise == "fresh":
            keys = self._rng.integers(0, 2**64, keys.shape, np.uint64)
        return NoisyObservations(storage[where], keys, orders)

    def _returns(self, batch_inds: np.ndarray, env_inds: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return each n-step return's last row, the return, whether the task ended there, and the discount of the rest.

        Source:
            SB3's ``ReplayBuffer`` (one step) and ``NStepReplayBuffer``, whose results these are bit for bit, but for
            returns over a reset in mid-episode, as between two calls of ``learn``: ours end there.
        """
        if self.n_steps == 1:
            here = batch_inds, env_inds
            dones = self.dones[here] * (1 - self.timeouts[here])
            return batch_inds, self.rewards[here].reshape(-1, 1), dones.reshape(-1, 1), None
        steps = np.arange(self.n_steps).reshape(1, -1)
        rows = (batch_inds[:, None] + steps) % self.buffer_size
        here = rows, env_inds[:, None]
        # The row behind, of the newest row the oldest one, may belong to another episode: a return ends there at the latest.
        behind = self.noise_keys[(rows + 1) % self.buffer_size, env_inds[:, None]]
        is_cut = (_earlier(behind) != self.noise_keys[here]).any(axis=-1) | (rows == (self.pos - 1) % self.buffer_size)
        ends = (self.dones[here] > 0) | (self.timeouts[here] > 0) | is_cut
        last_step = np.where(ends.any(axis=1), ends.argmax(axis=1), self.n_steps - 1)
        mask = steps <= last_step[:, None]
        weights = self.gamma ** np.arange(self.n_steps, dtype=np.float32).reshape(1, -1)
        returns = (self.rewards[here] * weights * mask).sum(axis=1, keepdims=True)
        discounts = self.gamma ** mask.sum(axis=1, keepdims=True).astype(np.float32)
        last = (batch_inds + last_step) % self.buffer_size
        dones = (self.dones[last, env_inds] * (1 - self.timeouts[last, env_inds])).reshape(-1, 1)
        return last, returns, dones, discounts

    def _real(self, observations: np.ndarray, orders: np.ndarray) -> np.ndarray:
        n_real = self.noise_source.n_real
        if self.permutations is None:
            return observations[:, :n_real]
        places = [self.permutations.positions(int(k))[:n_real] for k in orders]
        return np.take_along_axis(observations, np.stack(places), axis=1)

    def _verify(self, observations: np.ndarray, described: NoisyObservations) -> None:
        if not np.array_equal(self.build(described), observations, equal_nan=True):
            raise ValueError(
                "obs must be what noise_source gives for the 'noise_key' in infos, got something else: another noise_source "
                "or permutations, or a wrapper around NoiseFeatures that changes observations (then use ReplayBuffer)"
            )


NO_VECNORMALIZE = (
    "VecNormalize must not wrap the environments of a NoiseReplayBuffer, whose noise needs no normalisation: "
    "leave it out, or pass replay_buffer_class=ReplayBuffer"
)


def _earlier(keys: np.ndarray) -> np.ndarray:
    """Return the keys of the observations one step before."""
    return keys - np.array([0, 1], np.uint64)


def replay_nbytes(buffer_size: int, n_real: int, action_space: spaces.Space, n_envs: int = 1) -> int:
    """Count the bytes a :class:`NoiseReplayBuffer` takes when full, before making one.

    Args:
        buffer_size: transitions to hold.
        n_real: real features; the number of noise features does not matter.
        action_space: of the environment.
        n_envs: environments in the vector.

    Example:
        >>> humanoid_actions = spaces.Box(-0.4, 0.4, (17,), np.float32)
        >>> replay_nbytes(1_000_000, 348, humanoid_actions) / 1e9
        2.884
    """
    rows = max(buffer_size // n_envs, 1) * n_envs
    action = get_action_dim(action_space) * np.dtype(ReplayBuffer._maybe_cast_dtype(action_space.dtype)).itemsize
    reward_done_timeout, key, order = 3 * 4, 2 * 8, 4
    return rows * (2 * 4 * n_real + action + reward_done_timeout + key + order)
