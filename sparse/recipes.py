"""Recipes: a topology method is its density, what it drops, what it grows, and when. One function each.

Every function returns a :class:`Recipe`; :data:`RECIPES` lists them by name. ``resolve`` turns a name and a user's wishes
into a recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ..names import known
from .density import ER, ERK, ConstantFanIn, Density, ErdosRenyiEpsilon, InputOnly, Uniform, WithInput
from .density import distribution as make_distribution
from .drop import DropRule, GlobalMagnitude, Magnitude, SetSigned, WholeFeatures
from .grow import EvidenceGrowth, FanInGrowth, GradientGrowth, GrowRule, MomentumGrowth, NeverTriedFirst, RandomGrowth
from .schedules import Falling, Schedule


@dataclass(frozen=True)
class Recipe:
    """A topology method.

    Args:
        density: How many links each layer gets, and with :class:`~siftrl.sparse.schedules.Falling` how many it is left with.
        drop: Which links go. None: the topology is static.
        grow: Which empty places get a link.
        schedule: When, and what fraction of the links.

    Raises:
        ValueError: Unless drop, grow and schedule are all given or all None; if they do not go together; or if a falling
            density is part of another rule.

    Example:
        >>> recipe = Recipe(ERK(0.1), drop=Magnitude(), grow=GradientGrowth(), schedule=Schedule(period_updates=500))
        >>> recipe.rewires, recipe.falls
        (True, False)
    """

    density: Density
    drop: DropRule | None = None
    grow: GrowRule | None = None
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        parts = (self.drop, self.grow, self.schedule)
        if any(part is None for part in parts) and any(part is not None for part in parts):
            raise ValueError(f"drop, grow and schedule must all be given or all be None, got {parts}")
        if _holds_a_fall(self.density):
            raise ValueError(f"density={self.density} must have its Falling rule outermost, or it would never fall")
        if self.falls and not (self.rewires and self.drop.exact):
            raise ValueError(f"drop={self.drop} must drop exact numbers of links for a density that falls")
        if self.rewires and self.grow.keeps_fan_in and not isinstance(self.density, ConstantFanIn):
            raise ValueError(f"density={self.density} must be a ConstantFanIn rule: grow={self.grow} keeps the fan-in")

    @property
    def rewires(self) -> bool:
        """Whether the topology ever changes."""
        return self.schedule is not None

    @property
    def falls(self) -> bool:
        """Whether the number of links falls in the course of training."""
        return isinstance(self.density, Falling)

    @property
    def reads_gradient(self) -> bool:
        """Whether a rewiring needs a gradient."""
        return self.rewires and (self.drop.reads_gradient or self.grow.window_updates > 0)


def _holds_a_fall(density: Density) -> bool:
    """Whether one of the rules that a rule is made of falls, at any depth."""
    parts = [part for part in vars(density).values() if isinstance(part, Density)]
    return any(isinstance(part, Falling) or _holds_a_fall(part) for part in parts)


def dense() -> Recipe:
    """Every layer dense: the baseline, SB3's own networks."""
    return Recipe(Uniform(1.0))


def static() -> Recipe:
    """Random links that never change, ERK at 20 %: what every rewiring method has to beat.

    Source: Liu et al., The Unreasonable Effectiveness of Random Pruning (ICLR 2022).
    """
    return Recipe(ERK(0.2))


def set() -> Recipe:
    """SET: drop the links closest to zero on either side, grow at random; ERK at 20 %.

    The original rewires 30 % an epoch from supervised data and starts grown weights from a normal distribution. In
    reinforcement learning they start at 0, and a rewiring takes 5 % every 1 000 updates. Where the published code may grow a
    dropped link again in the same rewiring, here it may not.

    Source: Mocanu et al., Scalable training of artificial neural networks with adaptive sparse connectivity (2018), Box 1.
    """
    return Recipe(ERK(0.2), SetSigned(), RandomGrowth(), Schedule(period_updates=1000, fraction=0.05))


def rigl() -> Recipe:
    """RigL: drop the smallest weights, grow where the loss's gradient is largest; ERK at 20 %, fraction falling by a cosine.

    The gradient is that of the batch of the rewiring's own update. The cosine needs ``stop_updates``; without it the
    fraction stays at 0.3.

    Deviation from the published code: a dropped link is not grown again in the same rewiring.

    Source: Evci et al., Rigging the Lottery (ICML 2020), Algorithm 1. In RL: Graesser et al. (ICML 2022).
    """
    return Recipe(ERK(0.2), Magnitude(), GradientGrowth(), Schedule(period_updates=1000, fraction=0.3, decay="cosine"))


