"""What makes the recipes on fields small: few points, few samples, few channels."""

import numpy as np
from scipy.io import savemat

FEW = [
    *("--data.num_train", "16", "--data.num_val", "8", "--data.num_test", "8"),
    *("--model.network_kwargs.width", "8"),
]


def generated(**data):
    """Return the words for samples that are generated within a second."""
    return lambda folder: [*FEW, *[word for name, value in data.items() for word in (f"--data.{name}", str(value))]]


def airfoils(folder):
    """Write meshes and flows around airfoils, and return the words that lead to them."""
    generator = np.random.default_rng(0)
    for name, shape in (("X", (32, 21, 17)), ("Y", (32, 21, 17)), ("Q", (32, 5, 21, 17))):
        np.save(folder / f"NACA_Cylinder_{name}.npy", generator.standard_normal(shape))
    return ["--data.root", str(folder), *FEW]


def forgings(folder):
    """Write dies and deformations, and return the words that lead to them."""
    generator = np.random.default_rng(0)
    arrays = {"input": generator.standard_normal((32, 17)), "output": generator.standard_normal((32, 17, 9, 8, 4))}
    savemat(folder / "plas_N987_T20.mat", arrays)
    return ["--data.root", str(folder), *FEW]


DARCY = generated(resolution=33, subsample=2)
NAVIER_STOKES = generated(resolution=32, subsample=1, time_step=0.1, num_outputs=2)
CELLS = generated(rays=12, rings=5, kept_rings=3, grid_size=20)

FIELDS = {
    "lsm/airfoil": airfoils,
    "lsm/burgers": generated(resolution=128, subsample=4, time_step=0.01),
    "lsm/darcy": DARCY,
    "lsm/darcy_modern": DARCY,
    "lsm/elasticity": CELLS,
    "lsm/elasticity_grid": CELLS,
    "lsm/navier_stokes": lambda folder: [*NAVIER_STOKES(folder), "--model.num_steps", "2"],
    "lsm/navier_stokes_modern": lambda folder: [*NAVIER_STOKES(folder), "--model.num_steps", "2"],
    "lsm/pipe": generated(resolution=8, num_train=8, num_val=4, num_test=4),
    "lsm/plasticity": forgings,
}
