"""Files of every mode, and files that were made to do harm."""

import numpy as np
import pytest
from PIL import Image

from datamodules.images import reading
from datamodules.images.reading import check_image, list_images, read_grey, read_image
from tests.datamodules.images.toys import random_image


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_of_png_becomes_rgb(tmp_path, mode):
    image = random_image(13, 7).convert(mode)
    image.save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read.mode == "RGB" and read.size == (13, 7)
    assert np.array_equal(np.asarray(read), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", "jpg"), ("L", "jpg"), ("RGB", "bmp"), ("RGBA", "webp")])
def test_other_formats_become_rgb(tmp_path, mode, suffix):
    flat = Image.new("RGB", (16, 16), (200, 100, 50)).convert(mode)
    flat.save(tmp_path / f"a.{suffix}")
    expected = np.asarray(flat.convert("RGB"), dtype=int)
    assert abs(np.asarray(read_image(tmp_path / f"a.{suffix}")) - expected).max() <= 4


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    Image.fromarray(np.array([[0, 257, 40000, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert np.asarray(read_image(tmp_path / "a.png"))[0, :, 1].tolist() == [0, 1, 155, 255]


def test_transparent_pixels_show_white(tmp_path):
    Image.fromarray(np.array([[[255, 0, 0, 0], [255, 0, 0, 255]]], dtype=np.uint8)).save(tmp_path / "a.png")
    assert np.asarray(read_image(tmp_path / "a.png")).tolist() == [[[255, 255, 255], [255, 0, 0]]]
    palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "L").convert("P")
    palette.putpalette([9, 9, 9, 30, 60, 90])
    palette.save(tmp_path / "b.png", transparency=0)
    assert np.asarray(read_image(tmp_path / "b.png")).tolist() == [[[255, 255, 255], [30, 60, 90]]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_their_exif_entry_says(tmp_path, orientation):
    image, exif = random_image(24, 16), Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    pixels = np.asarray(image)
    turned = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(pixels),
    }
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.png")), turned[orientation])
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.png", upright=False)), pixels)


def test_class_numbers_are_read_from_grey_values_and_palettes(tmp_path):
    values = np.array([[0, 1, 2], [3, 1, 0]], dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "grey.png")
    palette = Image.fromarray(values)
    palette.putpalette(bytes(range(255, -1, -1)) * 3)
    palette.save(tmp_path / "palette.png")
    for name in ("grey.png", "palette.png"):
        assert np.array_equal(np.asarray(read_grey(tmp_path / name)), values)


def bmp_header(width: int, height: int) -> bytes:
    fields = [(40, 4), (width, 4), (height, 4), (1, 2), (24, 2), (0, 4), (0, 4), (0, 4), (0, 4), (0, 4), (0, 4)]
    return b"BM" + b"\0" * 8 + (54).to_bytes(4, "little") + b"".join(n.to_bytes(size, "little") for n, size in fields)


@pytest.mark.parametrize("side", [9000, 60000])
def test_images_that_would_fill_the_memory_are_refused(tmp_path, side):
    (tmp_path / "bomb.bmp").write_bytes(bmp_header(side, side))
    for read in (check_image, read_image):
        with pytest.raises(ValueError, match=rf"bomb\.bmp cannot be read as an image: .*{reading.MAX_PIXELS}"):
            read(tmp_path / "bomb.bmp")


def test_the_largest_allowed_image_is_read(tmp_path, monkeypatch):
    random_image(20, 10).save(tmp_path / "a.png")
    monkeypatch.setattr(reading, "MAX_PIXELS", 200)
    assert read_image(tmp_path / "a.png").size == (20, 10)
    monkeypatch.setattr(reading, "MAX_PIXELS", 199)
    with pytest.raises(ValueError, match="20 x 10 pixels; allowed: 199"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp"])
def test_damage_anywhere_is_a_value_error_that_names_the_file(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    random_image(40, 40).save(path)
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        try:
            read_image(path)
        except ValueError as error:
            assert str(path) in str(error)
    for _ in range(200):
        damaged = bytearray(whole)
        for place in generator.integers(0, len(whole), 5):
            damaged[place] = generator.integers(256)
        path.write_bytes(bytes(damaged))
        try:
            read_image(path)
        except ValueError as error:
            assert str(path) in str(error)


def test_only_plain_formats_are_opened(tmp_path):
    random_image(4, 4).save(tmp_path / "a.tiff")
    (tmp_path / "a.tiff").rename(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image"):
        read_image(tmp_path / "a.png")
    random_image(4, 4).save(tmp_path / "b.gif")
    assert read_image((tmp_path / "b.gif").rename(tmp_path / "b.jpg")).size == (4, 4)


def test_images_are_listed_by_suffix_at_any_depth(tmp_path):
    (tmp_path / "b" / "c.png").mkdir(parents=True)
    for name in ("z.PNG", "a.jpeg", "b/d.webp", "b/c.png/e.bmp", "b/notes.txt"):
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["a.jpeg", "b/c.png/e.bmp", "b/d.webp", "z.PNG"]
