"""The readers of published benchmarks, each on a tiny folder in the original format."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import OxfordIIITPet, VOCDetection

import datamodules.images
from datamodules.images import CUB, VOC, WSOL, ImageFolder, ImageNetLocalization, Imagenette, Pets
from datamodules.images.imagenet_classes import imagenet_classes, synset_labels
from datamodules.images.voc_xml import read_voc_xml
from tests.datamodules.images.toys import random_image
from tests.paths import SHARED

SIZE = {"image_size": 32, "batch_size": 2}


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def save(path, width=40, height=20, mode="RGB", seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    random_image(width, height, seed).convert(mode).save(path)


def xml(objects, width=40, height=20):
    found = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult>"
        "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
        f"<bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for name, difficult, x0, y0, x1, y1 in objects
    )
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>a.jpg</filename>{size}{found}</annotation>"


def imagenet(root):
    for number, (mode, synset) in enumerate([("RGB", "n02123159"), ("L", "n01440764"), ("CMYK", "n02123159")], 1):
        name = f"ILSVRC2012_val_{number:08}"
        save(root / f"ILSVRC/Data/CLS-LOC/val/{name}.JPEG", mode=mode)
        objects = [(synset, 0, 1, 1, 40, 20), (synset, 0, 11, 6, 20, 10)][: 1 + number % 2]
        write(root / f"ILSVRC/Annotations/CLS-LOC/val/{name}.xml", xml(objects))
    return ImageNetLocalization


def wsol_boxes(root):
    for split, names in {"train": "abc", "val": "de", "test": "fg"}.items():
        ids = [f"{label % 2 + 1:03}.Bird_{label % 2}/{name}.jpg" for label, name in enumerate(names)]
        for image in ids:
            save(root / "dataset/CUB" / image)
        folder = root / "metadata/CUB" / split
        write(folder / "image_ids.txt", "\n".join(ids) + "\n")
        write(folder / "class_labels.txt", "".join(f"{image},{label % 2}\n" for label, image in enumerate(ids)))
        write(folder / "image_sizes.txt", "".join(f"{image},80,40\n" for image in ids))
        if split != "train":
            places = [f"{ids[0]},0,0,39,19", f"{ids[0]},20,10,59,29", f"{ids[1]},40,20,79,39"]
            write(folder / "localization.txt", "\n".join(places) + "\n")
    return WSOL


def wsol_masks(root):
    wsol_boxes(root)
    (root / "metadata/CUB").rename(root / "metadata/OpenImages")
    (root / "dataset/CUB").rename(root / "dataset/OpenImages")
    first, second, ignored = (np.zeros((20, 40), dtype=np.uint8) for _ in range(3))
    first[:10, :10], second[5:15, 5:15], ignored[:, 5:20] = 255, 255, 255
    for name, mask in (("1", first), ("2", second), ("ignore", ignored)):
        (root / "dataset/OpenImages/masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(root / f"dataset/OpenImages/masks/{name}.png")
    for split in ("val", "test"):
        a, b = (root / f"metadata/OpenImages/{split}/image_ids.txt").read_text().split()
        write(
            root / f"metadata/OpenImages/{split}/localization.txt",
            f"{a},masks/1.png,masks/ignore.png\n{a},masks/2.png,\n{b},masks/1.png,\n",
        )
    return WSOL


def cub(root):
    names = [f"{label:03}.Sooty_Bird_{label}/Sooty_{number}.jpg" for number, label in enumerate([1, 2, 1, 2, 1])]
    for number, name in enumerate(names):
        save(root / "images" / name, mode="L" if number == 2 else "RGB")
    rows = list(enumerate(names, 1))
    write(root / "images.txt", "".join(f"{i} {name}\n" for i, name in rows))
    write(root / "classes.txt", "1 001.Sooty_Bird_1\n2 002.Sooty_Bird_2\n")
    write(root / "image_class_labels.txt", "".join(f"{i} {int(name[:3])}\n" for i, name in rows))
    write(root / "bounding_boxes.txt", "".join(f"{i} 10.0 5.0 20.0 {i}.5\n" for i, _ in rows))
    write(root / "train_test_split.txt", "1 1\n2 1\n3 1\n4 0\n5 0\n")
    return CUB


def voc(root):
    base = root / "VOCdevkit/VOC2012"
    annotations = {
        "a": [("dog", 0, 1, 1, 20, 10), ("person", 1, "11.5", "6.0", "40", "20")],
        "b": [("person", 0, 1, 1, 10, 20), ("person", 1, 21, 1, 40, 20)],
        "c": [("car", 1, 5, 5, 10, 10)],
    }
    annotations["d"] = annotations["a"]
    for name, objects in annotations.items():
        save(base / f"JPEGImages/{name}.jpg")
        write(base / f"Annotations/{name}.xml", xml(objects))
    write(base / "ImageSets/Main/train.txt", "a\nb\n")
    write(base / "ImageSets/Main/val.txt", "d\nc\n")
    return VOC


def pets(root):
    trimap = np.full((20, 40), 2, dtype=np.uint8)
    trimap[4:16, 8:30], trimap[5:15, 10:28] = 3, 1
    names = ["Abyssinian_1", "american_bulldog_7", "yorkshire_terrier_2", "Abyssinian_3", "pug_5"]
    for name, mode in zip(names, ["RGB", "L", "CMYK", "RGB", "RGB"], strict=True):
        save(root / f"images/{name}.jpg", mode=mode)
        (root / "annotations/trimaps").mkdir(parents=True, exist_ok=True)
        Image.fromarray(trimap).save(root / f"annotations/trimaps/{name}.png")
    write(
        root / "annotations/trainval.txt", "Abyssinian_1 1 1 1\namerican_bulldog_7 2 2 1\nyorkshire_terrier_2 37 2 25\n"
    )
    write(root / "annotations/test.txt", "Abyssinian_3 1 1 1\npug_5 26 2 18\n")
    return Pets


def imagenette(root):
    for split, number in (("train", 3), ("val", 2)):
        for synset in ("n03888257", "n01440764", "n02102040"):
            for index in range(number):
                save(root / split / synset / f"{synset}_{index}.JPEG", mode="L" if index == 1 else "RGB", seed=index)
    return Imagenette


def image_folder(root):
    for name, suffix, mode in [("cat", "png", "RGBA"), ("dog", "jpg", "CMYK"), ("bee", "bmp", "L")]:
        for index in range(4):
            save(root / name / f"{index}.{suffix}", width=10 + index, mode=mode, seed=index)
    return ImageFolder


BENCHMARKS = {
    "ImageNetLocalization": (imagenet, {"num_val": 1}),
    "WSOL with boxes": (wsol_boxes, {"dataset": "CUB"}),
    "WSOL with masks": (wsol_masks, {"dataset": "OpenImages"}),
    "CUB": (cub, {"num_val": 1}),
    "VOC": (voc, {}),
    "Pets": (pets, {"num_val": 1}),
    "Imagenette": (imagenette, {"num_val": 2}),
    "ImageFolder": (image_folder, {}),
}


def ready(root, make, **arguments):
    datamodule = make(root)(root=str(root), **SIZE, **arguments)
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


@pytest.fixture(params=BENCHMARKS)
def benchmark(request, tmp_path):
    make, arguments = BENCHMARKS[request.param]
    return ready(tmp_path, make, **arguments)


def test_every_split_gives_batches_in_the_agreed_form(benchmark):
    for split, samples in benchmark.datasets.items():
        if not len(samples):
            assert (type(benchmark).__name__, split) == ("ImageNetLocalization", "train")
            continue
        batch = benchmark.collate(list(samples))
        number = len(samples)
        assert batch["image"].shape == (number, 3, 32, 32) and batch["image"].dtype == torch.float32
        assert batch["size"].shape == (number, 2) and batch["index"].tolist() == list(range(number))
        classes = len(benchmark.class_names)
        if batch["label"].dim() == 2:
            assert batch["label"].shape == (number, classes) and batch["label"].dtype == torch.float32
        else:
            assert batch["label"].dtype == torch.int64 and batch["label"].max() < classes
        if "boxes" in batch:
            most = int(batch["num_boxes"].max())
            assert batch["boxes"].shape == (number, most, 4) and batch["boxes"].dtype == torch.float32
            assert batch["box_label"].shape == (number, most) and batch["box_label"].dtype == torch.int64
            for boxes, labels, valid in zip(batch["boxes"], batch["box_label"], batch["num_boxes"], strict=True):
                assert (boxes[:valid, :2] < boxes[:valid, 2:]).all() and boxes.min() >= 0 and boxes.max() <= 32
                assert (labels[:valid] >= 0).all() and (labels[valid:] == -1).all() and not boxes[valid:].any()
        if "mask" in batch:
            assert batch["mask"].shape == (number, 32, 32) and batch["mask"].dtype == torch.uint8
            assert set(batch["mask"].unique().tolist()) <= {0, 1, 255}


def test_no_image_is_in_two_splits(benchmark):
    paths = {split: {record.path for record in samples.records} for split, samples in benchmark.datasets.items()}
    assert not paths["train"] & paths["test"]
    assert not paths["train"] & paths["val"]
    assert isinstance(benchmark, VOC) or not paths["val"] & paths["test"]


def test_metadata_is_plain_and_notices_changes(benchmark):
    metadata = benchmark.metadata()
    assert json.loads(json.dumps(metadata)) == metadata and len(metadata["sha256"]) == 64
    assert metadata["licence"] and str(benchmark.root) not in json.dumps(metadata)
    again = type(benchmark)(**benchmark.hparams)
    again.setup()
    assert again.metadata() == metadata
    with open(again.datasets["test"].records[0].path, "ab") as file:
        file.write(b"more")
    again = type(benchmark)(**benchmark.hparams)
    again.setup()
    assert again.metadata()["sha256"] != metadata["sha256"]


def test_held_out_images_are_a_function_of_the_seed(tmp_path):
    def names(seed):
        datamodule = ready(tmp_path, imagenette, num_val=4, seed=seed)
        return [record.path.name for record in datamodule.datasets["val"].records]

    assert names(0) == names(0) != names(1)


def test_workers_do_not_change_batches(tmp_path):
    loaders = [ready(tmp_path, cub, num_val=1, num_workers=number).test_dataloader() for number in (0, 1)]
    for left, right in zip(*loaders, strict=True):
        assert left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize("name", [name for name in datamodules.images.__all__ if name != "ShapeTex"])
def test_a_missing_folder_is_answered_by_the_expected_files(tmp_path, name):
    benchmark = getattr(datamodules.images, name)
    with pytest.raises(ValueError, match=r"root is None; give the folder[^;]*; expected in root:\n.*\S"):
        benchmark().setup()
    with pytest.raises((FileNotFoundError, ValueError), match=r"(?s)expected in root:\n.*(jpg|JPEG|txt)") as caught:
        benchmark(root=str(tmp_path)).setup()
    assert "Args:" not in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "name", [name for name in datamodules.images.__all__ if name not in ("CUB", "WSOL", "ImageFolder", "ShapeTex")]
)
def test_users_images_are_predicted_without_the_benchmark(tmp_path, name):
    save(tmp_path / "mine.png")
    datamodule = getattr(datamodules.images, name)(predict_path=str(tmp_path))
    datamodule.prepare_data()
    datamodule.setup("predict")
    assert datamodule.predict_ids == ["mine.png"] and len(datamodule.target_names) in (20, 37, 1000)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_missing_image_is_named(tmp_path, name):
    make, arguments = BENCHMARKS[name]
    datamodule = ready(tmp_path, make, **arguments)
    path = datamodule.datasets["test"].records[0].path
    if name in ("Imagenette", "ImageFolder"):
        return  # these are what the folders hold
    path.unlink()
    with pytest.raises(FileNotFoundError, match=rf"{path.name} is missing; .* is never downloaded; expected in root"):
        type(datamodule)(**datamodule.hparams).setup()


def test_a_damaged_image_is_named(tmp_path):
    datamodule = ready(tmp_path, cub, num_val=1)
    datamodule.datasets["test"].records[0].path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"Sooty_3\.jpg cannot be read as an image"):
        datamodule.datasets["test"][0]


# ImageNet


def test_there_are_a_thousand_classes_in_the_order_of_their_synsets():
    classes = imagenet_classes()
    assert len(classes) == len(set(classes.values())) == 1000 and list(classes) == sorted(classes)
    assert [list(classes.values())[label] for label in (0, 285, 967, 999)] == [
        "tench", "Egyptian cat", "espresso", "toilet tissue",
    ]  # fmt: skip


@pytest.mark.skipif(SHARED is None, reason="the list of class names is not at hand")
def test_class_names_are_the_published_ones():
    published = (SHARED / "data/eigencam/imagenet_classes.txt").read_text().splitlines()
    ours = list(imagenet_classes().values())
    assert {(a, b) for a, b in zip(published, ours, strict=True) if a != b} == {
        ("crane", "crane bird"), ("maillot", "maillot tank suit"),
    }  # fmt: skip


def test_imagenet_boxes_count_from_one_and_labels_are_ranks(tmp_path):
    datamodule = ready(tmp_path, imagenet)
    batch = datamodule.collate(list(datamodule.datasets["test"]))
    assert batch["label"].tolist() == [282, 0, 282] and batch["num_boxes"].tolist() == [2, 1, 2]
    assert batch["boxes"][0].tolist() == [[0, 0, 32, 32], [8, 8, 16, 16]]
    assert datamodule.class_names[282] == "tiger cat" and batch["size"].tolist() == [[20, 40]] * 3


def test_an_unknown_synset_is_refused(tmp_path):
    imagenet(tmp_path)
    write(tmp_path / "ILSVRC/Annotations/CLS-LOC/val/ILSVRC2012_val_00000001.xml", xml([("cat", 0, 1, 1, 2, 2)]))
    with pytest.raises(ValueError, match=r"00000001\.xml names the objects \['cat'\]"):
        ImageNetLocalization(root=str(tmp_path)).setup()


# WSOL


def test_wsol_boxes_are_taken_as_they_are_and_scaled_by_the_listed_size(tmp_path):
    datamodule = ready(tmp_path, wsol_boxes, dataset="CUB")
    batch = datamodule.collate(list(datamodule.datasets["test"]))
    listed = np.array([[[0, 0, 39, 19], [20, 10, 59, 29]], [[40, 20, 79, 39], [0, 0, 0, 0]]])
    np.testing.assert_allclose(batch["boxes"].numpy(), listed * [0.4, 0.8, 0.4, 0.8], rtol=1e-6)
    assert batch["label"].tolist() == [0, 1] and datamodule.class_names == ["001.Bird_0", "002.Bird_1"]
    assert "boxes" not in datamodule.datasets["train"][0] and len(datamodule.datasets["train"]) == 3


def test_wsol_masks_are_unions_with_ignored_rest(tmp_path):
    datamodule = ready(tmp_path, wsol_masks, dataset="OpenImages")
    mask = datamodule.datasets["val"].records[0].read_mask()
    objects = np.zeros((20, 40), dtype=bool)
    objects[:10, :10] = objects[5:15, 5:15] = True
    expected = objects.astype(np.uint8)
    expected[:, 5:20][~objects[:, 5:20]] = 255
    assert np.array_equal(mask, expected)
    assert set(np.unique(datamodule.datasets["val"].records[1].read_mask())) == {0, 1}


def test_wsol_needs_no_training_images_to_evaluate(tmp_path):
    wsol_boxes(tmp_path)
    (tmp_path / "metadata/CUB/train").rename(tmp_path / "elsewhere")
    datamodule = WSOL(root=str(tmp_path), dataset="CUB", **SIZE)
    datamodule.setup()
    assert len(datamodule.datasets["train"]) == 0 and len(datamodule.datasets["test"]) == 2


def test_wsol_lists_must_agree(tmp_path):
    wsol_boxes(tmp_path)
    (tmp_path / "metadata/CUB/test/localization.txt").write_text("001.Bird_0/f.jpg,0,0,39,19\n")
    with pytest.raises(ValueError, match=r"localization\.txt lacks 002\.Bird_1/g\.jpg"):
        WSOL(root=str(tmp_path), dataset="CUB").setup()
    (tmp_path / "metadata/CUB/test/localization.txt").write_text("001.Bird_0/f.jpg,0,0,39,high\n")
    with pytest.raises(ValueError, match=r"localization\.txt, line 1: .*high' is no row of str, int"):
        WSOL(root=str(tmp_path), dataset="CUB").setup()
    with pytest.raises(ValueError, match="dataset='Birds' is not allowed; give one of 'ILSVRC'"):
        WSOL(dataset="Birds")


# CUB


def test_cub_boxes_are_corner_and_extent(tmp_path):
    datamodule = ready(tmp_path, cub, num_val=1)
    batch = datamodule.collate(list(datamodule.datasets["test"]))
    scale = torch.tensor([32 / 40, 32 / 20] * 2)
    torch.testing.assert_close(batch["boxes"][:, 0], torch.tensor([[10, 5, 30, 9.5], [10, 5, 30, 10.5]]) * scale)
    assert batch["label"].tolist() == [1, 0] and batch["box_label"].tolist() == [[1], [0]]
    assert datamodule.class_names == ["Sooty Bird 1", "Sooty Bird 2"]
    assert [len(datamodule.datasets[split]) for split in ("train", "val", "test")] == [2, 1, 2]
    with pytest.raises(ValueError, match="3 of 3 images cannot be held out"):
        CUB(root=str(tmp_path), num_val=3).setup()


# VOC


def test_voc_is_read_as_by_torchvision(tmp_path):
    datamodule = ready(tmp_path, voc)
    for split, image_set in (("train", "train"), ("val", "val"), ("test", "val")):
        peer = VOCDetection(str(tmp_path), year="2012", image_set=image_set)
        for sample, (image, target) in zip(datamodule.datasets[split], peer, strict=True):
            objects = target["annotation"]["object"]
            boxes = [[float(found["bndbox"][side]) for side in ("xmin", "ymin", "xmax", "ymax")] for found in objects]
            expected = (torch.tensor(boxes) - torch.tensor([1, 1, 0, 0])) * torch.tensor([32 / 40, 32 / 20] * 2)
            torch.testing.assert_close(sample["boxes"], expected)
            assert [datamodule.class_names[label] for label in sample["box_label"]] == [o["name"] for o in objects]
            assert sample["difficult"].tolist() == [found["difficult"] == "1" for found in objects]
            present = {datamodule.class_names[label] for label in sample["label"].nonzero().reshape(-1)}
            assert present == {found["name"] for found in objects}
            assert sample["size"].tolist() == [image.height, image.width]


def test_difficult_objects_may_be_left_out(tmp_path):
    datamodule = ready(tmp_path, voc, difficult=False)
    batch = datamodule.collate(list(datamodule.datasets["val"]))
    assert batch["num_boxes"].tolist() == [1, 0] and not batch["difficult"].any()
    assert batch["label"].sum(1).tolist() == [1, 0] and batch["label"][0, 11] == 1
    batch = datamodule.collate(list(datamodule.datasets["train"]))
    assert batch["label"][1].nonzero().tolist() == [[14]] and batch["num_boxes"].tolist() == [1, 1]


@pytest.mark.parametrize(
    "text", ["", "no xml", "<annotation><object></object></annotation>", xml([("dog", 0, "a", 1, 2, 3)])]
)
def test_a_bad_annotation_is_named(tmp_path, text):
    voc(tmp_path)
    write(tmp_path / "VOCdevkit/VOC2012/Annotations/a.xml", text)
    with pytest.raises(ValueError, match=r"a\.xml is no annotation in the format of VOC"):
        VOC(root=str(tmp_path)).setup()


def test_annotations_that_expand_without_end_are_refused(tmp_path):
    entities = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(12))
    write(tmp_path / "a.xml", f'<!DOCTYPE a [<!ENTITY e0 "many">{entities}]><annotation>&e12;</annotation>')
    with pytest.raises(ValueError, match=r"a\.xml is no annotation"):
        read_voc_xml(tmp_path / "a.xml")


def test_boxes_are_scaled_by_the_size_of_the_annotation(tmp_path):
    voc(tmp_path)
    write(tmp_path / "VOCdevkit/VOC2012/Annotations/a.xml", xml([("dog", 0, 1, 1, 40, 20)], width=80, height=40))
    datamodule = VOC(root=str(tmp_path), **SIZE)
    datamodule.setup()
    assert datamodule.datasets["train"][0]["boxes"].tolist() == [[0, 0, 16, 16]]


def test_other_years_and_classes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="year=2013 is not allowed"):
        VOC(year=2013)
    voc(tmp_path)
    write(tmp_path / "VOCdevkit/VOC2012/Annotations/a.xml", xml([("unicorn", 0, 1, 1, 2, 2)]))
    with pytest.raises(ValueError, match=r"a\.xml names the object 'unicorn'"):
        VOC(root=str(tmp_path)).setup()


# Pets


def test_pets_are_read_as_by_torchvision(tmp_path):
    datamodule = ready(tmp_path / "oxford-iiit-pet", pets, num_val=1)
    peer = OxfordIIITPet(str(tmp_path), split="test", target_types=["category", "segmentation"])
    for record, (_, (_, trimap)) in zip(datamodule.datasets["test"].records, peer, strict=True):
        values = np.asarray(trimap)
        mask = record.read_mask()
        assert (mask == 1).sum() == (values == 1).sum() == 180
        assert np.array_equal(mask == 0, values == 2) and np.array_equal(mask == 255, values == 3)
    batch = datamodule.collate(list(datamodule.datasets["test"]))
    assert batch["label"].tolist() == [0, 25] and datamodule.class_names[25] == "Pug"
    torch.testing.assert_close(batch["boxes"][0, 0], torch.tensor([10 * 0.8, 5 * 1.6, 28 * 0.8, 15 * 1.6]))


def test_breeds_are_torchvisions(tmp_path):
    names = [name.replace(" ", "_") for name in Pets().class_names]
    (tmp_path / "oxford-iiit-pet/images").mkdir(parents=True)
    rows = "".join(f"{name}_1 {number} 1 1\n" for number, name in enumerate(names, 1))
    write(tmp_path / "oxford-iiit-pet/annotations/trainval.txt", rows)
    assert OxfordIIITPet(str(tmp_path)).classes == Pets().class_names and len(names) == 37


def test_a_mask_that_is_no_trimap_is_named(tmp_path):
    datamodule = ready(tmp_path, pets, num_val=1)
    Image.new("L", (40, 20), 7).save(tmp_path / "annotations/trimaps/pug_5.png")
    with pytest.raises(ValueError, match=r"pug_5\.png has the value 7; a trimap has 1, 2 and 3"):
        datamodule.datasets["test"][1]
    (tmp_path / "annotations/trimaps/pug_5.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"pug_5\.png is missing"):
        Pets(root=str(tmp_path), num_val=1).setup()


# Imagenette and folders


def test_imagenette_labels_are_those_of_imagenet(tmp_path):
    datamodule = ready(tmp_path, imagenette, num_val=2)
    batch = datamodule.collate(list(datamodule.datasets["test"]))
    assert batch["label"].tolist() == [0, 0, 217, 217, 701, 701]
    published = [0, 217, 482, 491, 497, 566, 569, 571, 574, 701]
    assert [label for synset, label in synset_labels().items() if synset in (Imagenette.__doc__ or "")] == published
    (tmp_path / "train/cats").mkdir()
    with pytest.raises(ValueError, match=r"cats is none of the 1000 synsets"):
        Imagenette(root=str(tmp_path)).setup()


def test_a_folder_of_classes_is_split_at_random(tmp_path):
    datamodule = ready(tmp_path, image_folder, val_fraction=0.25, test_fraction=0.5)
    assert datamodule.class_names == ["bee", "cat", "dog"]
    assert {split: len(samples) for split, samples in datamodule.datasets.items()} == {"train": 3, "val": 3, "test": 6}
    for samples in datamodule.datasets.values():
        for record in samples.records:
            assert datamodule.class_names[record.label] == record.path.parent.name


def test_folders_of_splits_are_used_as_they_are(tmp_path):
    for split, names in {"train": "aab", "test": "b"}.items():
        for index, name in enumerate(names * 4):
            save(tmp_path / split / name / f"{index}.png")
    datamodule = ImageFolder(root=str(tmp_path), **SIZE)
    datamodule.setup()
    sizes = {split: len(samples) for split, samples in datamodule.datasets.items()}
    assert sizes == {"train": 11, "val": 1, "test": 4}
    assert [sample["label"].item() for sample in datamodule.datasets["test"]] == [1, 1, 1, 1]


def test_images_without_classes_are_all_test_images(tmp_path):
    for index in range(3):
        save(tmp_path / f"{index}.png")
    datamodule = ImageFolder(root=str(tmp_path), **SIZE)
    datamodule.setup()
    (first, second) = datamodule.test_dataloader()
    assert "label" not in first and len(second["image"]) == 1 and datamodule.class_names == []
    with pytest.raises(ValueError, match="no images in the split 'train'"):
        datamodule.train_dataloader()


def test_fractions_are_checked():
    for name in ("val_fraction", "test_fraction"):
        with pytest.raises(ValueError, match=rf"{name}=1\.0 is not allowed"):
            ImageFolder(**{name: 1.0})
