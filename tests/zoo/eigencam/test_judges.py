"""Every metric gets what it needs, and images without an object do not count where its place matters."""

import pytest
import torch
from torchmetrics import MetricCollection

from zoo.eigencam.judges import JUDGES, Accuracy, judge, map_metrics
from zoo.eigencam.localization import MaxBoxAcc


def batch(size=4):
    generator = torch.Generator().manual_seed(0)
    boxes = torch.tensor([2.0, 3.0, 10.0, 12.0]).repeat(size, 1, 1)
    mask = torch.zeros(size, 16, 16, dtype=torch.uint8)
    mask[:, 3:12, 2:10] = 1
    return {
        "image": torch.randn(size, 3, 16, 16, generator=generator),
        "label": torch.arange(size) % 3,
        "boxes": boxes,
        "num_boxes": torch.ones(size, dtype=torch.int64),
        "mask": mask,
    }


def network(images):
    return images.mean((2, 3))


def explain(images):
    return images.abs().mean(1)


def judged(judged_by, batch, maps, multilabel=False):
    metrics = MetricCollection(
        {"accuracy": Accuracy(), **map_metrics(judged_by, None, multilabel)}, compute_groups=False
    )
    judge(metrics, judged_by, maps, batch, network(batch["image"]), network, explain)
    return {name: value.item() for name, value in metrics.compute().items()}


def test_all_judges():
    entries = batch()
    found = judged(JUDGES, entries, entries["mask"].float())
    assert found["max_box_acc"] == found["gt_known"] == found["pixel_ap"] == found["pointing"] == 1
    assert found["energy_pointing"] == 1
    assert {"average_drop", "average_increase", "insertion", "deletion", "road", "adcc", "loc1"} <= found.keys()
    assert all(torch.isfinite(torch.tensor(value)) for value in found.values())


def test_images_without_an_object_only_count_for_their_class():
    entries = batch()
    maps = entries["mask"].float()
    entries["num_boxes"][1] = 0
    maps[1] = 1 - maps[1]  # wrong, had there been an object
    entries["label"] = network(entries["image"]).argmax(1)
    entries["label"][1] = (entries["label"][1] + 1) % 3
    found = judged(["boxes"], entries, maps)
    assert found["max_box_acc"] == 1
    assert found["accuracy"] == 0.75
    assert judged(["boxes", "masks"], entries, maps)["pixel_ap"] == 1


def test_several_labels():
    entries = batch()
    entries["label"] = torch.zeros(4, 3).scatter_(1, network(entries["image"]).argmax(1, keepdim=True), 1.0)
    entries["label"][0] = 0
    entries["label"][1] = 1
    found = judged(["boxes"], entries, entries["mask"].float(), multilabel=True)
    assert found["accuracy"] == 0.75
    assert "loc1" not in found and found["gt_known"] == 1


@pytest.mark.parametrize(("kind", "entry"), [("boxes", "boxes"), ("masks", "mask")])
def test_what_the_data_lacks_is_named(kind, entry):
    entries = batch()
    del entries[entry]
    with pytest.raises(ValueError, match=rf"judged_by=.* no '{entry}'"):
        judged([kind], entries, torch.rand(4, 16, 16))


def test_the_resolution_is_that_of_the_protocol():
    assert isinstance(map_metrics(["boxes"], 224, False)["boxes"], MaxBoxAcc)
    assert map_metrics(["boxes"], 224, False)["boxes"].resolution == 224
    assert map_metrics([], None, False) == {}
