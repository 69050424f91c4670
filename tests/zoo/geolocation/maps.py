"""Score maps whose recall is known."""

import math

import torch

from zoo.spectral.grids import AreaGrid
from zoo.spectral.sphere import EARTH_AREA_KM2, direction, to_latlon


def random_grid(number=200, seed=0):
    """Return cells of very different areas."""
    areas = torch.rand(number, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) ** 4 + 1e-3
    return AreaGrid(areas * (EARTH_AREA_KM2 / areas.sum()))


def random_maps(images, number, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(images, number, dtype=dtype, generator=generator)
    return scores, torch.randint(number, (images,), generator=generator)


def uniform_directions(number, generator):
    vectors = torch.randn(number, 3, dtype=torch.float64, generator=generator)
    return vectors / vectors.norm(dim=-1, keepdim=True)


def von_mises_fisher(means, kappa, generator):
    """Draw a direction around each mean (M, 3)."""
    u = torch.rand(len(means), dtype=torch.float64, generator=generator)
    t = 1 + torch.log(u + (1 - u) * math.exp(-2 * kappa)) / kappa
    ortho = torch.linalg.cross(means, uniform_directions(len(means), generator))
    ortho = ortho / ortho.norm(dim=-1, keepdim=True)
    return t[:, None] * means + (1 - t**2).clamp(min=0).sqrt()[:, None] * ortho


def places(vectors):
    return to_latlon(vectors)


def cosines(vectors, grid):
    """Return the scores (B, N) that fall with the distance of cells from directions."""
    return vectors @ direction(grid.centers).T