def anf() -> Recipe:
    """ANF, automatic noise filtering: only the input layer is sparse (20 %) and finds the features that matter.

    Drops the 5 % smallest weights every 1 000 updates and grows as many at random, for ever.

    Deviations from the published code: rewires at updates 1 000, 2 000, … instead of 2, 1 002, …; drops exactly the stated
    number (the code drops one more); a dropped link is not grown again in the same rewiring; target networks share the
    topology at once (the code keeps the largest target weights by count, which lags for hundreds of updates).

    Source: Grooten et al., Automatic Noise Filtering with Dynamic Sparse Training in Deep RL (AAMAS 2023), section 4.
    """
    return Recipe(InputOnly(0.2), Magnitude(), RandomGrowth(), Schedule(period_updates=1000, fraction=0.05))


def ds() -> Recipe:
    """DS-TD3 and DS-SAC: both hidden layers sparse by Erdős-Rényi with their own epsilon, the output layer dense.

    Epsilon is 7 for the input layer and 64 for the hidden one, as published for HalfCheetah, Hopper and Walker2d (Ant 40,
    Humanoid 61 for the input layer; for DS-SAC they differ again by task).

    Deviations: exact numbers of links (the paper draws each one by chance); rewires at updates 1 000, 2 000, … instead of 2,
    1 002, …, and on to ``stop_updates``, without it to the end, where the published code stops 50 000 updates before the
    end, with a last drop without growth; a dropped link is not grown again in the same rewiring, where theirs may come back
    with its weight; targets share the topology (the paper keeps the largest target weights by count); moments of dropped
    links vanish.

    Source: Sokar et al., Dynamic Sparse Training for Deep RL (IJCAI 2022), Algorithm 1.
    """
    density = ErdosRenyiEpsilon({"input": 7.0, "hidden": 64.0}, keep_dense=("output",))
    return Recipe(density, SetSigned(), RandomGrowth(), Schedule(period_updates=1000, fraction=0.05))


def snfs() -> Recipe:
    """SNFS, sparse networks from scratch: drop the smallest weights, grow where the momentum is largest; ERK at 20 %.

    Deviations: the momentum is Adam's, as the optimiser's is, and kept over the 50 updates before a rewiring instead of all
    of training; every layer grows as many links as it dropped, where the paper moves links to layers of larger momentum; a
    dropped link is not grown again in the same rewiring, where the published code allows it.

    Source: Dettmers & Zettlemoyer, Sparse Networks from Scratch (2019), section 3.
    """
    return Recipe(ERK(0.2), Magnitude(), MomentumGrowth(), Schedule(period_updates=1000, fraction=0.5, decay="cosine"))


def itop() -> Recipe:
    """ITOP, in-time over-parameterisation: few large rewirings that reach as many places as possible; ERK at 20 %.

    Half of the links are replaced every 4 000 updates, to the end. Deviations: the paper varies period and fraction of SET
    and RigL and draws among all empty places, those just dropped too; here those that never had a link come first, as in its
    successors' codes, and a dropped link is not grown again in the same rewiring.

    Source: Liu et al., Do We Actually Need Dense Over-Parameterization? (ICML 2021).
    """
    return Recipe(ERK(0.2), Magnitude(), NeverTriedFirst(), Schedule(period_updates=4000, fraction=0.5))


def gmp() -> Recipe:
    """GMP, gradual magnitude pruning: start dense, end at 10 %, prune the smallest weights of the network; nothing grows.

    The density falls by a cubic from the first update to ``stop_updates``, which must be given. A layer keeps at least 1 %.

    Source: Zhu & Gupta, To Prune, or Not to Prune (2017), with one threshold for all layers as in Liu et al. (NeurIPS 2021);
    the floor is ours.
    """
    schedule = Schedule(period_updates=1000, fraction=0.0)
    return Recipe(Falling(Uniform(1.0), ERK(0.1)), GlobalMagnitude(), RandomGrowth(), schedule)


def granet() -> Recipe:
    """GraNet: the density falls from ERK at 50 % to 10 %, one threshold for all layers, and half of the links are replaced.

    What the fall leaves in a layer is replaced as RigL does, half of it at first and 0.5 % at the end. ``stop_updates`` must
    be given.

    Deviations: density and fraction end together, where the paper ends the density's fall half-way; a layer keeps at least
    1 % of its places; twin critics have a threshold each, so that neither starves; what the fall or the replacement drops is
    not grown again in the same rewiring, where the published code allows it, so that a layer that is still dense replaces
    nothing.

    Source: Liu et al., Sparse Training via Boosting Pruning Plasticity with Neuroregeneration (NeurIPS 2021).
    """
    schedule = Schedule(period_updates=1000, fraction=0.5, decay="cosine", min_fraction=0.005)
    return Recipe(Falling(ERK(0.5), ERK(0.1)), GlobalMagnitude(), GradientGrowth(), schedule)


