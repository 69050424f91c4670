"""Maps of a user's own images, folders and videos, by a network of the user's choice, as pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

import checkpoints
from checkpoints.files import write_file
from datamodules.images.geometry import Resize
from datamodules.images.module import ImageDataModule
from datamodules.images.normalization import NORMALIZATIONS, Normalization
from datamodules.images.reading import SUFFIXES, list_images, read_image
from datamodules.images.video import VIDEO_SUFFIXES, read_frames
from trainers.predict import PATIENCE, build_datamodule
from zoo.checks import require_choice
from zoo.eigencam.cam import eigen_cam
from zoo.eigencam.figures import components, overlay
from zoo.eigencam.module import EigenCAM
from zoo.eigencam.settings import read_settings
from zoo.eigencam.view import View


class NamedImage(NamedTuple):
    """A picture to be explained."""

    name: str
    image: Image.Image


def read_pictures(path: str | Path, every: int = 1) -> Iterator[NamedImage]:
    """Read an image, the images of a folder, or the frames of a video.

    Args:
        path: an image file, a folder, or a video file.
        every: of a video, take every n-th frame.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: the folder holds no image, or a file cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        files = list_images(path)
        if not files:
            raise ValueError(f"the folder {path} holds no image; allowed: files ending in {', '.join(SUFFIXES)}")
        for file in files:
            yield NamedImage(file.relative_to(path).with_suffix("").as_posix().replace("/", "_"), read_image(file))
    elif path.suffix.lower() in VIDEO_SUFFIXES:
        for number, frame in enumerate(read_frames(path, every)):
            yield NamedImage(f"{path.stem}_{number * every:06d}", frame)
    else:
        yield NamedImage(path.stem, read_image(path))


def build_module(
    model: str | None,
    checkpoint: str | None,
    *,
    weights: str | None = None,
    num_classes: int | None = None,
    layers: list[str] | None = None,
    settings: dict[str, Any] | None = None,
    threshold: float = 0.5,
    size: int = 224,
    normalization: str = "imagenet",
) -> tuple[EigenCAM, int, Normalization]:
    """Return a network with its map, in evaluation mode, and how it wants its images.

    Args:
        model: name of a network of torchvision, or "timm:<name>"; None takes a checkpoint.
        checkpoint: name, folder or hub id of a checkpoint of Eigen-CAM; it says itself how it wants its images.
        weights: with `model`: see `zoo.eigencam.wrapping.load_weights`; None leaves random ones.
        num_classes: with `model`: number of classes, if not the builder's own.
        layers: see `EigenCAM`.
        settings: see `EigenCAM`.
        threshold: see `EigenCAM`.
        size: with `model`: height and width of its images.
        normalization: with `model`: of its images, see `datamodules.images.normalization`.

    Raises:
        ValueError: an argument is not allowed, or the checkpoint is of another method.
    """
    if model is not None:
        require_choice("normalization", normalization, tuple(NORMALIZATIONS))
        kind, _, name = model.rpartition(":")
        kwargs = {"name": name} | ({} if num_classes is None else {"num_classes": num_classes})
        module = EigenCAM(kind or "torchvision", kwargs, None, weights, False, layers, settings, threshold=threshold)
        return module.eval(), size, NORMALIZATIONS[normalization]
    assert checkpoint is not None  # the command line asks for one of them
    loaded = checkpoints.load(checkpoint)
    if not isinstance(loaded, EigenCAM):
        raise ValueError(f"checkpoint={checkpoint!r} is of method {loaded.method!r}; give one of 'eigencam'")
    datamodule = build_datamodule(checkpoint)
    assert isinstance(datamodule, ImageDataModule)  # what Eigen-CAM is trained on
    loaded.view = View(loaded.network, layers or loaded.view.layers)
    loaded.maps[""] = read_settings("settings", settings)
    loaded.threshold = threshold
    return loaded, datamodule.image_size, datamodule.normalization


def draw_pictures(
    module: EigenCAM,
    pictures: Iterator[NamedImage],
    out: str | Path,
    *,
    normalization: Normalization,
    size: int = 224,
    target: int | None = None,
    num_components: int = 0,
    batch_size: int = 16,
) -> list[Path]:
    """Write each picture under its heatmap with the box of what stands out, and a table of all.

    Args:
        module: the network and its map.
        pictures: from `read_pictures`.
        out: a .png file for a single picture, with the table beside it; else a folder, with the table maps.csv in it.
        normalization: of the network's images.
        size: height and width to which pictures are warped for the network.
        target: class of class-aware maps; None takes each picture's predicted one.
        num_components: also draw so many principal components of each picture's activations, as <name>_components.png.
        batch_size: pictures per forward pass, > 0.

    Returns:
        The files that were written, the table last.

    Raises:
        ValueError: `out` is a file for several pictures, or a picture cannot be read.
    """
    out, single = Path(out), Path(out).suffix.lower() == ".png"
    (out.parent if single else out).mkdir(parents=True, exist_ok=True)
    resize, written = Resize(size), list[Path]()
    rows: list[list[Any]] = []
    for batch in tqdm(_batches(pictures, batch_size), desc="maps", unit="batch", delay=PATIENCE):
        if single and (len(batch) > 1 or rows):
            raise ValueError(f"out={str(out)!r} is one file for several pictures; give a folder")
        pixels = torch.stack([resize.image(picture.image) for picture in batch]).float() / 255
        images = normalization.normalize(pixels).to(next(module.network.parameters()).device)
        frame = torch.stack([resize.frame(picture.image.height, picture.image.width) for picture in batch])
        classes = None if target is None else torch.full((len(batch),), target, device=images.device)
        with torch.no_grad():
            prediction = module.look(images, classes, frame)
        columns = module.tabulate(prediction)
        for number, picture in enumerate(batch):
            path = out if single else out / f"{picture.name}.png"
            box = prediction["boxes"][number].tolist()
            written.append(_save(overlay(picture.image, prediction["heatmap"][number], box), path))
            if num_components:
                figure = _components(module, images[number : number + 1], num_components)
                written.append(_save(figure, path.with_name(f"{path.stem}_components.png")))
            values = (column[number] for column in columns.values())
            rows.append([picture.name, *(value.item() if isinstance(value, Tensor) else value for value in values)])
    table = out.with_suffix(".csv") if single else out / "maps.csv"
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([["image", *columns], *rows])
    write_file(table, stream.getvalue().encode())
    return [*written, table]


def _batches(pictures: Iterator[NamedImage], size: int) -> Iterator[list[NamedImage]]:
    while batch := list(islice(pictures, size)):
        yield batch


def _components(module: EigenCAM, image: Tensor, number: int) -> Figure:
    settings = module.maps[""]
    activations = module.view.observe(image, [settings]).activations[0]
    maps = eigen_cam(activations, mode=settings.mode, sign=settings.sign or "energy", rank=number)
    return components(image[0].cpu(), maps.maps[0].cpu(), maps.explained[0].cpu())


def _save(picture: Image.Image | Figure, path: Path) -> Path:
    stream = io.BytesIO()
    if isinstance(picture, Figure):
        picture.savefig(stream, format="png", dpi=150)
    else:
        picture.save(stream, format="PNG")
    write_file(path, stream.getvalue())
    return path
