"""Measuring all that was asked for and is not recorded yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..training.disturbance import Disturbance
from ..training.evaluation import Episodes
from .measurements import CLEAN, RANDOM, STILL, Measurements
from .subjects import Subject, task_of
from .trial import Trial, return_without_agent

_REFERENCE_EPISODES = 10  # times as many as an agent plays: they cost little, and all scores hang on them


class Campaign:
    """Agents are tried under all that is to go wrong for them; what is recorded already is read.

    Args:
        measurements: the record.
        episodes: of each cell.
        seed: of the episodes.
        features: which sensors fail: ``"all"``, ``"real"`` or ``"noise"``.
        device: as SB3 takes it, or ``"auto"``.
        weights_only: take nothing but weights and options from the zips.
    """

    def __init__(
        self, measurements: Measurements, *, episodes: int, seed: int, features: str, device: str, weights_only: bool
    ) -> None:
        self._measurements = measurements
        self._episodes, self._seed, self._features = episodes, seed, features
        self._loading = {"device": device, "weights_only": weights_only}

    def carry_out(
        self, subject: Subject, method: str, cells: Sequence[Disturbance], announce: Callable[[str, int], None]
    ) -> list[dict[str, str]]:
        """Measure what is missing for an agent.

        Args:
            subject: the agent.
            method: what it is one of.
            cells: what goes wrong for it.
            announce: is told what comes next, and how many cells were done since it was told last.

        Returns:
            The rows of all that was asked for, with this method, whatever it was called when a row was recorded.

        Raises:
            ValueError: for an agent that is not whole, or what cannot go wrong for it.
            OSError: where the disk fails.
        """
        references = [self._reference(subject, RANDOM), self._reference(subject, STILL)]
        return references + self._tried(subject, cells, method, announce)

    def _reference(self, subject: Subject, which: str) -> dict[str, str]:
        env, episodes = subject.config.env, _REFERENCE_EPISODES * self._episodes
        key = self._key(agent="", env=env, corruption=which, severity=0, features="all", episodes=episodes)

        def play() -> Episodes:
            return return_without_agent(
                subject.config.ene_kwargs(), episodes=episodes, seed=self._seed, is_still=which == STILL
            )

        return self._recorded(key, play, method="", task=env, seed=None)

    def _tried(
        self, subject: Subject, cells: Sequence[Disturbance], method: str, announce: Callable[[str, int], None]
    ) -> list[dict[str, str]]:
        told = {"method": method, "task": task_of(subject.config), "seed": subject.config.seed}
        trial: Trial | None = None

        def play(cell: Disturbance | None) -> Episodes:
            nonlocal trial
            # Loaded only where something is to be measured.
            trial = trial or Trial(
                subject, episodes=self._episodes, seed=self._seed, features=self._features, **self._loading
            )
            return trial.clean() if cell is None else trial.disturbed(cell)

        rows = []
        for cell in (None, *cells):
            announce(f"{subject.name} {cell or CLEAN}", 0)
            key = self._key(
                agent=subject.fingerprint,
                env=subject.config.env,
                corruption=cell.name if cell else CLEAN,
                severity=cell.severity if cell else 0,
            )
            row = self._recorded(key, lambda cell=cell: play(cell), **told)
            rows.append({**row, "method": method})
            announce(f"{subject.name} {cell or CLEAN}", 0 if cell is None else 1)
        return rows

    def _key(self, **key: Any) -> dict[str, Any]:
        return {"features": self._features, "episodes": self._episodes, "episode_seed": self._seed, **key}

    def _recorded(self, key: dict[str, Any], play: Callable[[], Episodes], **told: Any) -> dict[str, str]:
        return self._measurements.find(**key) or self._measurements.add(play(), **told, **key)