def srigl() -> Recipe:
    """SRigL: RigL with as many links for every neuron; ERK at 10 %, rounded down to a constant fan-in.

    Deviations: neurons are not switched off; a neuron takes back a link just dropped only where it has no other place; it
    rewires every 1 000 updates by the gradient of a single batch, the fraction falling up to ``stop_updates``, where the
    published runs on images rewire every 100 (CIFAR) or 800 (ImageNet, gradients of eight batches) and stop at 75 % of
    training.

    Source: Lasby et al., Dynamic Sparse Training with Structured Sparsity (ICLR 2024).
    """
    schedule = Schedule(period_updates=1000, fraction=0.3, decay="cosine")
    return Recipe(ConstantFanIn(ERK(0.1)), Magnitude(), FanInGrowth(), schedule)


def anf_gradient() -> Recipe:
    """ANF that grows its input links where the gradient is largest, averaged over the 100 updates before a rewiring.

    Ours: a single batch's gradient is mostly noise (Graesser et al. 2022), and here most features are too.
    """
    return replace(anf(), grow=GradientGrowth(window_updates=100))


def anf_features() -> Recipe:
    """ANF that drops whole features: those of least neuron strength lose all of their links in the input layer.

    Ours: a link's own weight tells little of a feature that feeds 256 neurons.
    """
    return replace(anf(), drop=WholeFeatures())


def anf_shared() -> Recipe:
    """ANF whose networks share evidence: the actor grows where the critics read, the critics where the actor does.

    Ours.
    """
    return replace(anf(), grow=EvidenceGrowth())


def anf_falling() -> Recipe:
    """ANF whose input layers fall from 20 % to 2 %, by a cubic up to ``stop_updates``, which must be given.

    Ours: at a constant 20 % the links are more than the real features have places, so that noise keeps most of its links.
    """
    return replace(anf(), density=Falling(InputOnly(0.2), InputOnly(0.02)))


def graesser_static() -> Recipe:
    """Graesser et al.'s static baseline in RL: ERK at 10 %, the output layer sparse too.

    Source: Graesser et al., The State of Sparse Training in Deep Reinforcement Learning (ICML 2022).
    """
    return Recipe(ERK(0.1))


def sift() -> Recipe:
    """An input layer with random links at 20 %, all others dense, nothing rewired: where agents start that choose features.

    The presets "sift" and "sift-anew" then link those that answer to the agent's own exploration
    (:class:`siftrl.agents.sift.Sift`), the preset "oracle" the real ones (:class:`siftrl.agents.oracle.Oracle`).
    """
    return Recipe(InputOnly(0.2))


def graesser_set() -> Recipe:
    """Graesser et al.'s SET in RL: ERK at 10 %, smallest weights dropped, 30 % every 250 updates, falling by a cosine.

    Their best setting for SAC. Smallest weights on either side together, where SET takes the same fraction of each.

    Deviation from the published code: a dropped link is not grown again in the same rewiring.

    Source: Graesser et al. (ICML 2022), table 2.
    """
    schedule = Schedule(period_updates=250, fraction=0.3, decay="cosine")
    return Recipe(ERK(0.1), Magnitude(), RandomGrowth(), schedule)


def graesser_rigl() -> Recipe:
    """Graesser et al.'s RigL in RL: ERK at 10 %, grown by gradient, 50 % every 1 000 updates, falling by a cosine.

    Their best setting for SAC.

    Deviation from the published code: a dropped link is not grown again in the same rewiring.

    Source: Graesser et al. (ICML 2022), table 2.
    """
    schedule = Schedule(period_updates=1000, fraction=0.5, decay="cosine")
    return Recipe(ERK(0.1), Magnitude(), GradientGrowth(), schedule)


def graesser_prune() -> Recipe:
    """Graesser et al.'s pruning in RL: dense for a quarter of the way to ``stop_updates``, then a cubic down to ERK at 10 %.

    With ``stop_updates`` at 80 % of training, that is from 20 % on, as published. Each layer has a threshold of its own.

    Source: Graesser et al. (ICML 2022).
    """
    schedule = Schedule(period_updates=1000, fraction=0.0)
    return Recipe(Falling(Uniform(1.0), ERK(0.1), begin=0.25), Magnitude(), RandomGrowth(), schedule)


