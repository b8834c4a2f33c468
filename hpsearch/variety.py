"""How many different settings the trials of a study are."""

from optuna.distributions import FloatDistribution

from hpsearch.space import Parameter, Space, draw

_MOST = 1000  # trials whose draws are compared


def repeats(space: Space, trials: int) -> str | None:
    """Give a remark on trials that repeat the settings of others; None where all differ.

    Settings that repeat are drawn from a space of few values. Their trials differ in seeds alone.
    """
    never = any(map(_never_repeats, space.parameters))
    looked = min(trials, len(space.enqueued) if never else _MOST)
    distinct = len({tuple(draw(space, number).items()) for number in range(looked)})
    if distinct == looked:
        return None
    of = "" if never or looked == trials else f"the first {looked} of "
    count = trials - looked + distinct if never else distinct
    settings = "1 distinct setting" if count == 1 else f"{count} distinct settings"
    return (
        f"params: {of}{trials} trials are {settings}; the others repeat them with other seeds. For more, give "
        "params ranges or more choices; else fewer search.trials will do"
    )


def _never_repeats(parameter: Parameter) -> bool:
    """Whether each trial has a value of its own, out of endlessly many."""
    distribution = parameter.distribution
    endless = isinstance(distribution, FloatDistribution) and distribution.step is None
    return endless and not parameter.structural and not parameter.when
