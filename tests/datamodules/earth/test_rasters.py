"""Rasters on the grid: shares of classes by area, against places drawn at random."""

import sys

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from datamodules.earth.rasters import attribute_from_geotiff
from zoo.geolocation import GeoEnsemble
from zoo.spectral.grids import HEALPixGrid
from zoo.spectral.sphere import EARTH_AREA_KM2, EARTH_RADIUS_KM, to_latlon

# Rasterio still multiplies transforms the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")


def write(path, values, step=None, nodata=None, crs="EPSG:4326", origin=(-180, 90)):
    step = 180 / len(values) if step is None else step
    profile = {"driver": "GTiff", "height": len(values), "width": len(values[0]), "count": 1, "dtype": values.dtype}
    transform = from_origin(*origin, step, step)
    with rasterio.open(path, "w", crs=crs, transform=transform, nodata=nodata, **profile) as file:
        file.write(values, 1)
    return path


def test_shares_of_a_coarse_raster_are_those_of_the_pixels_around(tmp_path):
    values = np.random.default_rng(0).choice([10, 50, 210], (6, 12)).astype(np.uint8)
    shares = attribute_from_geotiff(write(tmp_path / "a.tif", values), 8, classes=[210, 10, 50])
    centers = HEALPixGrid(8).centers
    row, column = ((90 - centers[:, 0]) / 30).long(), ((centers[:, 1] + 180) / 30).long()
    expected = torch.from_numpy(values)[row, column]
    empty = (shares == 1).any(0)
    assert empty.float().mean() > 0.9
    assert torch.equal(torch.tensor([210, 10, 50])[shares.argmax(0)][empty], expected[empty].long())


