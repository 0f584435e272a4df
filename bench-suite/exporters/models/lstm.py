from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import Draws, Network, filled

NAMES = {"lstm": "", "dense": "dense"}


class SeriesLSTM(nn.Module):
    def __init__(self, hidden: int, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(64, hidden, 2, batch_first=True)
        self.dense = nn.Linear(hidden, classes)
        with torch.no_grad():
            for bias in (self.lstm.bias_hh_l0, self.lstm.bias_hh_l1):
                bias.zero_().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        seen, _ = self.lstm(x)
        return self.dense(seen[:, -1])


def lstm(hidden: int, classes: int, rows: int, length: int) -> Network:
    draws = Draws("lstm batches")
    module = filled(SeriesLSTM(hidden, classes), "lstm")
    with torch.no_grad():
        for bias in (module.lstm.bias_hh_l0, module.lstm.bias_hh_l1):
            bias.zero_()
    return Network(
        name="lstm",
        file="lstm.model",
        module=module,
        layers=NAMES,
        inputs=("x",),
        outputs=("logits",),
        batches=[
            {"x": draws.normal(rows, length, 64), "label": draws.integers(classes, rows)} for _ in range(2)
        ],
        loss=lambda found, given: F.cross_entropy(found["logits"], given["label"].long()),
        optimizer=lambda weights: optim.Adam(weights, 1e-3),
        clip=1.0,
        settings={"hidden": str(hidden), "classes": str(classes)},
        interpret=hidden < 64,
    )


def small() -> list[Network]:
    return [lstm(8, 4, 5, 12)]


def full() -> list[Network]:
    return [lstm(256, 10, 32, 64)]
