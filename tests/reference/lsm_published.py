"""LSM in the layout of the published code, with its names: unfused, one network per number of axes.

Slow and plain on purpose: keys, values and queries of every point are formed, all Fourier exponentials too.
"""

import itertools
import math

import torch
from torch import nn
from torch.nn import functional

HEADS = 8


def of_dim(name, dim):
    return getattr(nn, f"{name}{dim}d")


class DoubleConv(nn.Module):
    def __init__(self, dim, channels_in, channels_out, middle=None):
        super().__init__()
        middle = middle or channels_out
        layers = []
        for a, b in ((channels_in, middle), (middle, channels_out)):
            layers += [of_dim("Conv", dim)(a, b, 3, padding=1, bias=False), of_dim("BatchNorm", dim)(b), nn.ReLU()]
        self.double_conv = nn.Sequential(*layers)

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, dim, channels_in, channels_out):
        super().__init__()
        self.maxpool_conv = nn.Sequential(of_dim("MaxPool", dim)(2), DoubleConv(dim, channels_in, channels_out))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, dim, channels_in, channels_out):
        super().__init__()
        self.mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[dim]
        self.conv = DoubleConv(dim, channels_in, channels_out, channels_in // 2)

    def forward(self, x, skip):
        x = nn.Upsample(scale_factor=2, mode=self.mode, align_corners=True)(x)
        if x.dim() == 4:
            y_gap, x_gap = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
            x = functional.pad(x, [x_gap // 2, x_gap - x_gap // 2, y_gap // 2, y_gap - y_gap // 2])
        return self.conv(torch.cat([skip, x], 1))


class OutConv(nn.Module):
    def __init__(self, dim, width):
        super().__init__()
        self.conv = of_dim("Conv", dim)(width, width, 1)

    def forward(self, x):
        return self.conv(x)


class Block(nn.Module):
    def __init__(self, dim, width, num_basis, patch_size, num_token):
        super().__init__()
        self.patch_size, self.num_basis, self.num_token = patch_size, num_basis, num_token
        self.weights = nn.Parameter(torch.rand(width, num_basis * 2) / width)
        self.latent = nn.Parameter(torch.rand(HEADS, num_token, width // HEADS) / width)
        self.encoder_attn = of_dim("Conv", dim)(width, 2 * width, 1)
        self.decoder_attn = of_dim("Conv", dim)(width, width, 1)

    @staticmethod
    def attend(q, k, v):
        return torch.einsum("bhls,bhsc->bhlc", torch.einsum("bhlc,bhsc->bhls", q, k).softmax(-1), v)

    def one_patch(self, x):
        """(P, C, *patch) -> the same shape."""
        batch, channels = x.shape[:2]
        width = channels // HEADS
        both = self.encoder_attn(x).flatten(2).transpose(1, 2).reshape(batch, -1, HEADS, width, 2)
        key, value = both.permute(4, 0, 2, 1, 3)
        query = self.latent[None].repeat(batch, 1, 1, 1)
        tokens = (self.attend(query, key, value) + query).transpose(2, 3).reshape(batch, channels, self.num_token)

        modes = torch.arange(self.num_basis, dtype=x.dtype) / self.num_basis
        angles = modes * tokens[..., None] * math.pi
        tokens = torch.einsum("bilm,im->bil", torch.cat([angles.sin(), angles.cos()], -1), self.weights) + tokens

        tokens = tokens.reshape(batch, HEADS, width, self.num_token).transpose(2, 3)
        query = self.decoder_attn(x).flatten(2).transpose(1, 2).reshape(batch, -1, HEADS, width).transpose(1, 2)
        return self.attend(query, tokens, tokens).transpose(2, 3).reshape(x.shape) + x

    def forward(self, x):
        patches = x
        for axis, p in enumerate(self.patch_size):
            patches = patches.unfold(2 + axis, p, p)  # (B, C, *counts, *patch)
        counts = patches.shape[2 : 2 + len(self.patch_size)]
        patches = patches.movedim(1, 1 + len(counts)).flatten(0, len(counts))
        patches = self.one_patch(patches.contiguous()).unflatten(0, (len(x), *counts))
        out = torch.empty_like(x)
        for point in itertools.product(*map(range, self.patch_size)):
            places = tuple(slice(i, None, p) for i, p in zip(point, self.patch_size, strict=True))
            out[(..., *places)] = patches[(..., *point)].movedim(-1, 1)
        return out


class UShape(nn.Module):
    def __init__(self, dim, width, patch_size, num_basis, num_token):
        super().__init__()
        w = width
        self.inc = DoubleConv(dim, w, w)
        for level, (a, b) in enumerate(((w, 2 * w), (2 * w, 4 * w), (4 * w, 8 * w), (8 * w, 8 * w)), 1):
            setattr(self, f"down{level}", Down(dim, a, b))
        for level, (a, b) in enumerate(((16 * w, 4 * w), (8 * w, 2 * w), (4 * w, w), (2 * w, w)), 1):
            setattr(self, f"up{level}", Up(dim, a, b))
        self.outc = OutConv(dim, w)
        for level, c in enumerate((w, 2 * w, 4 * w, 8 * w, 8 * w), 1):
            setattr(self, f"process{level}", Block(dim, c, num_basis, patch_size, num_token))

    def shaped(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        x5 = self.down4(x4)
        y = self.up1(self.process5(x5), self.process4(x4))
        y = self.up2(y, self.process3(x3))
        y = self.up3(y, self.process2(x2))
        return self.outc(self.up4(y, self.process1(x1)))


def grid_of(sizes, like):
    axes = [torch.linspace(0, 1, size, dtype=torch.float64).float() for size in sizes]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).to(like)
    return grid.expand(len(like), *grid.shape)


class PublishedLSM(UShape):
    """`padding` in the published order: its first entry is for the last axis."""

    def __init__(self, dim, in_channels, out_channels, width, patch_size, num_basis=12, num_token=4, padding=None):
        super().__init__(dim, width, patch_size, num_basis, num_token)
        self.padding = padding or [0] * dim
        self.fc0 = nn.Linear(in_channels + dim, width)
        self.fc1 = nn.Linear(width, 128)
        self.fc2 = nn.Linear(128, out_channels)

    def forward(self, x):
        sizes = x.shape[1:-1]
        x = self.fc0(torch.cat((x, grid_of(sizes, x)), -1)).movedim(-1, 1)
        x = self.shaped(functional.pad(x, [amount for last in self.padding for amount in (0, last)]))
        x = x[(..., *(slice(size) for size in sizes))].movedim(1, -1)
        return self.fc2(functional.gelu(self.fc1(x)))


class SpectralConv(nn.Module):
    def __init__(self, width, modes, size):
        super().__init__()
        self.modes, self.size = modes, size
        draw = lambda: torch.rand(width, width, modes, modes, dtype=torch.cfloat) / width**2  # noqa: E731
        self.weights1, self.weights2 = nn.Parameter(draw()), nn.Parameter(draw())

    def exponentials(self, x, sign):
        m = self.modes
        k1 = torch.cat([torch.arange(m), torch.arange(-m, 0)]).to(x)
        k2 = torch.cat([torch.arange(m), torch.arange(-(m - 1), 0)]).to(x)
        turns = x[..., 0, None, None] * k1[:, None] + x[..., 1, None, None] * k2
        return torch.exp(sign * 2j * math.pi * turns)

    def forward(self, u, x_in=None, x_out=None):
        m = self.modes
        if x_in is None:
            u_ft = torch.fft.rfft2(u)
        else:
            u_ft = torch.einsum("bcn,bnxy->bcxy", u + 0j, self.exponentials(x_in, -1))
        low = torch.einsum("bixy,ioxy->boxy", u_ft[:, :, :m, :m], self.weights1)
        high = torch.einsum("bixy,ioxy->boxy", u_ft[:, :, -m:, :m], self.weights2)
        if x_out is None:
            full = torch.zeros(*u.shape[:2], self.size, self.size // 2 + 1, dtype=low.dtype)
            full[:, :, :m, :m], full[:, :, -m:, :m] = low, high
            return torch.fft.irfft2(full, s=(self.size, self.size))
        out_ft = torch.cat([low, high], dim=-2)
        out_ft = torch.cat([out_ft, out_ft[..., 1:].flip(-1, -2).conj()], dim=-1)
        return torch.einsum("bcxy,bnxy->bcn", out_ft, self.exponentials(x_out, 1)).real


class PublishedIPHI(nn.Module):
    def __init__(self, code_channels=42, width=32):
        super().__init__()
        self.width = width
        self.fc0 = nn.Linear(4, width)
        self.fc_code = nn.Linear(code_channels, width)
        self.fc_no_code = nn.Linear(3 * width, 4 * width)
        self.fc1, self.fc2, self.fc3 = (nn.Linear(4 * width, 4 * width) for _ in range(3))
        self.fc4 = nn.Linear(4 * width, 2)

    def forward(self, x, code=None):
        x0, x1 = (x - torch.tensor(0.0001).to(x)).unbind(-1)  # single precision, as published
        angle, radius = torch.atan2(x1, x0), torch.sqrt(x0**2 + x1**2)
        features = torch.stack([x[..., 0], x[..., 1], angle, radius], -1)
        octaves = [float(torch.tensor(math.pi)) * 2**k for k in range(self.width // 4)]
        waves = torch.cat([octave * features[..., f, None] for f in range(4) for octave in octaves], -1)
        y = torch.cat([self.fc0(features), waves.sin(), waves.cos()], -1)
        if code is None:
            y = self.fc_no_code(y)
        else:
            y = torch.cat([self.fc_code(code)[:, None].repeat(1, x.size(1), 1), y], -1)
        for layer in (self.fc1, self.fc2, self.fc3):
            y = torch.tanh(layer(y))
        return x + x * self.fc4(y)


class PublishedPointLSM(UShape):
    def __init__(self, in_channels, out_channels, width, modes=12, size=96, num_basis=12, num_token=4):
        super().__init__(2, width, [size // 16] * 2, num_basis, num_token)
        self.size = size
        self.fc0 = nn.Linear(in_channels, width)
        self.fftproject_in = SpectralConv(width, modes, size)
        self.fftproject_out = SpectralConv(width, modes, size)
        self.convproject_in = nn.Conv2d(2, width, 1)
        self.convproject_out = nn.Conv1d(2, width, 1)
        self.fc1 = nn.Linear(width, 128)
        self.fc2 = nn.Linear(128, out_channels)

    def forward(self, x, code, iphi, x_out=None):
        x_out = x if x_out is None else x_out
        u = self.fftproject_in(self.fc0(x).transpose(1, 2), x_in=iphi(x, code))
        grid = grid_of((self.size, self.size), x).movedim(-1, 1)
        uc = self.shaped(functional.gelu(u + self.convproject_in(grid)))
        u = self.fftproject_out(uc, x_out=iphi(x_out, code)) + self.convproject_out(x_out.transpose(1, 2))
        return self.fc2(functional.gelu(self.fc1(u.transpose(1, 2))))


def complex_double(network):
    """Return a network in float64: `.double()` leaves complex parameters as they are."""
    network.double()
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.is_complex():
                setattr(module, name, nn.Parameter(parameter.detach().to(torch.complex128)))
    return network