def rlx2() -> Recipe:
    """RLx2: RigL with rare and large rewirings, half of the links every 10 000 updates, falling by a cosine; ER at 10 %.

    The preset of this name adds the other half of the method: returns of several steps after a delay, and a replay that
    shrinks.

    Deviations from the published code: links start at random places, not at the largest of the starting weights; the update
    that ends in a rewiring is not left out; a dropped link is not grown again in the same rewiring.

    Source: Tan et al., RLx2: Training a Sparse Deep Reinforcement Learning Model from Scratch (ICLR 2023), section 4.1.
    """
    schedule = Schedule(period_updates=10_000, fraction=0.5, decay="cosine")
    return Recipe(ER(0.1), Magnitude(), GradientGrowth(), schedule)


RECIPES: dict[str, Callable[[], Recipe]] = {
    "dense": dense,
    "static": static,
    "set": set,
    "rigl": rigl,
    "snfs": snfs,
    "itop": itop,
    "gmp": gmp,
    "granet": granet,
    "srigl": srigl,
    "ds": ds,
    "anf": anf,
    "anf-gradient": anf_gradient,
    "anf-features": anf_features,
    "anf-shared": anf_shared,
    "anf-falling": anf_falling,
    "sift": sift,
    "sift-anew": sift,
    "oracle": sift,
    "graesser-static": graesser_static,
    "graesser-set": graesser_set,
    "graesser-rigl": graesser_rigl,
    "graesser-prune": graesser_prune,
    "rlx2": rlx2,
}


def resolve(
    recipe: str | Recipe,
    *,
    density: float | None = None,
    input_density: float | None = None,
    distribution: str | None = None,
    epsilon: Mapping[str, float] | None = None,
    **schedule: Any,
) -> Recipe:
    """A recipe by its name, with some of its parts replaced.

    Args:
        recipe: A name in :data:`RECIPES`, or a recipe.
        density: Global density, in (0, 1]; replaces the recipe's own density rule. Where the density falls it is that of the
            end; where every neuron has the same fan-in, it stays so.
        input_density: Of the layers that read the observation. Alone: all other layers are dense. With ``density``: the
            other layers share that one.
        distribution: How ``density`` is shared out: a name in :data:`~siftrl.sparse.density.DISTRIBUTIONS`; None: "erk".
        epsilon: Instead of a density: Erdős-Rényi factors of the roles "input" and "hidden", one left out being that of
            :func:`ds`; output layers stay dense.
        **schedule: Fields of :class:`Schedule` to replace.

    Raises:
        TypeError: If the recipe is neither a name nor a recipe.
        ValueError: If a name is unknown, with the closest valid one, if ``distribution`` comes without ``density``, if
            ``epsilon`` comes with a density, or if a schedule is given to a recipe that never rewires.

    Example:
        >>> resolve("anf", input_density=0.05, period_updates=200).density
        InputOnly(density=0.05, keep_dense=())
    """
    if isinstance(recipe, str):
        recipe = RECIPES[known(recipe, RECIPES, "recipe")]()
    if not isinstance(recipe, Recipe):
        raise TypeError(f"recipe must be a name or a Recipe, got {recipe!r}")
    if distribution is not None and density is None:
        raise ValueError(f"distribution={distribution!r} needs a density to share out: give density as well")
    rule = None if density is None else make_distribution(distribution or "erk", density)
    if epsilon is not None:
        if density is not None or input_density is not None:
            raise ValueError("epsilon says how dense the layers are: give it without density and input_density")
        published = ds().density
        rule = replace(published, epsilon={**dict(published.epsilon), **epsilon})
    if input_density is not None:
        rule = InputOnly(input_density) if rule is None else WithInput(input_density, rule)
    if rule is not None:
        recipe = replace(recipe, density=_with_budget(recipe.density, rule))
    if schedule:
        if not recipe.rewires:
            raise ValueError(f"{', '.join(schedule)} cannot be set: this recipe never rewires")
        for name in schedule:
            known(name, [field.name for field in fields(Schedule)], "the schedule's parameter")
        recipe = replace(recipe, schedule=replace(recipe.schedule, **schedule))
    return recipe


def _with_budget(own: Density, wished: Density) -> Density:
    """The density rule that a user wishes, as part of a recipe's own where the method lies in that."""
    if isinstance(own, Falling):
        return replace(own, end=wished)
    if isinstance(own, ConstantFanIn):
        return replace(own, rule=wished)
    return wished
