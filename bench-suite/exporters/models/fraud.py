from __future__ import annotations

import csv

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import DATA, Network, filled, held


class Standardize(nn.Module):
    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", held(x.mean(0)))
        self.register_buffer("std", held(x.std(0, correction=0)))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def small() -> list[Network]:
    with (DATA / "breast_cancer.csv").open() as file:
        rows = [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]
    table = held(torch.tensor(rows, dtype=torch.float64))
    x, target = table[:, :30], table[:, 30:31]
    classifier = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid())
    return [
        Network(
            name="fraud",
            file="fraud.model",
            module=nn.Sequential(Standardize(x), filled(classifier, "fraud model")),
            layers={"0": "standardize", "1.0": "dense", "1.2": "dense_1"},
            inputs=("x",),
            outputs=("p",),
            # One batch has every fourth row, so that both classes are in all.
            batches=[{"x": x[i:128:4].clone(), "target": target[i:128:4].clone()} for i in range(4)],
            loss=lambda found, given: F.binary_cross_entropy(found["p"], given["target"]),
            optimizer=lambda weights: optim.Adam(weights, 1e-3),
        )
    ]
