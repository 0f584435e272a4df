from __future__ import annotations

import torch.nn.functional as F
from torch import nn, optim

from .core import Draws, Network, filled

NAMES = {"0": "dense", "2": "dense_1"}


def classifier(wide: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(20, wide), nn.ReLU(), nn.Linear(wide, 1), nn.Sigmoid())


def tabular(wide: int, rows: int) -> Network:
    draws = Draws("tabular batches")
    return Network(
        name="tabular",
        file="tabular.model",
        module=filled(classifier(wide), "tabular"),
        layers=NAMES,
        inputs=("x",),
        outputs=("p",),
        batches=[
            {"x": draws.normal(rows, 20), "target": draws.integers(2, rows, 1).double()} for _ in range(2)
        ],
        loss=lambda found, given: F.binary_cross_entropy(found["p"], given["target"]),
        optimizer=lambda weights: optim.Adam(weights, 1e-3),
        settings={"wide": str(wide)},
    )


def small() -> list[Network]:
    return [tabular(64, 8)]
