"""Windows over the last axes: pooling and patches."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .choice import Choice
from .configuration import Configuration, Input
from .convolution import around, counted, distinct, listed

MAXIMUM = {1: F.max_pool1d, 2: F.max_pool2d}
AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d}
LARGEST = 110


def configurations() -> list[Configuration]:
    found = []
    for axes in (1, 2):
        found += distinct(_windows(axes, "max"), 30)
        found += distinct(_windows(axes, "avg"), 30)
    found += distinct(_unfold(), 20)
    for size in ((1, 1), (1, 7), (5, 3), (7, 7), (4, 6)):
        for to in (1, 2, 3, [2, 5], [7, 1]):
            pair = [to, to] if isinstance(to, int) else to
            found.append(
                Configuration(
                    f"adaptive_avg_pool2d(x, {to})",
                    lambda x, pair=pair: F.adaptive_avg_pool2d(x, pair),
                    {"x": Input((1, 2, *size))},
                )
            )
    for shape in ((2, 3, 1), (1, 2, 13), (2, 2, 3, 5), (1, 1, 1, 7), (2, 1, 2, 3, 5)):
        inside = tuple(range(2, len(shape)))
        for function, compute in (("avg", torch.mean), ("max", torch.amax)):
            found.append(
                Configuration(
                    f"global_{function}_pool(x)",
                    lambda x, compute=compute, inside=inside: compute(x, inside),
                    {"x": Input(shape)},
                )
            )
    return found


def _windows(axes: int, kind: str) -> Iterator[Configuration | None]:
    choice = Choice(f"pooling {axes} {kind}")
    while True:
        size, said_size = listed(choice, axes, (1, 2, 2, 3, 4, 5))
        stride, said_stride = listed(choice, axes, (0, 1, 2, 3))
        if min(stride) == 0:
            stride, said_stride = size, None
        padding = [choice.of(tuple(range(k // 2 + 1))) for k in size]
        counting = kind == "avg" and choice.of((True, False))
        batch, channels = choice.of((0, 1, 1, 2)), choice.of((1, 2, 3))
        extent = [choice.of((1, 2, 3, 5, 7, 11)) for _ in range(axes)]
        counts = counted(extent, size, stride, [1] * axes, [(p, p) for p in padding])
        if counts is None or batch * channels * int(torch.tensor(extent).prod()) > LARGEST:
            yield None
            continue
        said = [str(said_size)]
        said += [f"stride: {said_stride}"] * (said_stride is not None)
        said += [f"padding: {padding}"] * any(padding)
        said += ["count_padding: true"] * counting

        def compute(
            x: Tensor,
            given: tuple = (size, stride, padding),
            counting: bool = counting,
        ) -> Tensor:
            if kind == "max":
                return MAXIMUM[axes](x, *given)
            return AVERAGE[axes](x, *given, count_include_pad=counting)

        expr = f"{kind}_pool{axes}d(x, {', '.join(said)})"
        yield Configuration(expr, compute, {"x": Input((batch, channels, *extent))})


def _unfold() -> Iterator[Configuration | None]:
    choice = Choice("unfold")
    while True:
        size, said_size = listed(choice, 2, (1, 2, 3))
        stride, said_stride = listed(choice, 2, (1, 2, 3))
        dilation, said_dilation = listed(choice, 2, (1, 1, 2))
        padding, said_padding = listed(choice, 2, (0, 0, 1, 2))
        extent = [choice.of((1, 2, 3, 5)) for _ in range(2)]
        sides = [(p, p) for p in padding]
        counts = counted(extent, size, stride, dilation, sides)
        if counts is None or int(torch.tensor([*counts, *size]).prod()) > LARGEST:
            yield None
            continue
        said = [
            f"{word}: {value}"
            for word, value, usual in (
                ("stride", said_stride, 1),
                ("padding", said_padding, 0),
                ("dilation", said_dilation, 1),
            )
            if value != usual
        ]

        def compute(x: Tensor, given: tuple = (size, stride, dilation, sides)) -> Tensor:
            size, stride, dilation, sides = given
            return F.unfold(around(x, sides), size, dilation, 0, stride)

        expr = f"unfold(x, {', '.join([str(said_size), *said])})"
        yield Configuration(expr, compute, {"x": Input((1, choice.of((1, 2)), *extent))})
