from __future__ import annotations

import torch.nn.functional as F
from torch import nn, optim

from .core import Draws, Network, filled

NAMES = {"0": "dense", "2": "dense_1", "4": "dense_2"}


def perceptron(wide: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(784, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU(), nn.Linear(wide, 10)
    )


def mlp(name: str, wide: int, rows: int) -> Network:
    draws = Draws(f"{name} batches")
    batches = [{"image": draws.uniform(0, 1, rows, 784), "label": draws.integers(10, rows)} for _ in range(2)]
    return Network(
        name=name,
        file="mlp.model",
        module=filled(perceptron(wide), name),
        layers=NAMES,
        inputs=("image",),
        outputs=("logits",),
        batches=batches,
        loss=lambda found, given: F.cross_entropy(found["logits"], given["label"].long()),
        optimizer=lambda weights: optim.SGD(weights, 0.1, 0.9),
        settings={"wide": str(wide)},
    )


def small() -> list[Network]:
    return [mlp("mlp", 4, 4)]


def full() -> list[Network]:
    return [mlp("mlp", 512, 32)]
