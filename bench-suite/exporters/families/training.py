"""A small linear regression, trained a few steps: what optimisers, schedules and clipping are tried on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..case import Case, Draws, Tensors

Optimize = Callable[[list[dict]], torch.optim.Optimizer]


def trained(
    name: str,
    said: str,
    make: Optimize,
    *,
    steps: int = 3,
    decay: float = 0.0,
    schedule: Callable[[torch.optim.Optimizer], object] | None = None,
    settings: str = "",
    rounding: dict[str, float] | None = None,
    clip: Callable[[list[Tensor]], object] | None = None,
) -> Case:
    """`make` gets two groups of parameters, of which the second, the bias, has no weight decay.

    `rounding` is what a precision may lose by the last step, where that is more than usual.
    """
    draws = Draws(name)
    inputs = {"x": draws.normal(6, 4), "target": draws.normal(6, 3)}
    weights = {"w": draws.normal(4, 3), "b": draws.normal(3)}
    extra = f"    {settings}\n" if settings else ""
    source = (
        "model Case(x: float[6, 4]) -> (y: float[6, 3]) {\n"
        "    param w: float[4, 3] = zeros()\n"
        "    param b: float[3] = zeros()\n"
        "    y = x @ w + b\n"
        "}\n\n"
        "train Case(target: float[6, 3]) {\n"
        "    loss      = mse(y, target)\n"
        f"    optimizer = {said}\n{extra}"
        "}\n"
    )

    def evaluate(given: Tensors, held: Tensors) -> Tensors:
        w, b = (held[n].requires_grad_() for n in ("w", "b"))
        optimizer = make([{"params": [w], "weight_decay": decay}, {"params": [b], "weight_decay": 0.0}])
        scheduler = schedule(optimizer) if schedule else None
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = ((given["x"] @ w + b - given["target"]) ** 2).mean()
            loss.backward()
            if clip:
                clip([w, b])
            optimizer.step()
            if scheduler:
                scheduler.step()
            losses.append(loss.detach())
        return {"loss": torch.stack(losses), "w": w.detach(), "b": b.detach()}

    tolerance = {"f32": 2e-5, "f64": 1e-11} | (rounding or {})
    return Case(name, "train", source, inputs, weights, evaluate, steps, tolerance)
