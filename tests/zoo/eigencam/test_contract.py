"""Eigen-CAM keeps the contract of every method, around its own network and around one of torchvision's."""

from typing import ClassVar

import torch

from datamodules.images import ShapeTex
from datamodules.images.shapetex import CLASSES
from tests.contract.method import MethodContract


class EigenCAMContract(MethodContract):
    method = "eigencam"

    def datamodule(self):
        return ShapeTex(num_train=32, num_val=12, num_test=12, batch_size=8)

    def separate(self, batch):
        return [{key: value[index : index + 1] for key, value in batch.items()} for index in range(len(batch["image"]))]

    def network_inputs(self, batch):
        return (batch["image"],)

    def property_error(self, module, batch):
        """Largest change of a map when the classes lose their meaning: the map does not know them."""
        images = batch["image"].double()
        classes = torch.zeros(len(images), dtype=torch.int64)
        before = module.cam(images, classes)[1].raw[0]
        head = list(module.network.parameters())[-2]
        head.data = head.data.flip(0)
        after = module.cam(images, classes)[1].raw[0]
        return float((before - after).abs().max())

    def break_property(self, module):
        """Draw a map that depends on the class."""
        module.maps[""] = type(module.maps[""])(method="eigen-grad")


class TestOwnNetwork(EigenCAMContract):
    arguments: ClassVar = {
        "class_names": list(CLASSES),
        "network_kwargs": {"widths": [8, 16]},
        "compare": {"centred": {"mode": "centered"}, "Grad-CAM": {"method": "grad"}},
        "resolution": None,
        "schedule": "constant",
        "warmup_steps": 0,
        "lr": 1e-3,
    }
    bad_arguments: ClassVar = {
        "network": "eigencam-cnm",
        "network_kwargs": {"widths": [0]},
        "class_names": [],
        "weights": "IMAGENET1K_V9",
        "multilabel": "perhaps",
        "layers": [],
        "settings": {"method": "cam"},
        "compare": {"a/b": {}},
        "judged_by": ["taste"],
        "resolution": 0,
        "threshold": 1.0,
        "optimizer": "lion",
        "lr": 0.0,
        "weight_decay": -1.0,
        "schedule": "step",
        "warmup_steps": -1,
        "final_lr": 1.0,
    }


class TestTorchvisionNetwork(EigenCAMContract):
    arguments: ClassVar = {
        **TestOwnNetwork.arguments,
        "network": "torchvision",
        "network_kwargs": {"name": "shufflenet_v2_x0_5"},
        "compare": {},
    }
    bad_arguments: ClassVar = TestOwnNetwork.bad_arguments
