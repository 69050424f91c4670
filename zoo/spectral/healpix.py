r"""HEALPix: 12 nside^2 pixels of equal area on rings of equal latitude, in pure torch.

Two numberings: RING goes from north to south along the rings, any nside; NESTED goes along quadtrees in twelve faces,
nside a power of 2, where the parent of pixel p at half the resolution is p >> 2. All functions are vectorised, take
and return tensors of any shape, and compute in int64 and float64.

A place on the border of pixels belongs to one of them; which, rounding decides.

Source: Gorski, Hivon, Banday, Wandelt, Hansen, Reinecke, Bartelmann, "HEALPix: A framework for high-resolution
discretization and fast analysis of data distributed on the sphere", ApJ 622 (2005), section 5.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.checks import require, require_positive

MAX_NSIDE = 1 << 29
"""Beyond, numbers of pixels do not fit 64 bits."""

# Of the twelve faces: ring of the southernmost corner and column of it, in units of nside.
_FACE_RING = (2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4)
_FACE_COLUMN = (1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7)


def check_nside(nside: int, nested: bool = False) -> None:
    """Refuse what is no resolution.

    Raises:
        ValueError: not an integer from 1 to 2^29; or, for nested numbers, no power of 2.
    """
    require_positive(nside=nside)
    require(nside <= MAX_NSIDE, "nside", nside, f"an integer <= {MAX_NSIDE}")
    require(not nested or nside & (nside - 1) == 0, "nside", nside, "a power of 2, as nested pixels need")


def num_pixels(nside: int) -> int:
    """Return the number of pixels."""
    return 12 * nside * nside


def locate_ring(nside: int, lat: Tensor, lon: Tensor) -> Tensor:
    """Return the RING pixels (int64) of places in radians."""
    z, quarter, polar = _position(nside, lat, lon)
    north, pixels = z > 0, num_pixels(nside)

    rising, falling = _equatorial_lines(nside, z, quarter)
    ring = nside + 1 + rising - falling  # from 1, counted from the northernmost equatorial one
    shift = 1 - (ring & 1)
    column = torch.div(rising + falling - nside + shift + 1, 2, rounding_mode="floor") % (4 * nside)
    equatorial = 2 * nside * (nside - 1) + (ring - 1) * 4 * nside + column

    rising, falling = _polar_lines(polar, quarter)
    ring = (rising + falling + 1).clamp(max=nside)  # counted from the pole
    column = (quarter * ring).floor().long() % (4 * ring)
    cap = torch.where(north, 2 * ring * (ring - 1), pixels - 2 * ring * (ring + 1)) + column
    return torch.where(z.abs() <= 2 / 3, equatorial, cap)


def locate_nested(nside: int, lat: Tensor, lon: Tensor) -> Tensor:
    """Return the NESTED pixels (int64) of places in radians."""
    z, quarter, polar = _position(nside, lat, lon)

    rising, falling = _equatorial_lines(nside, z, quarter)
    up = torch.div(rising, nside, rounding_mode="floor")
    down = torch.div(falling, nside, rounding_mode="floor")
    face = torch.where(up == down, (up & 3) + 4, torch.where(up < down, up, down + 8))
    equatorial = _join(nside, face, falling % nside, nside - 1 - rising % nside)

    rising, falling = (line.clamp(max=nside - 1) for line in _polar_lines(polar, quarter))
    face = quarter.floor().long().clamp(max=3)
    north = _join(nside, face, nside - 1 - falling, nside - 1 - rising)
    south = _join(nside, face + 8, rising, falling)
    return torch.where(z.abs() <= 2 / 3, equatorial, torch.where(z > 0, north, south))


def center_ring(nside: int, pixel: Tensor) -> Tensor:
    """Return the centres (..., 2) of RING pixels, latitude and longitude in [0, 2 pi), in radians."""
    cap, pixels = 2 * nside * (nside - 1), num_pixels(nside)
    south = pixel >= pixels - cap
    equatorial = (pixel >= cap) & ~south

    # Both caps alike, counted from their pole.
    number = torch.where(south, pixels - 1 - pixel, pixel).clamp(max=max(cap - 1, 0))
    ring = (1 + _integer_root(1 + 2 * number)) >> 1
    column = number - 2 * ring * (ring - 1)
    column = torch.where(south, 4 * ring - 1 - column, column)
    share = ring.to(torch.float64) ** 2 / (3.0 * nside * nside)  # 1 - |z|
    lat_cap = torch.atan2(1 - share, (share * (2 - share)).sqrt())
    lon_cap = (column.to(torch.float64) + 0.5) * (math.pi / 2) / ring.clamp(min=1)

    number = (pixel - cap).clamp(min=0)
    ring = torch.div(number, 4 * nside, rounding_mode="floor") + nside
    offset = (1 - ((ring + nside) & 1)).to(torch.float64) / 2
    lat = torch.asin((2 * nside - ring).to(torch.float64) * (2 / (3 * nside)))
    lon = (number % (4 * nside) + offset) * (math.pi / (2 * nside))

    return torch.stack(
        [
            torch.where(equatorial, lat, torch.where(south, -lat_cap, lat_cap)),
            torch.where(equatorial, lon, lon_cap),
        ],
        dim=-1,
    )


def nested_to_ring(nside: int, pixel: Tensor) -> Tensor:
    """Return the RING numbers of NESTED pixels."""
    face = torch.div(pixel, nside * nside, rounding_mode="floor")
    inside = pixel % (nside * nside)
    x, y = _compress(inside), _compress(inside >> 1)
    ring = torch.tensor(_FACE_RING, device=pixel.device)[face] * nside - x - y - 1
    north, south = ring < nside, ring > 3 * nside
    size = torch.where(north, ring, torch.where(south, 4 * nside - ring, nside))
    shift = torch.where(north | south, 0, (ring - nside) & 1)
    before = torch.where(north, 2 * ring * (ring - 1), 2 * nside * (nside - 1) + (ring - nside) * 4 * nside)
    before = torch.where(south, num_pixels(nside) - 2 * (size + 1) * size, before)
    column = torch.div(
        torch.tensor(_FACE_COLUMN, device=pixel.device)[face] * size + x - y + 1 + shift, 2, rounding_mode="floor"
    )
    return before + (column - 1) % (4 * size)


def ring_to_nested(nside: int, pixel: Tensor) -> Tensor:
    """Return the NESTED numbers of RING pixels."""
    lat, lon = center_ring(nside, pixel).unbind(-1)  # far from any border
    return locate_nested(nside, lat, lon)


def parent(pixel: Tensor, levels: int = 1) -> Tensor:
    """Return the NESTED pixels that contain NESTED pixels, at a resolution halved so many times."""
    return pixel >> (2 * levels)


def _position(nside: int, lat: Tensor, lon: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return sin(lat), the longitude in quarter turns in [0, 4), and nside sqrt(3 (1 - |z|))."""
    z = torch.sin(lat)
    quarter = torch.remainder(lon, 2 * math.pi) * (2 / math.pi)
    quarter = torch.where(quarter >= 4, quarter - 4, quarter)
    # 1 - |z| from the cosine, which does not cancel near the poles.
    polar = nside * torch.cos(lat).abs() * torch.sqrt(3 / (1 + z.abs()))
    return z, quarter, polar


