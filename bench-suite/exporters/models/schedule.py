"""Learning rates as `models/std/schedules.model` has them, and the rule of weight decay."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn, optim
from torch.optim.lr_scheduler import LambdaLR


def cosine(warmup: int = 0) -> Callable[[optim.Optimizer, int], LambdaLR]:
    """Up in a line over `warmup` updates, then down half a cosine to 0 at the end."""

    def make(optimizer: optim.Optimizer, steps: int) -> LambdaLR:
        def factor(t: int) -> float:
            if t < warmup:
                return (t + 1) / warmup
            return (1 + math.cos(math.pi * (t - warmup) / (steps - warmup))) / 2

        return LambdaLR(optimizer, factor)

    return make


def decaying_matrices(weights: list[nn.Parameter], decay: float) -> list[dict]:
    """Groups of which the first, weights of rank 2 and more, decays."""
    return [
        {"params": [x for x in weights if x.dim() >= 2], "weight_decay": decay},
        {"params": [x for x in weights if x.dim() < 2], "weight_decay": 0.0},
    ]
