from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import Network, filled
from .text import windows


class Cell(nn.Module):
    """PyTorch's cell with one bias, as our sample writes it out."""

    def __init__(self, n: int, hidden: int) -> None:
        super().__init__()
        self.from_x = nn.Linear(n, 4 * hidden)
        self.from_h = nn.Linear(hidden, 4 * hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(len(x), self.from_h.in_features)
        none = torch.zeros_like(self.from_x.bias)
        found = []
        for t in range(x.shape[1]):
            h, c = torch.lstm_cell(
                x[:, t], (h, c), self.from_x.weight, self.from_h.weight, self.from_x.bias, none
            )
            found.append(h)
        return torch.stack(found, 1)


class CharLSTM(nn.Module):
    def __init__(self, symbols: int, width: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.first, self.second = Cell(width, hidden), Cell(hidden, hidden)
        self.dense = nn.Linear(hidden, symbols)

    def forward(self, text: Tensor) -> Tensor:
        return self.dense(self.second(self.first(self.embedding(text))))


def char_lstm(symbols: int, hidden: int, rows: int, length: int) -> Network:
    layers = {"embedding": "embedding", "dense": "dense"}
    for ours, theirs in (("lstm", "first"), ("lstm_1", "second")):
        layers |= {f"{theirs}.{part}": f"{ours}.cell.{part}" for part in ("from_x", "from_h")}
    return Network(
        name="char_lstm",
        file="char_lstm.model",
        module=filled(CharLSTM(symbols, 128, hidden), "char_lstm"),
        layers=layers,
        inputs=("text",),
        outputs=("logits",),
        batches=windows("text", symbols, rows, length),
        loss=lambda found, given: F.cross_entropy(
            found["logits"].flatten(0, 1), given["target"].flatten().long()
        ),
        optimizer=lambda weights: optim.Adam(weights, 2e-3),
        clip=1.0,
        settings={"symbols": str(symbols), "hidden": str(hidden)},
        interpret=hidden < 64,
    )


def small() -> list[Network]:
    return [char_lstm(32, 24, 5, 24)]


def full() -> list[Network]:
    return [char_lstm(96, 256, 32, 64)]
