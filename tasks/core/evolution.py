"""Looking for the best sub-network within a budget, by evolution.

Cai et al., *Once-for-All*, 2019 (arXiv:1908.09791), section 3.4: the weights are trained once, then sub-networks are
bred, not trained. The aim is that of Cai et al., *ProxylessNAS*, 2018 (arXiv:1812.00332), after Tan et al., *MnasNet*,
2018 (arXiv:1807.11626): accuracy x (cost / budget)^exponent, here with the budget as a bound as well. The breeding is
Optuna's NSGA-II (Deb et al. 2002), in which any network within the budget beats any that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.core.errors import TechniqueError
from tasks.core.quiet import quiet
from tasks.core.supernet import Config, Space

if TYPE_CHECKING:
    from optuna import Trial

POPULATION = 16


class Settings(NamedTuple):
    """The budget, in the unit of the cost; the exponent of `reward`; how many trials; the seed of the breeding."""

    budget: float
    exponent: float
    trials: int
    seed: int


class Tried(NamedTuple):
    """A sub-network that was looked at: its cost in the budget's unit, its accuracy (None: over the budget)."""

    config: Config
    cost: float
    accuracy: float | None


def reward(accuracy: float, cost: float, budget: float, exponent: float) -> float:
    """accuracy x (cost / budget)^exponent: at exponent 0 the accuracy, below it cheaper networks are worth more."""
    return accuracy * float((cost / budget) ** exponent)


def ranked(tried: Sequence[Tried], budget: float, exponent: float) -> list[Tried]:
    """Those within the budget, the best first; of two equally good ones the cheaper."""

    def worth(one: Tried) -> tuple[float, float]:
        assert one.accuracy is not None
        return -reward(one.accuracy, one.cost, budget, exponent), one.cost

    return sorted((one for one in tried if one.accuracy is not None), key=worth)


def front(tried: Sequence[Tried]) -> list[Tried]:
    """Those that no other beats in both cost and accuracy, the cheapest first."""
    found: list[Tried] = []
    for one in sorted(ranked(tried, 1.0, 0.0), key=lambda t: (t.cost, -(t.accuracy or 0.0))):
        if not found or (one.accuracy or 0.0) > (found[-1].accuracy or 0.0):
            found.append(one)
    return found


def evolve(
    space: Space,
    cost: Callable[[Config], float],
    accuracy: Callable[[Config], float],
    settings: Settings,
) -> list[Tried]:
    """Every different sub-network that the trials looked at, in order; equal answers and seeds give equal lists.

    The search starts from the smallest and from those of one width. Accuracy is asked for within the budget only.
    """
    optuna = imported()
    budget, exponent, trials, seed = settings
    tried: dict[Config, Tried] = {}

    def objective(trial: Trial) -> float:
        config = asked(trial, space)
        if config not in tried:
            price = cost(config)
            tried[config] = Tried(config, price, accuracy(config) if price <= budget else None)
        one = tried[config]
        trial.set_constraint("cost over budget", one.cost / budget - 1)
        return 0.0 if one.accuracy is None else reward(one.accuracy, one.cost, budget, exponent)

    with quiet():
        sampler = optuna.samplers.NSGAIISampler(population_size=min(POPULATION, max(2, trials)), seed=seed % 2**32)
        study = optuna.create_study(direction="maximize", sampler=sampler)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        for config in (space.smallest(), *(space.uniform(w) for w in space.choices.widths)):
            study.enqueue_trial(places(space, config), skip_if_exists=True)
        study.optimize(objective, n_trials=trials)
    finally:
        optuna.logging.set_verbosity(before)
    return list(tried.values())


def imported() -> Any:
    """Optuna; TechniqueError when it is not installed."""
    try:
        import optuna
    except ImportError as e:
        raise TechniqueError("subnet: the search needs Optuna: pip install 'stillroom[search]'") from e
    return optuna


def _named(space: Space) -> list[list[tuple[str, Sequence[Any]]]]:
    """For every place of a Config its name and its options, part by part."""
    names = (
        [f"width of {g.name}" for g in space.groups],
        [f"depth from {stage[0]}" for stage in space.stages],
        [f"kernel of {name}" for name in space.kernels],
    )
    return [list(zip(part, options, strict=True)) for part, options in zip(names, space.options(), strict=True)]


def places(space: Space, config: Config) -> dict[str, int]:
    """`config` as Optuna keeps it: for every place the position among its options."""
    named = _named(space)
    return {
        name: list(options).index(value)
        for part, values in zip(named, config, strict=True)
        for (name, options), value in zip(part, values, strict=True)
    }


def asked(trial: Trial, space: Space) -> Config:
    """The Config that a trial asks for."""
    parts = [
        tuple(options[trial.suggest_int(name, 0, len(options) - 1)] for name, options in part) for part in _named(space)
    ]
    return space.plain(Config(*parts))
