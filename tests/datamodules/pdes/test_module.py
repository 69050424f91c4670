import json

import pytest
import torch

from datamodules.keys import BOUNDARY, EXACT, POINTS, SOURCE
from datamodules.pdes import HighFrequencyPDE
from datamodules.pdes.published import PROBLEMS, TWELVE
from zoo.gppde import Box, Dirichlet, solve
from zoo.gppde.domain import mesh
from zoo.gppde.joint_map import JointMAP, side_values
from zoo.gppde.operators import Operator


def ready(*args, **kwargs):
    data = HighFrequencyPDE(*args, **kwargs)
    data.prepare_data()
    data.setup()
    return data


def operator_of(problem):
    """The solver's operator of a problem."""
    nonlinear = problem.nonlinearity if problem.nonlinear is not None else None
    return Operator(problem.dimensions, problem.linear_terms, nonlinear, problem.nonlinear_in, problem.name)


@pytest.mark.parametrize("name", ["poisson_1d-x_time_sinx", "poisson_2d-sin_add_cos", "advection-sin"])
def test_samples_are_the_problem_on_its_grid(name):
    data = ready(name, num_points=20)
    problem, nodes = data.problem, mesh(data.grids)
    (batch,) = data.test_dataloader()
    assert torch.equal(batch[SOURCE][0], problem.source_values(nodes))
    assert torch.equal(batch[BOUNDARY][0], side_values(problem.exact_values(nodes), problem.dimensions))
    assert batch[POINTS].shape == (1, 300**problem.dimensions, problem.dimensions)
    assert torch.equal(batch[EXACT][0], problem.exact_values(batch[POINTS][0]))
    assert batch[POINTS][0].amin(0).tolist() == list(problem.lower)
    assert batch[POINTS][0].amax(0).tolist() == list(problem.upper)


def test_published_grids_are_the_default():
    sizes = {name: HighFrequencyPDE(name).num_points for name in TWELVE}
    assert sizes["poisson_1d-mix_sin"] == 900 and sizes["advection-sin"] == 200 and sizes["poisson_2d-sin_sin"] == 400


def test_validation_and_test_ask_at_other_points():
    data = ready("poisson_1d-single_sin")
    asked = {split: data.dataset(split)[0][POINTS] for split in ("train", "val", "test")}
    assert asked["train"].numel() == 0
    assert not set(asked["val"].flatten().tolist()) & set(asked["test"].flatten().tolist())


def test_instances_differ_in_noise_and_repeat_with_the_seed():
    options = {"num_instances": 50, "boundary_noise": 0.1, "batch_size": 50, "num_points": 8}
    (batch,) = ready("advection-sin", **options).train_dataloader()
    exact = ready("advection-sin", num_points=8).dataset("test")[0][BOUNDARY]
    noise = (batch[BOUNDARY] - exact) / exact.square().mean().sqrt()
    assert float(noise.std()) == pytest.approx(0.1, rel=0.1)
    again, other = ready("advection-sin", **options), ready("advection-sin", **options, seed=1)
    first = again.dataset("val")[0][BOUNDARY]
    assert any(torch.equal(first, own) for own in batch[BOUNDARY])
    assert not torch.equal(first, other.dataset("val")[0][BOUNDARY])


def test_metadata_is_plain():
    data = ready("burgers_1d")
    metadata = data.metadata()
    assert json.loads(json.dumps(metadata)) == metadata
    assert metadata["formulas"]["nonlinear"] == "u*u_x" and metadata["sizes"]["test"] == 1
    assert ready("heat", num_points=9).metadata()["sha256"] != metadata["sha256"]


