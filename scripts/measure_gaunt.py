"""Measure which way of computing Gaunt products is the fastest on this machine, and store the table in the package.

    OMP_NUM_THREADS=1 python scripts/measure_gaunt.py zoo/gaunt/costs.csv

Times are processor time of one forward and one backward pass in float32, the smallest of several, relative to the
fastest way: other work on the machine disturbs them little.
"""

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from zoo.gaunt.convolution import FORMS, GauntConvolution
from zoo.gaunt.harmonics import dim
from zoo.gaunt.product import GauntTensorProduct, available_backends

ROWS = 1024  # products at once
EDGES, CHANNELS = 256, 32
PRODUCTS = [(lmax, out) for lmax in (1, 2, 3, 4, 5, 6, 8, 10) for out in (lmax, 2 * lmax)]
CONVOLUTIONS = [(lmax, lmax) for lmax in (1, 2, 3, 4, 6)]


def best_time(run: Callable[[], Tensor], repeats: int = 7) -> float:
    """Return the smallest processor time in seconds of a forward and a backward pass, after one to warm up."""
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        run().square().sum().backward()
        times.append(time.process_time() - start)
    return min(times[1:])


def product_times(lmax: int, lmax_out: int) -> dict[str, float]:
    """Return the time of each backend of the product of two features of degree lmax."""
    x, y = (torch.randn(ROWS, dim(lmax), requires_grad=True) for _ in range(2))
    products = {name: GauntTensorProduct(lmax, lmax, lmax_out, backend=name) for name in _sensible(lmax, lmax_out)}
    return {name: best_time(lambda product=product: product(x, y)) for name, product in products.items()}  # type: ignore[misc]


def _sensible(lmax: int, lmax_out: int) -> list[str]:
    return [name for name in available_backends(lmax, lmax, lmax_out) if name != "fourier"]  # a reference only


def convolution_times(lmax: int, lmax_out: int) -> dict[str, float]:
    """Return the time of each form of the convolution that has weights of edges."""
    x = torch.randn(EDGES, CHANNELS, dim(lmax), requires_grad=True)
    vectors = torch.randn(EDGES, 3, requires_grad=True)
    radial, weights = (torch.randn(EDGES, CHANNELS, lmax + 1, requires_grad=True) for _ in range(2))
    ends = torch.randint(EDGES, (2, EDGES))
    forms = {form: GauntConvolution(lmax, lmax, lmax_out, form=form) for form in FORMS[:3]}
    return {
        form: best_time(lambda module=module: module(x, vectors, radial, ends, weights))  # type: ignore[misc]
        for form, module in forms.items()
    }


def rows() -> Iterator[list[object]]:
    """Yield the lines of the table."""
    for operation, cases, measure in (
        ("product", PRODUCTS, product_times),
        ("convolution", CONVOLUTIONS, convolution_times),
    ):
        for lmax, lmax_out in cases:
            times = measure(lmax, lmax_out)
            print(
                operation, lmax, lmax_out, {name: f"{1e3 * value:.2f} ms" for name, value in times.items()}, flush=True
            )
            for name, value in times.items():
                yield [operation, lmax, lmax_out, name, f"{value / min(times.values()):.3g}"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="file to write")
    torch.manual_seed(0)
    table = list(rows())
    with parser.parse_args().target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["operation", "lmax_in", "lmax_out", "backend", "relative_time"])
        writer.writerows(table)