def _equatorial_lines(nside: int, z: Tensor, quarter: Tensor) -> tuple[Tensor, Tensor]:
    along, across = nside * (0.5 + quarter), nside * z * 0.75
    return (along - across).floor().long(), (along + across).floor().long()


def _polar_lines(polar: Tensor, quarter: Tensor) -> tuple[Tensor, Tensor]:
    inside = quarter - quarter.floor()
    return (inside * polar).floor().long(), ((1 - inside) * polar).floor().long()


def _join(nside: int, face: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return face * (nside * nside) + (_spread(x) | (_spread(y) << 1))


_MASKS = (
    0x5555555555555555,
    0x3333333333333333,
    0x0F0F0F0F0F0F0F0F,
    0x00FF00FF00FF00FF,
    0x0000FFFF0000FFFF,
    0x00000000FFFFFFFF,
)


def _spread(bits: Tensor) -> Tensor:
    """Move bit i to bit 2i, of integers < 2^32."""
    for level in range(4, -1, -1):
        bits = (bits | (bits << (1 << level))) & _MASKS[level]
    return bits


def _compress(bits: Tensor) -> Tensor:
    """Move bit 2i to bit i; the odd ones are dropped."""
    bits = bits & _MASKS[0]
    for level in range(5):
        bits = (bits | (bits >> (1 << level))) & _MASKS[level + 1]
    return bits


def _integer_root(number: Tensor) -> Tensor:
    root = number.to(torch.float64).sqrt().floor().long()
    root = torch.where(root * root > number, root - 1, root)
    return torch.where((root + 1) * (root + 1) <= number, root + 1, root)
