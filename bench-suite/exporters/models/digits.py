from __future__ import annotations

import csv

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import DATA, Network, filled


class Digits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.conv2, self.bn2 = nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32)
        self.fc = nn.Linear(128, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = image[:, None] / 16
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        return self.fc(x.flatten(1))


def table() -> tuple[Tensor, Tensor]:
    """Images `[1797, 8, 8]` with values 0 … 16, labels in i32."""
    with (DATA / "digits.csv").open() as file:
        cells = torch.tensor([[int(cell) for cell in row] for row in csv.reader(file)], dtype=torch.int32)
    return cells[:, :64].reshape(-1, 8, 8).double(), cells[:, 64].contiguous()


def small() -> list[Network]:
    images, labels = table()
    cut = [slice(24 * i, 24 * (i + 1)) for i in range(4)]
    return [
        Network(
            name="digits",
            file="digits.model",
            module=filled(Digits(), "digits model"),
            layers={
                "conv1": "conv_block.conv2d",
                "bn1": "conv_block.batch_norm",
                "conv2": "conv_block_1.conv2d",
                "bn2": "conv_block_1.batch_norm",
                "fc": "dense",
            },
            inputs=("image",),
            outputs=("logits",),
            batches=[{"image": images[c].clone(), "label": labels[c].clone()} for c in cut],
            loss=lambda found, given: F.cross_entropy(found["logits"], given["label"].long()),
            optimizer=lambda weights: optim.Adam(weights, 3e-3),
            schedule=optim.lr_scheduler.CosineAnnealingLR,
            replace={"dropout(0.2)": "dropout(0.0)"},
        )
    ]
