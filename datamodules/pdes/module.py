"""A PDE problem as batches: its source and boundary values on a regular grid, and where its solution is asked for."""

from __future__ import annotations

import csv
import hashlib
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from datamodules.keys import BOUNDARY, EXACT, POINTS, SOURCE
from datamodules.module import Samples, ZooDataModule, require_integer
from datamodules.pdes.problem import PDEProblem, read_problem
from datamodules.pdes.published import PROBLEMS, Published
from zoo.checks import require, require_finite

RANDOM_POINTS = 1000  # of validation
TEST_POINTS = {1: 300, 2: 300, 3: 40}  # along each coordinate, of test; as published in one and two dimensions
DEFAULT_POINTS = {1: 200, 2: 60, 3: 16}


class HighFrequencyPDE(ZooDataModule):
    """One of the published problems with an exact solution, or a problem from a file; many instances differ in noise.

    A sample is an instance of the problem, a dict of `SOURCE`, `BOUNDARY`, `POINTS` and `EXACT` (`datamodules.keys`).
    One instance is one sample, so an epoch of one batch is one step of an optimiser. Training asks for the solution
    nowhere; validation asks at random points, test on the published grid of 300 points along each coordinate, with both
    ends, or of 40 in three dimensions. The numbers published are minima over test errors during the run: compare final
    errors with them with care.

    Args:
        problem: a name among `datamodules.pdes.published.PROBLEMS`, or the path of a problem file, see
            `datamodules.pdes.problem`.
        num_points: of the grid along each coordinate, > 2; None as published, or 200, 60, 16 in 1, 2, 3 dimensions.
        num_instances: number of samples, > 0.
        boundary_noise: standard deviation of independent noise on boundary values, relative to their root mean square,
            >= 0.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: of the noise and of the random points.
        predict_path: CSV with a column for each coordinate; None predicts the test set.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range, or the problem is none.
        FileNotFoundError: there is no such problem file.

    Example:
        >>> data = HighFrequencyPDE("poisson_1d-single_sin")
        >>> data.setup()
        >>> next(iter(data.test_dataloader()))["source"].shape
        torch.Size([1, 400])
    """

    target_names: ClassVar[list[str]] = ["u"]

    def __init__(
        self,
        problem: str = "poisson_1d-single_sin",
        num_points: int | None = None,
        num_instances: int = 1,
        boundary_noise: float = 0.0,
        batch_size: int = 1,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, num_workers=num_workers, seed=seed, predict_path=predict_path)
        require_integer("num_instances", num_instances, least=1)
        require_finite(boundary_noise=boundary_noise)
        require(boundary_noise >= 0, "boundary_noise", boundary_noise, "a number >= 0")
        self.published = self._find(problem)
        self.problem: PDEProblem = self.published.problem
        if num_points is None:
            num_points = self.published.num_points
        require_integer("num_points", num_points, least=3)
        self.num_points = num_points
        self.num_instances = num_instances
        self.boundary_noise = boundary_noise

    @staticmethod
    def _find(problem: str) -> Published:
        require(isinstance(problem, str), "problem", problem, "a name or a path")
        if problem in PROBLEMS:
            return PROBLEMS[problem]
        if Path(problem).suffix in (".yaml", ".yml"):
            own = read_problem(problem)
            require(own.dimensions in DEFAULT_POINTS, "domain", own.domain, "1 .. 3 coordinates")
            return Published(own, DEFAULT_POINTS[own.dimensions], largest_frequency=20.0)
        raise ValueError(
            f"problem={problem!r} is not allowed; give one of {', '.join(PROBLEMS)}, or the path of a .yaml file"
        )

    @property
    def grids(self) -> list[Tensor]:
        """The coordinates of the grid, (N_j,) float64 each."""
        return [
            torch.linspace(lower, upper, self.num_points, dtype=torch.float64)
            for lower, upper in zip(self.problem.lower, self.problem.upper, strict=True)
        ]

    def build_datasets(self) -> dict[str, Samples]:
        """Return the instances, with other points to ask at in each split."""
        nodes = _mesh(self.grids)
        source = self.problem.source_values(nodes)
        boundary = _side_values(self.problem.boundary_values(nodes), self.problem.dimensions)
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(self.num_instances, len(boundary), dtype=torch.float64, generator=generator)
        deviation = self.boundary_noise * boundary.square().mean().sqrt()
        lower, upper = (torch.tensor(ends, dtype=torch.float64) for ends in (self.problem.lower, self.problem.upper))
        dimensions = self.problem.dimensions
        inside = torch.rand(RANDOM_POINTS, dimensions, dtype=torch.float64, generator=generator)
        uniform = [
            torch.linspace(start, end, TEST_POINTS[dimensions], dtype=torch.float64)
            for start, end in zip(lower.tolist(), upper.tolist(), strict=True)
        ]
        points = {
            "train": torch.zeros(0, dimensions, dtype=torch.float64),
            "val": lower + inside * (upper - lower),
            "test": _mesh(uniform).reshape(-1, dimensions),
        }
        datasets: dict[str, Samples] = {}
        for split, asked in points.items():
            entries = {POINTS: asked}
            if self.problem.exact is not None:
                entries[EXACT] = self.problem.exact_values(asked)
            datasets[split] = [
                {SOURCE: source, BOUNDARY: boundary + deviation * own_noise, **entries} for own_noise in noise
            ]
        return datasets

    def collate(self, samples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the batch of some instances."""
        return {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}

    def target_statistics(self) -> tuple[list[float], list[float]]:
        """Return zero and one: solutions are kept in the units of the problem."""
        return [0.0], [1.0]

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the problem."""
        problem = self.problem
        formulas = {
            "domain": {name: [str(end) for end in ends] for name, ends in problem.domain.items()},
            "linear": {name: str(coefficient) for name, coefficient in problem.linear.items()},
            **{name: getattr(problem, name) for name in ("nonlinear", "exact", "source", "boundary")},
        }
        return {
            "name": problem.name,
            "source": "formulas",
            "split": "the same instances, other points",
            "licence": "none, synthetic",
            "sha256": hashlib.sha256(repr(sorted(formulas.items())).encode()).hexdigest(),
            "formulas": formulas,
            "num_points": self.num_points,
            "boundary_noise": self.boundary_noise,
            "sizes": {split: len(dataset) for split, dataset in self.datasets.items()},
            "seed": self.seed,
        }

    def read_inputs(self, path: str) -> tuple[list[str], Samples]:
        """Read points from a CSV file with a column for each coordinate, with or without a line of their names.

        Returns:
            The names of the points, their row numbers from 0, and the instances, each asked at all of them.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a row is not that many numbers, or lies outside of the box.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"predict_path {path!r} does not exist")
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
        names = list(self.problem.domain)
        if rows and [cell.strip() for cell in rows[0]] == names:
            rows = rows[1:]
        require(bool(rows), "predict_path", path, "a file with at least one point")
        points = torch.zeros(len(rows), len(names), dtype=torch.float64)
        for number, row in enumerate(rows):
            try:
                points[number] = torch.tensor([float(cell) for cell in row], dtype=torch.float64)
            except (ValueError, RuntimeError) as error:
                raise ValueError(
                    f"{path}: point {number} is {row}; give {len(names)} numbers: {', '.join(names)}"
                ) from error
        lower, upper = (torch.tensor(ends, dtype=torch.float64) for ends in (self.problem.lower, self.problem.upper))
        outside = ~((points >= lower) & (points <= upper)).all(1)
        first = int(outside.int().argmax())
        require(not bool(outside.any()), f"point {first} of {path}", points[first].tolist(), "points inside the box")
        datasets = self.datasets or self.build_datasets()
        known = [{SOURCE: sample[SOURCE], BOUNDARY: sample[BOUNDARY], POINTS: points} for sample in datasets["test"]]
        return [str(number) for number in range(len(points))], known


def _mesh(grids: list[Tensor]) -> Tensor:
    return torch.stack(torch.meshgrid(*grids, indexing="ij"), dim=-1)


def _side_values(values: Tensor, dimensions: int) -> Tensor:
    """Return grid values (N_1, .., N_d) on the sides, (N_b,)."""
    return torch.cat([values.select(j, end).flatten() for j, end in product(range(dimensions), (0, -1))])
