from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from ..case import Tensors
from .core import Draws, Network, filled


class DoubleConv(nn.Sequential):
    def __init__(self, cin: int, c: int) -> None:
        parts: list[nn.Module] = []
        for n in (cin, c):
            parts += [nn.Conv2d(n, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU()]
        super().__init__(*parts)


class Up(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(2 * c, c, 2, 2)
        self.conv = DoubleConv(2 * c, c)

    def forward(self, below: Tensor, level: Tensor) -> Tensor:
        return self.conv(torch.cat([level, self.up(below)], 1))


class UNet(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width << i for i in range(5)]
        self.down = nn.ModuleList(DoubleConv(*pair) for pair in zip([1, *widths], widths, strict=False))
        self.up = nn.ModuleList(Up(c) for c in widths[:-1])
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        levels = [self.down[0](image)]
        for down in self.down[1:]:
            levels.append(down(F.max_pool2d(levels[-1], 2)))
        x = levels.pop()
        for up in reversed(self.up):
            x = up(x, levels.pop())
        return self.last(x)


def names() -> dict[str, str]:
    layers = {"last": "conv2d"}

    def double(theirs: str, ours: str) -> None:
        layers[f"{theirs}.0"], layers[f"{theirs}.1"] = f"{ours}.conv2d", f"{ours}.batch_norm"
        layers[f"{theirs}.3"], layers[f"{theirs}.4"] = f"{ours}.conv2d_1", f"{ours}.batch_norm_1"

    for i in range(5):
        double(f"down.{i}", f"double_conv_{i}" if i else "double_conv")
    # Ours are numbered in the order of the text, from the bottom.
    ups = ("up", "up_1", "up_2", "up_3")
    for i in range(4):
        double(f"up.{i}.conv", f"{ups[3 - i]}.double_conv")
        layers[f"up.{i}.up"] = f"{ups[3 - i]}.conv_transpose2d"
    return layers


def blobs(seed: str, rows: int, side: int) -> Tensors:
    """Round cells on a noisy ground, and where they are."""
    draws = Draws(seed)
    at = torch.arange(side) / side
    x, y = at[None, None, :], at[None, :, None]
    cx, cy, r = (draws.uniform(low, high, rows, 1, 1) for low, high in ((0.2, 0.8), (0.2, 0.8), (0.1, 0.3)))
    mask = ((x - cx) ** 2 + (y - cy) ** 2 < r**2).double()
    noise = draws.integers(16, rows, side, side).double() / 16
    return {"image": (mask / 2 + noise)[:, None], "target": mask[:, None]}


def loss(found: Tensors, given: Tensors) -> Tensor:
    mask, target = found["mask"], given["target"]
    p, t = torch.sigmoid(mask).flatten(1), target.flatten(1)
    dice = 1 - (2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)
    return F.binary_cross_entropy_with_logits(mask, target) + dice.mean()


def network(width: int, side: int, rows: int, steps: int, lift: float) -> Network:
    """With biases that keep single channels from being zero everywhere."""
    settings = {"width": width, "height": side, "wide": side}
    return Network(
        name="unet",
        file="unet.model",
        module=filled(UNet(width), "unet", lift),
        layers=names(),
        inputs=("image",),
        outputs=("mask",),
        batches=[blobs(f"unet images {i}", rows, side) for i in range(2)],
        loss=loss,
        optimizer=lambda weights: optim.Adam(weights, 1e-3),
        schedule=optim.lr_scheduler.CosineAnnealingLR,
        settings={key: str(value) for key, value in settings.items()},
        steps=steps,
        repetitions=8 if steps == 50 else 2,
    )


def small() -> list[Network]:
    return [network(1, 32, 3, 50, lift=0.5)]


def full() -> list[Network]:
    return [network(64, 128, 1, 10, lift=2.0)]
