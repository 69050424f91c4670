"""Recall versus area of maps too many and too fine to be held: time and memory of 100,000 images on 786,432 cells.

    python scripts/recall_of_many_maps.py [--images 100000] [--nside 256] [--batch-size 4096]

Scores are computed tile by tile, a product of three numbers per image with the directions of the cells.
"""

import argparse
import resource
import sys
import time


def main(args: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--nside", type=int, default=256, help="of the HEALPix grid: 12 nside^2 cells")
    parser.add_argument("--batch-size", type=int, default=4096)
    options = parser.parse_args(args)
    for name in ("images", "nside", "batch_size"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1, not {getattr(options, name)}")

    # Late, so that --help answers at once.
    import torch
    from tqdm.auto import tqdm

    from zoo.geolocation.recall_vs_area import RecallVsArea
    from zoo.spectral.grids import HEALPixGrid
    from zoo.spectral.sphere import direction

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    grid = HEALPixGrid(options.nside)
    cells = direction(grid.centers).float()
    metric = RecallVsArea(grid)
    unit = 1 if sys.platform == "darwin" else 1024
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    for first in tqdm(range(0, options.images, options.batch_size), unit="batch", delay=2):
        number = min(options.batch_size, options.images - first)
        truth = torch.randint(grid.n, (number,), generator=generator)
        guess = cells[truth] + 0.3 * torch.randn(number, 3, generator=generator)

        def scores(begin: int, end: int, guess: torch.Tensor = guess) -> torch.Tensor:
            return guess @ cells[begin:end].T

        metric.update(scores, truth, log=True)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = {name: float(value) for name, value in metric.compute().items() if value.numel() == 1}
    memory = f"{peak * unit / 2**20:.0f} MiB at the most, {before * unit / 2**20:.0f} of them for libraries and grid"
    print(f"{options.images} images x {grid.n} cells: {seconds:.0f} s of processor time, {memory}")
    print({name: round(value, 4) for name, value in result.items()})


if __name__ == "__main__":
    main()