def test_shares_of_a_fine_raster_are_areas(tmp_path):
    """Land north of 30 degrees south, in the western half: classes of cells that are cut are shared by area."""
    lat = 90 - (np.arange(720) + 0.5) / 4
    values = np.where(lat[:, None] > -30, 1, 0).repeat(1440, 1).astype(np.uint8)
    values[:, 720:] = 0
    shares = attribute_from_geotiff(write(tmp_path / "a.tif", values), 2, classes=[0, 1])
    assert shares.shape == (2, 48)
    torch.testing.assert_close(shares.sum(0), torch.ones(48))
    assert float(shares[1].mean()) == pytest.approx((1 + np.sin(np.radians(30))) / 4, abs=1e-3)
    place = to_latlon(torch.randn(200_000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    land = ((place[:, 0] > -30) & (place[:, 1] < 0)).double()
    cell = HEALPixGrid(2).locate(place)
    drawn = torch.zeros(48, dtype=torch.float64).index_add_(0, cell, land) / torch.bincount(cell, minlength=48)
    assert float((drawn - shares[1]).abs().max()) < 0.04


def test_counts_become_densities(tmp_path):
    """A density of 7 per km^2 everywhere, stored as counts by pixel, is in one bucket everywhere."""
    edges = np.sin(np.radians(90 - np.arange(181)))
    areas = EARTH_RADIUS_KM**2 * np.radians(1) * -np.diff(edges)
    assert areas.sum() * 360 == pytest.approx(EARTH_AREA_KM2)
    counts = np.repeat(7 * areas[:, None], 360, axis=1)
    buckets = attribute_from_geotiff(write(tmp_path / "a.tif", counts), 4, edges=[1, 10, 100], per_area=True)
    assert torch.equal(buckets.argmax(0), torch.ones(192, dtype=torch.int64))
    raw = attribute_from_geotiff(write(tmp_path / "b.tif", counts), 4, edges=[1, 10, 100])
    assert not torch.equal(raw, buckets)


def test_bounds_of_buckets_are_inclusive(tmp_path):
    values = np.full((4, 8), 10.0)
    shares = attribute_from_geotiff(write(tmp_path / "a.tif", values), 1, edges=[1.0, 10.0])
    assert torch.equal(shares.argmax(0), torch.ones(12, dtype=torch.int64))


def test_what_is_missing_is_a_class_or_an_error(tmp_path):
    values = np.full((18, 36), 5, dtype=np.int32)
    values[9:] = -9999
    path = write(tmp_path / "a.tif", values, nodata=-9999)
    shares = attribute_from_geotiff(path, 2, classes=[5, 0], missing=1)
    assert float(shares[0].mean()) == pytest.approx(0.5, abs=0.02)
    with pytest.raises(ValueError, match="missing=None"):
        attribute_from_geotiff(path, 2, classes=[5, 0])
    part = write(tmp_path / "b.tif", np.full((10, 36), 5, dtype=np.int32), step=10)
    assert float(attribute_from_geotiff(part, 2, classes=[5, 0], missing=1)[1].sum()) > 0
    with pytest.raises(ValueError, match="does not reach"):
        attribute_from_geotiff(part, 2, classes=[5, 0])
    other = write(tmp_path / "c.tif", np.full((18, 36), 6, dtype=np.int32))
    with pytest.raises(ValueError, match="pixels without one"):
        attribute_from_geotiff(other, 2, classes=[5])


@pytest.mark.parametrize("origin", [(-180, 90), (170, 90)])
def test_what_of_a_cell_lies_beyond_the_raster_is_missing(tmp_path, origin):
    """A raster of half of the northern hemisphere, also over the date line."""
    path = write(tmp_path / "a.tif", np.full((90, 180), 5, dtype=np.int32), step=1, origin=origin)
    shares = attribute_from_geotiff(path, 2, classes=[5, 0], missing=1)
    torch.testing.assert_close(shares.sum(0), torch.ones(48))
    assert float(shares[0].mean()) == pytest.approx(0.25, abs=1e-3)
    assert bool(((shares[0] > 0.1) & (shares[0] < 0.9)).any())
    place = to_latlon(torch.randn(200_000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    inside = ((place[:, 0] > 0) & ((place[:, 1] - origin[0]) % 360 < 180)).double()
    cell = HEALPixGrid(2).locate(place)
    drawn = torch.zeros(48, dtype=torch.float64).index_add_(0, cell, inside) / torch.bincount(cell, minlength=48)
    assert float((drawn - shares[0]).abs().max()) < 0.05


def test_a_map_of_ones_own_becomes_part_of_an_ensemble(tmp_path):
    values = np.random.default_rng(0).choice([10, 50, 210], (18, 36)).astype(np.uint8)
    shares = attribute_from_geotiff(write(tmp_path / "a.tif", values), 4, classes=[10, 50, 210])
    module = GeoEnsemble({"cover": {"kind": "attribute", "size": 3}}, nside=4)
    prior = torch.tensor([0.5, 0.3, 0.2])
    module.predictors.fill({"cover": shares}, {"cover": prior})
    head = torch.tensor([[0.7, 0.2, 0.1]])
    mass = ((head / prior) @ shares)[0]
    torch.testing.assert_close(module({"cover": head}).exp()[0], mass / mass.sum(), rtol=1e-4, atol=1e-7)


def test_refused(tmp_path, monkeypatch):
    values = np.zeros((18, 36), dtype=np.uint8)
    path = write(tmp_path / "a.tif", values)
    for arguments, message in [
        ({}, "classes"),
        ({"classes": [0], "edges": [1.0]}, "classes"),
        ({"classes": [0], "missing": 1}, "missing"),
        ({"edges": [2.0, 1.0]}, "edges"),
    ]:
        with pytest.raises(ValueError, match=message):
            attribute_from_geotiff(path, 2, **arguments)
    with pytest.raises(ValueError, match="EPSG:4326"):
        attribute_from_geotiff(write(tmp_path / "b.tif", values, crs="EPSG:3857"), 2, classes=[0])
    with pytest.raises(OSError, match="missing"):
        attribute_from_geotiff(tmp_path / "missing.tif", 2, classes=[0])
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(ImportError, match="geotiff"):
        attribute_from_geotiff(path, 2, classes=[0])
