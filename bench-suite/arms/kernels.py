"""The single operations of `kernels.toml` in PyTorch."""

from __future__ import annotations

import json
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arms.protocol import Cell
from exporters.models.core import Layered, Tensors

Shapes = dict[str, tuple[int, ...]]
# Pictures that come with channels last, as PyTorch numbers the axes, and back; in memory nothing moves.
TURNS = {"x": (0, 3, 1, 2), "y": (0, 2, 3, 1)}


class Product(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b


class Softmax(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(x, -1)


class Chain(nn.Module):
    def forward(self, x: Tensor, r: Tensor) -> Tensor:
        return F.gelu(1.5 * x + 0.25) + r


class Attention(nn.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        heads = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)


class Gradient(nn.Module):
    """`inner`, and its derivatives by all that it is given; the last is the cotangent of its result."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        taken = [x.detach().requires_grad_() for x in given[:-1]]
        y = self.inner(*taken)
        return y.detach(), *torch.autograd.grad(y, taken, given[-1])


def convolution(shapes: Shapes, side: int, channels: int, kernel: int, stride: int) -> nn.Module:
    conv = nn.Conv2d(shapes["x"][3], channels, kernel, stride, kernel // 2)
    return nn.Sequential(conv, nn.ReLU()).to(memory_format=torch.channels_last)


def weighted(shapes: Shapes, units: int) -> nn.Module:
    return nn.Sequential(nn.Linear(shapes["a"][1], units, bias=False))


# What makes the module from the shapes of its inputs and the settings, what its first layer is called, what
# it takes and what it gives.
KERNELS: dict[str, tuple[Callable[..., nn.Module], str | None, tuple[str, ...], tuple[str, ...]]] = {
    "gemm": (lambda _: Product(), None, ("a", "b"), ("y",)),
    "gemm_weight": (weighted, "dense", ("a",), ("y",)),
    "conv": (convolution, "conv2d", ("x",), ("y",)),
    "conv_3x3": (convolution, "conv2d", ("x",), ("y",)),
    "attention": (lambda _: Attention(12), None, ("q", "k", "v"), ("y",)),
    "attention_gradient": (
        lambda _: Gradient(Attention(12)),
        None,
        ("q", "k", "v", "ct"),
        ("y", "dq", "dk", "dv"),
    ),
    "softmax": (lambda _: Softmax(), None, ("x",), ("y",)),
    "layer_norm": (
        lambda shapes: nn.Sequential(nn.LayerNorm(shapes["x"][-1])),
        "layer_norm",
        ("x",),
        ("y",),
    ),
    "chain": (lambda _: Chain(), None, ("x", "r"), ("y",)),
}


def network(cell: Cell, shapes: Shapes) -> Layered:
    build, layer, inputs, outputs = KERNELS[cell.model]
    module = build(shapes, **{name: json.loads(text) for name, text in cell.settings.items()})
    return Layered(cell.model, module, {"0": layer} if layer else {}, inputs, outputs, untrained)


def untrained(found: Tensors, given: Tensors) -> Tensor:
    raise NotImplementedError("single operations are not trained")


def turns(model: str) -> dict[str, tuple[int, ...]]:
    return TURNS if model.startswith("conv") else {}
