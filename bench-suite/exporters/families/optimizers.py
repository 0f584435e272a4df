"""The first steps of every optimiser."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from ..case import Case, Draws, Tensors
from .training import trained


class Lion(optim.Optimizer):
    """Chen et al., 2023, algorithm 2: PyTorch has none."""

    def __init__(self, params: list[dict], lr: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * torch.sign(0.9 * m + 0.1 * p.grad))
                m.mul_(0.99).add_(p.grad, alpha=0.01)


class Lamb(optim.Optimizer):
    """You et al., 2020, algorithm 2 with its bias correction: PyTorch has none."""

    def __init__(self, params: list[dict], lr: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state.update(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                state["t"] += 1
                state["m"].mul_(0.9).add_(p.grad, alpha=0.1)
                state["v"].mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
                mean = state["m"] / (1 - 0.9 ** state["t"])
                spread = (state["v"] / (1 - 0.999 ** state["t"])).sqrt() + 1e-6
                update = mean / spread + group["weight_decay"] * p
                p.sub_(group["lr"] * p.norm() / update.norm() * update)


# what the model says, PyTorch's, weight decay, steps
OPTIMIZERS: dict[str, tuple[str, Callable[[list[dict]], optim.Optimizer], float, int]] = {
    "sgd": ("sgd(lr: 0.1)", lambda p: optim.SGD(p, 0.1), 0, 3),
    "sgd_momentum": ("sgd(lr: 0.1, momentum: 0.9)", lambda p: optim.SGD(p, 0.1, 0.9), 0, 3),
    "sgd_nesterov": (
        "sgd(lr: 0.1, momentum: 0.9, nesterov: true)",
        lambda p: optim.SGD(p, 0.1, 0.9, nesterov=True),
        0,
        3,
    ),
    "sgd_decay": ("sgd(lr: 0.1, momentum: 0.9, weight_decay: 0.1)", lambda p: optim.SGD(p, 0.1, 0.9), 0.1, 3),
    "adam": ("adam(lr: 0.1)", lambda p: optim.Adam(p, 0.1), 0, 3),
    "adam_betas": (
        "adam(lr: 0.1, beta1: 0.5, beta2: 0.9, eps: 0.001)",
        lambda p: optim.Adam(p, 0.1, (0.5, 0.9), 0.001),
        0,
        3,
    ),
    "adam_decay": ("adam(lr: 0.1, weight_decay: 0.1)", lambda p: optim.Adam(p, 0.1), 0.1, 3),
    "adamw": ("adamw(lr: 0.1, weight_decay: 0.1)", lambda p: optim.AdamW(p, 0.1), 0.1, 3),
    "rmsprop": ("rmsprop(lr: 0.1)", lambda p: optim.RMSprop(p, 0.1), 0, 3),
    "rmsprop_centered": (
        "rmsprop(lr: 0.01, momentum: 0.9, centered: true, alpha: 0.9)",
        lambda p: optim.RMSprop(p, 0.01, 0.9, momentum=0.9, centered=True),
        0,
        3,
    ),
    "adagrad": ("adagrad(lr: 0.1, lr_decay: 0.1)", lambda p: optim.Adagrad(p, 0.1, 0.1), 0, 3),
    "adadelta": ("adadelta(lr: 1.0)", lambda p: optim.Adadelta(p, 1.0), 0, 3),
    "adamax": ("adamax(lr: 0.1)", lambda p: optim.Adamax(p, 0.1), 0, 3),
    "nadam": ("nadam(lr: 0.1)", lambda p: optim.NAdam(p, 0.1), 0, 3),
    # The rate becomes adaptive at the sixth step.
    "radam": ("radam(lr: 0.1)", lambda p: optim.RAdam(p, 0.1), 0, 8),
    "lamb": ("lamb(lr: 0.1, weight_decay: 0.01)", lambda p: Lamb(p, 0.1), 0.01, 3),
    "lion": ("lion(lr: 0.1, weight_decay: 0.1)", lambda p: Lion(p, 0.1), 0.1, 3),
}

# PyTorch has the length of radam's average, a small difference of large numbers, in f64, and the product of
# nadam's momenta in f32.
ROUNDING = {"radam": {"f32": 1e-4}, "nadam": {"f64": 1e-7}}


def cases() -> list[Case]:
    found = [
        trained(name, said, make, decay=decay, steps=steps, rounding=ROUNDING.get(name))
        for name, (said, make, decay, steps) in OPTIMIZERS.items()
    ]
    found.append(
        trained(
            "clip_global_norm",
            "sgd(lr: 0.1)",
            lambda p: optim.SGD(p, 0.1),
            settings="clip      = global_norm(0.5)",
            clip=lambda p: nn.utils.clip_grad_norm_(p, 0.5),
        )
    )
    found.append(
        trained(
            "clip_by_value",
            "sgd(lr: 0.1)",
            lambda p: optim.SGD(p, 0.1),
            settings="clip      = by_value(0.2)",
            clip=lambda p: nn.utils.clip_grad_value_(p, 0.2),
        )
    )
    found.append(_running_moments())
    return found


def _running_moments() -> Case:
    """Three steps of a batch norm: its weights and its running mean and variance."""
    draws = Draws("running moments")
    weights = {"unit.scale": draws.normal(3), "unit.bias": draws.normal(3)}
    states = {"unit.mean": draws.normal(3), "unit.var": draws.uniform(0.5, 2, 3)}
    inputs = {"x": draws.normal(5, 3), "target": draws.normal(5, 3)}
    source = (
        "model Case(x: float[5, 3]) -> (y: float[5, 3]) {\n"
        "    unit = batch_norm()\n"
        "    y = unit(x)\n"
        "}\n\n"
        "train Case(target: float[5, 3]) {\n"
        "    loss      = mse(y, target)\n"
        "    optimizer = sgd(lr: 0.1)\n"
        "}\n"
    )

    def evaluate(given: Tensors, held: Tensors) -> Tensors:
        scale, bias = (held[n].requires_grad_() for n in weights)
        mean, var = (held[n] for n in states)
        optimizer = optim.SGD([scale, bias], 0.1)
        losses: list[Tensor] = []
        for _ in range(3):
            optimizer.zero_grad()
            y = F.batch_norm(given["x"], mean, var, scale, bias, training=True, momentum=0.1)
            loss = F.mse_loss(y, given["target"])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return {"loss": torch.stack(losses), **{n: held[n].detach() for n in (*weights, *states)}}

    tolerance = {"f32": 2e-5, "f64": 1e-11}
    return Case("running_moments", "train", source, inputs, {**weights, **states}, evaluate, 3, tolerance)
