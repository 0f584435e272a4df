"""Learning rates that change, seen through the steps of plain gradient descent."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import optim
from torch.optim import lr_scheduler as schedule

from ..case import Case
from .training import trained

STEPS = 10


def _warm_cosine(t: int) -> float:
    """Up in a line over 3 updates, then half a cosine until update 10. PyTorch has no such schedule."""
    return (t + 1) / 3 if t < 3 else 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (t - 3) / 7))


SCHEDULES: dict[str, tuple[str, Callable[[optim.Optimizer], object]]] = {
    "constant": ("constant(0.2)", lambda o: schedule.ConstantLR(o, 1.0)),
    "step": ("step(0.2, every: 3, factor: 0.5)", lambda o: schedule.StepLR(o, 3, 0.5)),
    "exponential": ("exponential(0.2, rate: 0.8)", lambda o: schedule.ExponentialLR(o, 0.8)),
    "cosine_decay": (
        "cosine_decay(0.2, steps: 10, floor: 0.02)",
        lambda o: schedule.CosineAnnealingLR(o, STEPS, eta_min=0.02),
    ),
    "cosine_decay_warmup": (
        "cosine_decay(0.2, steps: 10, warmup: 3, floor: 0.02)",
        lambda o: schedule.LambdaLR(o, _warm_cosine),
    ),
    "polynomial": ("polynomial(0.2, power: 2.0, steps: 10)", lambda o: schedule.PolynomialLR(o, STEPS, 2.0)),
    "one_cycle": (
        "one_cycle(0.2, steps: 10)",
        lambda o: schedule.OneCycleLR(o, 0.2, total_steps=STEPS, cycle_momentum=False),
    ),
}


def cases() -> list[Case]:
    return [
        trained(name, f"sgd(lr: {said})", lambda p: optim.SGD(p, 0.2), steps=STEPS, schedule=make)
        for name, (said, make) in SCHEDULES.items()
    ]
