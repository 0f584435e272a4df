from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import Network, filled
from .digits import table

NAMES = {"conv1": "conv2d", "conv2": "conv2d_1", "conv3": "conv2d_2", "fc1": "dense", "fc2": "dense_1"}


class LeNet5(nn.Module):
    def __init__(self, units: list[int]) -> None:
        super().__init__()
        a, b, c, d = units
        self.conv1 = nn.Conv2d(1, a, 5, padding=2)
        self.conv2 = nn.Conv2d(a, b, 5)
        self.conv3 = nn.Conv2d(b, c, 5)
        self.fc1, self.fc2 = nn.Linear(c, d), nn.Linear(d, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = image[:, None] / 255
        x = F.avg_pool2d(self.conv1(x).tanh(), 2)
        x = F.avg_pool2d(self.conv2(x).tanh(), 2)
        return self.fc2(self.fc1(self.conv3(x).tanh().flatten(1)).tanh())


def network(units: list[int], rows: int) -> Network:
    images, labels = table()
    # Each of 8 by 8 pixels becomes 3 by 3, in a frame of 2.
    large = F.pad((images * 15).repeat_interleave(3, 1).repeat_interleave(3, 2), (2, 2, 2, 2))
    cut = [slice(rows * i, rows * (i + 1)) for i in range(4)]
    return Network(
        name="lenet5",
        file="lenet5.model",
        module=filled(LeNet5(units), "lenet5"),
        layers=NAMES,
        inputs=("image",),
        outputs=("logits",),
        batches=[{"image": large[c].clone(), "label": labels[c].clone()} for c in cut],
        loss=lambda found, given: F.cross_entropy(found["logits"], given["label"].long()),
        optimizer=lambda weights: optim.Adam(weights, 1e-3),
        settings={"units": str(units)},
    )


def small() -> list[Network]:
    return [network([3, 6, 16, 12], 8)]


def full() -> list[Network]:
    return [network([6, 16, 120, 84], 32)]
