"""HEALPix against astropy-healpix, at resolutions from one pixel per face to square kilometres."""

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy_healpix import HEALPix

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from zoo.spectral import healpix

resolutions = pytest.mark.parametrize("nside", [1, 2, 8, 64, 4096, 1 << 20])
LOCATE = {"ring": healpix.locate_ring, "nested": healpix.locate_nested}
orders = pytest.mark.parametrize("order", LOCATE)


def places(number, seed=0):
    generator = np.random.default_rng(seed)
    return np.arcsin(generator.uniform(-1, 1, number)), generator.uniform(-np.pi, 2 * np.pi, number)


def near_poles(number):
    generator = np.random.default_rng(1)
    lat = np.pi / 2 - 10 ** generator.uniform(-9, -1, number)
    return lat * generator.choice([-1, 1], number), generator.uniform(0, 2 * np.pi, number)


@resolutions
@orders
@pytest.mark.parametrize("where", [places, near_poles])
def test_pixels_of_places(nside, order, where):
    lat, lon = where(20000)
    expected = HEALPix(nside, order).lonlat_to_healpix(lon * u.rad, lat * u.rad)
    found = LOCATE[order](nside, torch.from_numpy(lat), torch.from_numpy(lon))
    assert np.mean(found.numpy() != expected) < (1e-3 if nside > 4096 else 1e-9)  # rounding, at borders


@resolutions
@orders
def test_centres_of_pixels(nside, order):
    pixel = torch.from_numpy(np.random.default_rng(0).integers(0, 12 * nside**2, 5000))
    lon, lat = HEALPix(nside, order).healpix_to_lonlat(pixel.numpy())
    ring = pixel if order == "ring" else healpix.nested_to_ring(nside, pixel)
    found = healpix.center_ring(nside, ring).numpy()
    close = tolerance(torch.float64, LINEAR_ALGEBRA)
    np.testing.assert_allclose(found[:, 0], lat.to_value(u.rad), **close)
    np.testing.assert_allclose(np.exp(1j * found[:, 1]), np.exp(1j * lon.to_value(u.rad)), **close)


@resolutions
def test_numberings_are_inverse(nside):
    pixel = torch.from_numpy(np.random.default_rng(0).integers(0, 12 * nside**2, 5000))
    assert torch.equal(healpix.ring_to_nested(nside, healpix.nested_to_ring(nside, pixel)), pixel)


def test_parents_contain_their_children():
    lat, lon = (torch.from_numpy(values) for values in places(20000))
    fine = healpix.locate_nested(64, lat, lon)
    assert torch.equal(healpix.parent(fine, 3), healpix.locate_nested(8, lat, lon))


def test_poles_and_the_date_line():
    lat = torch.deg2rad(torch.tensor([90.0, -90.0, 0.0, 0.0], dtype=torch.float64))
    lon = torch.deg2rad(torch.tensor([123.0, 321.0, 180.0, -180.0], dtype=torch.float64))
    for nside in (1, 4, 1024):
        pixel = healpix.locate_ring(nside, lat, lon)
        assert pixel[0] < 4
        assert pixel[1] >= 12 * nside**2 - 4
        assert pixel[2] == pixel[3]


@pytest.mark.parametrize(("nside", "nested"), [(0, False), (1.5, False), (3, True), (1 << 30, False)])
def test_resolutions_are_checked(nside, nested):
    with pytest.raises(ValueError, match="nside"):
        healpix.check_nside(nside, nested)
