from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import Draws, Network, Tensors, filled


def down(cin: int, c: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(cin, c, 3, 2, 1), nn.BatchNorm2d(c), nn.SiLU())


class HydraNet(nn.Module):
    def __init__(self, widths: tuple[int, int, int], boxes: int) -> None:
        super().__init__()
        first, second, third = widths
        self.trunk = nn.Sequential(down(3, first), down(first, second), down(second, third))
        self.objects = nn.Sequential(
            nn.Conv2d(third, third, 3, padding=1), nn.SiLU(), nn.Conv2d(third, boxes, 1)
        )
        self.lanes = nn.Sequential(nn.Conv2d(third, second, 3, padding=1), nn.SiLU(), nn.Conv2d(second, 4, 1))
        self.collision = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(third, 1), nn.Sigmoid(), nn.Flatten(0)
        )

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.trunk(frame)
        return self.objects(x), self.lanes(x), self.collision(x)


def names() -> dict[str, str]:
    found = {"objects.0": "conv2d", "objects.2": "conv2d_1", "lanes.0": "conv2d_2", "lanes.2": "conv2d_3"}
    for i, ours in enumerate(("down", "down_1", "down_2")):
        found |= {f"trunk.{i}.0": f"{ours}.conv2d", f"trunk.{i}.1": f"{ours}.batch_norm"}
    return found | {"collision.2": "dense"}


def frames(rows: int, height: int, width: int, boxes: int) -> list[Tensors]:
    draws = Draws("hydranet frames")
    return [
        {
            "frame": draws.integers(16, rows, 3, height, width).double() / 8 - 1,
            "boxes": draws.integers(16, rows, boxes, height // 8, width // 8).double() / 8 - 1,
            "lane": draws.integers(16, rows, 4, height // 8, width // 8).double() / 8 - 1,
            "hit": draws.integers(2, rows).double(),
        }
        for _ in range(2)
    ]


def loss(found: Tensors, given: Tensors) -> Tensor:
    boxes = F.mse_loss(found["objects"], given["boxes"])
    lane = F.mse_loss(found["lanes"], given["lane"])
    return boxes + 0.5 * lane + 2 * F.binary_cross_entropy(found["collision"], given["hit"])


def hydranet(
    rows: int,
    steps: int,
    widths: tuple[int, int, int],
    boxes: int,
    sides: tuple[int, int],
    replace: dict[str, str],
) -> Network:
    return Network(
        name="hydranet",
        file="hydranet.model",
        module=filled(HydraNet(widths, boxes), "hydranet"),
        layers=names(),
        inputs=("frame",),
        outputs=("objects", "lanes", "collision"),
        batches=frames(rows, *sides, boxes),
        loss=loss,
        optimizer=lambda weights: optim.SGD(weights, 0.05, 0.9),
        replace=replace,
        steps=steps,
        repetitions=8 if steps == 50 else 2,
    )


def small() -> list[Network]:
    shrunk = {
        "down(32) |> down(64) |> down(128)": "down(4) |> down(6) |> down(8)",
        "conv2d(128, kernel: 3)": "conv2d(8, kernel: 3)",
        "conv2d(64, kernel: 1)": "conv2d(5, kernel: 1)",
        "conv2d(64, kernel: 3)": "conv2d(6, kernel: 3)",
        "[batch, 3, 128, 256]": "[batch, 3, 16, 24]",
        "[batch, 64, 16, 32]": "[batch, 5, 2, 3]",
        "[batch, 4, 16, 32]": "[batch, 4, 2, 3]",
    }
    return [hydranet(4, 50, (4, 6, 8), 5, (16, 24), shrunk)]


def full() -> list[Network]:
    return [hydranet(2, 10, (32, 64, 128), 64, (128, 256), {})]
