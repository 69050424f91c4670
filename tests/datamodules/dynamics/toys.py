"""What tests of dynamics share."""

import numpy as np

TINY = {"num_train": 16, "num_val": 3, "num_test": 5}


def ready(system, **arguments):
    datamodule = system(**{**TINY, **arguments})
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def samples(system, number=200, seed=0):
    return system.sample(number, np.random.default_rng(seed))


def defects(system, state=None):
    """Return max |g(F(x)) - lambda g(x)| / max |g| by label of all eigenfunctions of a deterministic system."""
    state = samples(system) if state is None else state
    successor = system.flow(state)
    return {
        pair.label: float(
            abs(pair.function(successor) - pair.eigenvalue * pair.function(state)).max()
            / abs(pair.function(state)).max()
        )
        for pair in system.truth().pairs
        if pair.function is not None
    }


def moment(system, order, rule="gauss", number=400):
    """Return <K^order g, g> of the observable of the system's spectral measure, by quadrature."""
    from datamodules.dynamics.measures import product_rule

    nodes, weights = product_rule(system.axes, number, rule)
    state = system.from_axes(nodes)
    observable, moved = system.truth().measure.observable, state
    for _ in range(order):
        moved = system.flow(moved)
    return np.sum(weights * observable(moved) * np.conj(observable(state)))