def test_own_problems_and_points(tmp_path):
    (tmp_path / "own.yaml").write_text("{domain: {x: [0, 1]}, linear: {u_xx: 1}, source: '1', boundary: '0'}")
    (tmp_path / "points.csv").write_text("x\n0.25\n0.5\n")
    data = HighFrequencyPDE(str(tmp_path / "own.yaml"), num_points=9, predict_path=str(tmp_path / "points.csv"))
    data.setup("predict")
    (batch,) = data.predict_dataloader()
    assert batch[POINTS].tolist() == [[[0.25], [0.5]]] and EXACT not in batch
    assert data.predict_ids == ["0", "1"] and data.problem.name == "own"
    for content, message in (
        ("0.5,1\n", "point 0"),
        ("two\n", "point 0"),
        ("1.5\n", "inside the box"),
        ("x\n", "at least one"),
    ):
        (tmp_path / "points.csv").write_text(content)
        with pytest.raises(ValueError, match=message):
            HighFrequencyPDE("variable_1d", predict_path=str(tmp_path / "points.csv")).setup("predict")
    with pytest.raises(FileNotFoundError, match="missing"):
        HighFrequencyPDE(predict_path=str(tmp_path / "missing.csv")).setup("predict")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"problem": "navier"}, ValueError),
        ({"problem": 3}, (TypeError, ValueError)),
        ({"num_points": 2}, ValueError),
        ({"num_instances": 0}, ValueError),
        ({"boundary_noise": -0.1}, ValueError),
        ({"batch_size": 0}, ValueError),
        ({"num_workers": -1}, ValueError),
        ({"seed": -1}, ValueError),
        ({"predict_path": ["a"]}, TypeError),
    ],
)
def test_bad_arguments_are_named(arguments, error):
    with pytest.raises(error, match=next(iter(arguments))):
        HighFrequencyPDE(**arguments)


def test_unknown_problems_are_named():
    with pytest.raises(ValueError, match="problem='navier' is not allowed; give one of poisson_1d-single_sin"):
        HighFrequencyPDE("navier")


LINES = [name for name in PROBLEMS if PROBLEMS[name].problem.dimensions == 1]
PLANES = [name for name in PROBLEMS if PROBLEMS[name].problem.dimensions == 2]


@pytest.mark.parametrize("name", LINES)
def test_problems_are_solved_from_their_samples(name):
    data = ready(name)
    problem, sample = data.problem, data.dataset("test")[0]
    box = Box(problem.lower, problem.upper)
    ends = [Dirichlet(float(sample[BOUNDARY][end]), [(0, side)]) for end, side in ((0, "lower"), (1, "upper"))]
    solution = solve(operator_of(problem), box, ends, sample[SOURCE], data.num_points)
    bound = 1e-6 if problem.nonlinear is None else 5e-6
    assert (solution.predict(sample[POINTS]) - sample[EXACT]).norm() < bound * sample[EXACT].norm()


@pytest.mark.parametrize("name", PLANES)
def test_problems_of_two_dimensions_are_solved(name):
    data = ready(name, num_points=200 if name.startswith("allencahn") else None)
    problem, sample = data.problem, data.dataset("test")[0]
    sides = {  # initial and inflow values alone determine what moves in time
        "advection-sin": [(0, "lower"), (1, "lower")],
        "heat": [(0, "lower"), (0, "upper"), (1, "lower")],
    }.get(name)
    conditions = [Dirichlet(problem.boundary_values, sides)]
    box = Box(problem.lower, problem.upper)
    solution = solve(operator_of(problem), box, conditions, sample[SOURCE], data.num_points)
    nodes = box.grids(300)
    bound = 5e-6 if name in TWELVE else 5e-5
    assert (solution.predict_grid(nodes).flatten() - sample[EXACT]).norm() < bound * sample[EXACT].norm()


def test_samples_fit_the_published_objective():
    data = ready("advection-sin", num_points=8, num_instances=2, batch_size=2)
    (batch,) = data.train_dataloader()
    published = data.published
    model = JointMAP(
        operator_of(data.problem),
        data.grids,
        batch[SOURCE],
        batch[BOUNDARY],
        num_components=3,
        largest_frequency=published.largest_frequency,
        boundary_weight=published.boundary_weight,
    )
    assert model.losses().shape == (2,) and model.boundary_weight == 500
