"""Functions of one element at a time, and reductions, over empty, single, odd and prime sizes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..families.elementwise import ACTIVATIONS, BINARY, UNARY
from ..families.reductions import REDUCTIONS
from .configuration import Configuration, Input

SHAPES = ((0,), (1,), (7,), (3, 5))
PAIRS = (((0,), (0,)), ((1,), (1,)), ((5, 7), (7,)), ((3, 1), (1, 5)), ((0, 3), (3,)))
REDUCED = ((0,), (1,), (13,), (3, 5), (2, 0, 3), (2, 3, 5))
# These have no value of nothing.
NEED_ELEMENTS = {"mean", "max", "min", "var", "std", "logsumexp", "norm"}


def configurations() -> list[Configuration]:
    found = []
    for expr, compute, low, high in UNARY.values():
        found += [Configuration(expr, compute, {"x": Input(shape, low, high)}) for shape in SHAPES]
    for expr, compute in ACTIVATIONS.values():
        found += [Configuration(expr, compute, {"x": Input(shape, -6, 6)}) for shape in SHAPES]
    for expr, compute, low, high in BINARY.values():
        for a, b in PAIRS:
            found.append(Configuration(expr, compute, {"a": Input(a, low, high), "b": Input(b, low, high)}))
    for shape in SHAPES:
        found.append(
            Configuration(
                "unit(x)",
                lambda x, a: F.prelu(x, a),
                {"x": Input(shape)},
                "prelu()",
                {"a": Input((1,))},
            )
        )
        found += [
            Configuration("clip(x, -0.5, 0.25)", lambda x: x.clamp(-0.5, 0.25), {"x": Input(shape)}),
            Configuration("cast(x * 9, i32)", lambda x: (x * 9).to(torch.int32), {"x": Input(shape)}),
            Configuration("x > 0 or x < -0.5", lambda x: (x > 0) | (x < -0.5), {"x": Input(shape)}),
            Configuration("not (x > 0)", lambda x: ~(x > 0), {"x": Input(shape)}),
            Configuration("isnan(log(x))", lambda x: torch.isnan(torch.log(x)), {"x": Input(shape)}),
            Configuration("isinf(1 / (x - x))", lambda x: torch.isinf(1 / (x - x)), {"x": Input(shape)}),
            Configuration("isfinite(log(x))", lambda x: torch.isfinite(torch.log(x)), {"x": Input(shape)}),
            Configuration("i != 3", lambda i: i != 3, {"i": Input(shape, below=5)}),
            Configuration("i % 3 + i", lambda i: i % 3 + i, {"i": Input(shape, below=11)}),
        ]
    for values in ([], [0.5], [1.0, -2.0, 3.0]):
        found.append(
            Configuration(
                f"x * {values}",
                lambda x, values=values: x * torch.tensor(values, dtype=x.dtype),
                {"x": Input((len(values),))},
            )
        )
    return found + _reductions() + _softmax()


def _reductions() -> list[Configuration]:
    found = []
    for function, compute in REDUCTIONS.items():
        for shape in REDUCED:
            axes = [("", list(range(len(shape))), False), (", axis: -1, keep: true", [-1], True)]
            if len(shape) > 1:
                axes += [(", axis: 0", [0], False)]
            if len(shape) > 2:
                axes += [(", axis: [0, 2]", [0, 2], False)]
            for said, dim, keep in axes:
                if 0 in shape and function in NEED_ELEMENTS:
                    continue

                def reduced(
                    x: Tensor, compute: object = compute, dim: list[int] = dim, keep: bool = keep
                ) -> Tensor:
                    return compute(x, dim, keepdim=keep)

                found.append(Configuration(f"{function}(x{said})", reduced, {"x": Input(shape, -2, 2)}))
    for shape in REDUCED:
        for function, compute in (("any", torch.any), ("all", torch.all)):
            found.append(
                Configuration(
                    f"{function}(x > 0, axis: -1)",
                    lambda x, compute=compute: compute(x > 0, -1),
                    {"x": Input(shape)},
                )
            )
    for function, compute in (("max", torch.amax), ("min", torch.amin)):
        found.append(
            Configuration(
                f"{function}(x, axis: -1)",
                lambda x, compute=compute: compute(x, -1),
                {"x": Input((0, 3))},
            )
        )
    for shape in REDUCED:
        if shape[-1] > 0:
            for function, compute in (("argmax", torch.argmax), ("argmin", torch.argmin)):
                found.append(
                    Configuration(
                        f"{function}(x, axis: -1)",
                        lambda x, compute=compute: compute(x, -1),
                        {"x": Input(shape)},
                    )
                )
    return found


def _softmax() -> list[Configuration]:
    found = []
    for shape in REDUCED:
        # The largest of nothing has no value in the language.
        for axis in (axis for axis, size in enumerate(shape) if size > 0):
            for function, compute in (("softmax", F.softmax), ("log_softmax", F.log_softmax)):
                found.append(
                    Configuration(
                        f"{function}(x, axis: {axis})",
                        lambda x, compute=compute, axis=axis: compute(x, axis),
                        {"x": Input(shape, -4, 4)},
                    )
                )
    return found
