"""A small fixed classifier and inputs to explain, in float64 so that loops can be compared with."""

import torch
from torch import nn

SIZE = (12, 15)
CLASSES = 5


def classifier():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.AvgPool2d(3), nn.Flatten(), nn.Linear(6 * 4 * 5, CLASSES)
    )
    for parameter in network.parameters():
        parameter.data *= 3
    return network.double().eval()


def example(count=5, seed=0):
    """Return keyword arguments of the metrics' updates: smooth images, coarse heatmaps in [0, 1], classes."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 4, 5, generator=generator, dtype=torch.float64)
    images = nn.functional.interpolate(coarse, size=SIZE, mode="bicubic")
    maps = torch.rand(count, 4, 5, generator=generator, dtype=torch.float64)
    classes = classifier()(images).argmax(1)
    return {"network": classifier(), "images": images, "maps": maps, "classes": classes}


def batches(arguments, *sizes):
    parts = {name: value.split(sizes) for name, value in arguments.items() if isinstance(value, torch.Tensor)}
    shared = {name: value for name, value in arguments.items() if name not in parts}
    return [{name: part[i] for name, part in parts.items()} | shared for i in range(len(sizes))]


def probability(network, image, label):
    """Return the softmax probability of one class of one image (C, H, W)."""
    with torch.no_grad():
        logits = network(image[None])[0]
    return float(logits[label].exp() / logits.exp().sum())
