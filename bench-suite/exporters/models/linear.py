from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import Draws, Network, filled


class Linear(nn.Module):
    def __init__(self, n: int = 4, m: int = 1) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(n, m))
        self.b = nn.Parameter(torch.empty(m))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.w + self.b


def small() -> list[Network]:
    draws = Draws("linear model")
    return [
        Network(
            name="linear",
            file="linear.model",
            module=filled(Linear(), "linear weights"),
            layers={},
            inputs=("x",),
            outputs=("y",),
            batches=[{"x": draws.normal(16, 4), "target": draws.normal(16, 1)} for _ in range(4)],
            loss=lambda found, given: F.mse_loss(found["y"], given["target"]),
            optimizer=lambda weights: optim.SGD(weights, 0.1),
        )
    ]
