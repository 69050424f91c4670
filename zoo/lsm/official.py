"""Weights of the published code (github.com/thuml/Latent-Spectral-Models): from its state dicts to ours.

Beside the names, three things differ there: convolutions over single points are linear maps here; complex weights are
held as pairs of real numbers, the two halves of k1 as one; and the deformation is a module of its own (`IPHI`), whose
layer for the other case, with or without a code, is never used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zoo.lsm.grid_network import LSM
from zoo.lsm.patches import Sizes
from zoo.lsm.point_network import PointLSM

NAMES = [
    (r"inc\.double_conv\.", "unet.enter."),
    *((rf"down{level + 1}\.maxpool_conv\.1\.double_conv\.", f"unet.downs.{level}.") for level in range(4)),
    *((rf"up{level + 1}\.conv\.double_conv\.", f"unet.ups.{level}.") for level in range(4)),
    (r"outc\.conv\.", "unet.leave."),
    *((rf"process{level + 1}\.encoder_attn\.", f"unet.blocks.{level}.encoder.") for level in range(5)),
    *((rf"process{level + 1}\.decoder_attn\.", f"unet.blocks.{level}.decoder.") for level in range(5)),
    *((rf"process{level + 1}\.", f"unet.blocks.{level}.") for level in range(5)),
    (r"fc0\.", "lift."),
    (r"fc1\.", "hidden."),
    (r"fc2\.", "project."),
    (r"convproject_in\.", "grid_features."),
    (r"convproject_out\.", "point_features."),
    (r"fftproject_in\.", "enter."),
    (r"fftproject_out\.", "leave."),
]
DEFORMATION_NAMES = [
    (r"fc0\.", "deformation.features."),
    (r"fc_code\.", "deformation.code."),
    (r"fc_no_code\.", "deformation.no_code."),
    *((rf"fc{layer + 1}\.", f"deformation.layers.{layer}.") for layer in range(3)),
    (r"fc4\.", "deformation.output."),
]
POINTWISE = ("encoder.weight", "decoder.weight", "grid_features.weight", "point_features.weight")


def grid_state_dict(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict of `LSM` for one of the published `LSM2d` or `LSM3d`.

    Raises:
        ValueError: a name in it is not one of the published network.
    """
    return _translate(official, NAMES)


def block_state_dict(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict of `NeuralSpectralBlock` for that of a published one, of any number of axes.

    Raises:
        ValueError: a name in it is not one of the published block.
    """
    prefixed = _translate({f"process1.{name}": value for name, value in official.items()}, NAMES)
    return {name.removeprefix("unet.blocks.0."): value for name, value in prefixed.items()}


def point_state_dict(
    official: Mapping[str, Tensor], deformation: Mapping[str, Tensor], with_code: bool = True
) -> dict[str, Tensor]:
    """Return the state dict of `PointLSM` for those of the published irregular `LSM2d` and its `IPHI`.

    Args:
        official: of the network.
        deformation: of the `IPHI`.
        with_code: whether the network is given a code, as for elasticity.

    Raises:
        ValueError: a name in it is not one of the published network.
    """
    joined = dict(official)
    for name in ("fftproject_in", "fftproject_out"):
        halves = [joined.pop(f"{name}.weights{half}") for half in (1, 2)]
        joined[f"{name}.weights"] = torch.view_as_real(torch.cat(halves, dim=2))
    unused = "fc_no_code." if with_code else "fc_code."
    used = {name: value for name, value in deformation.items() if not name.startswith(unused)}
    return _translate(joined, NAMES) | _translate(used, DEFORMATION_NAMES)


def from_official(
    state: Mapping[str, Tensor],
    deformation: Mapping[str, Tensor] | None = None,
    *,
    patch: Sizes = "auto",
    padding: Sequence[int] | None = None,
    with_code: bool = True,
) -> LSM | PointLSM:
    """Build the network of a published state dict, in evaluation mode and with its dtype.

    Args:
        state: of the published network.
        deformation: of its `IPHI`, for the irregular network.
        patch: the published `patch_size`; of the irregular network it must be a sixteenth of the grid, 6, 6.
        padding: the published `padding`, whose first entry is for the last axis; None for the automatic one.
        with_code: whether an irregular network is given a code.

    Raises:
        ValueError: a name or shape in the state dicts is not one of the published network.
    """
    for name in ("process1.latent", "process1.weights", "fc0.weight", "fc2.weight", "inc.double_conv.0.weight"):
        if name not in state:
            raise ValueError(f"state has no {name!r}; give the state dict of a published LSM")
    heads, tokens, _ = state["process1.latent"].shape
    out_channels, (width, channels) = state["fc2.weight"].size(0), state["fc0.weight"].shape
    basis = state["process1.weights"].size(1) // 2
    network: LSM | PointLSM
    if deformation is None:
        dim = state["inc.double_conv.0.weight"].dim() - 2
        network = LSM(
            in_channels=channels - dim,
            out_channels=out_channels,
            dim=dim,  # type: ignore[arg-type]
            width=width,
            patch=patch,
            padding="auto" if padding is None else list(padding)[::-1],
            tokens=tokens,
            basis=basis,
            heads=heads,
        )
        weights = grid_state_dict(state)
    else:
        network = PointLSM(
            in_channels=channels,
            out_channels=out_channels,
            code_channels=deformation["fc_code.weight"].size(1) if with_code else 0,
            width=width,
            modes=state["fftproject_in.weights1"].size(-1),
            latent_size=96 if patch == "auto" else 16 * patch[0],
            hermitian="official",
            tokens=tokens,
            basis=basis,
            heads=heads,
        )
        weights = point_state_dict(state, deformation, with_code)
    network.to(state["fc0.weight"].dtype).load_state_dict(weights)
    return network.eval()


def _translate(official: Mapping[str, Tensor], names: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    translated = {}
    for name, value in official.items():
        ours = next((re.sub(f"^{old}", new, name) for old, new in names if re.match(old, name)), None)
        if ours is None:
            raise ValueError(f"state holds {name!r}, which is no name of the published network")
        translated[ours] = value.flatten(1) if ours.endswith(POINTWISE) else value
    return translated
