"""One configuration: its text in the language, the shapes it takes, and PyTorch's function for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from . import draws


@dataclass
class Input:
    """An input is drawn, each element in [low, high); with `below` it is an i32 in [0, below)."""

    shape: tuple[int, ...]
    low: float = -1.0
    high: float = 1.0
    below: int | None = None

    def tensor(self, purpose: str) -> Tensor:
        count = int(np.prod(self.shape))
        if self.below is not None:
            values = draws.below(purpose, count, self.below)
        else:
            values = draws.uniform(purpose, count, self.low, self.high)
        return torch.from_numpy(values.reshape(self.shape))

    def entry(self) -> object:
        if self.below is not None:
            return {"shape": list(self.shape), "below": self.below}
        if (self.low, self.high) != (-1.0, 1.0):
            return {"shape": list(self.shape), "low": self.low, "high": self.high}
        return list(self.shape)


@dataclass
class Configuration:
    """`expr` is of the inputs by name, and of the layer `unit`, if there is one; the weights are the layer's.

    `compute` takes inputs and weights in this order.
    """

    expr: str
    compute: Callable[..., Tensor]
    inputs: dict[str, Input]
    unit: str = ""
    weights: dict[str, Input] = field(default_factory=dict)

    @property
    def name(self) -> str:
        shapes = " ".join("x".join(map(str, given.shape)) or "scalar" for given in self.inputs.values())
        return f"{self.unit or self.expr} of {shapes}"

    def results(self) -> list[Tensor]:
        """The value, then the derivative of `sum(value * ct)` by every floating input and weight."""
        given = {n: x.tensor(f"{self.name}/{n}") for n, x in {**self.inputs, **self.weights}.items()}
        leaves = [x.requires_grad_() for x in given.values() if x.dtype.is_floating_point]
        value = self.compute(*given.values())
        if not value.dtype.is_floating_point:
            return [value.detach()]
        ct = Input(tuple(value.shape)).tensor(f"{self.name}/ct")
        if not value.requires_grad:
            return [value.detach(), *(torch.zeros_like(x) for x in leaves)]
        grads = torch.autograd.grad(value, leaves, ct, allow_unused=True)
        zeros = [torch.zeros_like(x) if g is None else g for g, x in zip(grads, leaves, strict=True)]
        return [value.detach(), *zeros]


def export(configurations: list[Configuration]) -> tuple[list[dict], np.ndarray]:
    """Entries of the index, and all results one after the other."""
    entries, arrays = [], []
    names = set()
    for configuration in configurations:
        if configuration.name in names:
            raise ValueError(f"twice: {configuration.name}")
        names.add(configuration.name)
        results = configuration.results()
        for result in results:
            array = result.numpy().astype(np.float64).reshape(-1)
            if not np.isfinite(array).all():
                raise ValueError(f"not finite: {configuration.name}")
            arrays.append(array)
        entry: dict = {"expr": configuration.expr}
        if configuration.unit:
            entry["unit"] = configuration.unit
        entry["in"] = {n: x.entry() for n, x in configuration.inputs.items()}
        if configuration.weights:
            entry["weights"] = {n: x.entry() for n, x in configuration.weights.items()}
        entry["y"] = list(results[0].shape)
        if not results[0].dtype.is_floating_point:
            entry["dtype"] = {torch.bool: "bool", torch.int64: "i32", torch.int32: "i32"}[results[0].dtype]
        entries.append(entry)
    return entries, np.concatenate(arrays) if arrays else np.zeros(0)
