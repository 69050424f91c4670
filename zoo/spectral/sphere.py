"""The sphere that stands for the Earth: directions, distances and areas.

Latitudes are spherical ones. Taking geodetic latitudes for them, as everybody's coordinates are, misstates local areas
by -0.45 % at the equator to +0.9 % at the poles. Areas are in km^2, angles of places in degrees.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth."""

EARTH_AREA_KM2 = 4 * math.pi * EARTH_RADIUS_KM**2

DISCS_KM = (1.0, 25.0, 200.0, 750.0, 2500.0)
"""Radii within which a predicted point counts as right: street, city, region, country, continent."""


def check_latlon(latlon: Tensor, name: str = "latlon") -> Tensor:
    """Return places in float64.

    Args:
        latlon: (..., 2), latitude in [-90, 90] and longitude, any finite number, in degrees.
        name: of the argument, for the message.

    Raises:
        ValueError: the shape is another, a number is not finite, or a latitude lies beyond the poles.
    """
    if latlon.dim() < 1 or latlon.size(-1) != 2:
        raise ValueError(f"{name} has shape {tuple(latlon.shape)}; give (..., 2), latitude and longitude in degrees")
    latlon = latlon.to(torch.float64)
    if not bool(torch.isfinite(latlon).all()):
        raise ValueError(f"{name} holds numbers that are not finite; give latitude and longitude in degrees")
    beyond = latlon[..., 0].abs() > 90
    if bool(beyond.any()):
        worst = float(latlon[..., 0][beyond][0])
        raise ValueError(f"{name} holds the latitude {worst:g}; give (latitude, longitude) with latitudes in [-90, 90]")
    return latlon


def direction(latlon: Tensor) -> Tensor:
    """Return the unit vectors (..., 3) of places (..., 2) in degrees."""
    lat, lon = torch.deg2rad(latlon).unbind(-1)
    return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], dim=-1)


def to_latlon(vectors: Tensor) -> Tensor:
    """Return the places (..., 2) in degrees, longitudes in [-180, 180], of vectors (..., 3) of any length > 0."""
    x, y, z = vectors.unbind(-1)
    return torch.rad2deg(torch.stack([torch.atan2(z, torch.hypot(x, y)), torch.atan2(y, x)], dim=-1))


def distance_km(one: Tensor, other: Tensor) -> Tensor:
    """Return great-circle distances between places (..., 2) in degrees, accurate for near and for opposite ones."""
    a, b = direction(one), direction(other)
    # The half angle from chords: an arc cosine would lose the small distances, an arc sine the large ones.
    return 2 * EARTH_RADIUS_KM * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1))


def cap_area_km2(radius_km: Tensor | float) -> Tensor:
    """Return the area of all places within a great-circle distance, 4 pi R^2 sin^2(r / 2R)."""
    radius = torch.as_tensor(radius_km, dtype=torch.float64)
    return EARTH_AREA_KM2 * torch.sin(radius / (2 * EARTH_RADIUS_KM)) ** 2
