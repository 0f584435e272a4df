"""Convolutions: every axis count, stride, dilation, padding and grouping against many sizes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .choice import Choice
from .configuration import Configuration, Input

CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d}
SIZES = {1: (1, 2, 3, 5, 7, 8, 11, 13), 2: (1, 2, 3, 4, 5, 7), 3: (1, 2, 3, 4)}
KERNELS = {1: (1, 2, 3, 4, 5), 2: (1, 2, 3, 4), 3: (1, 2, 3)}
COUNTS = {1: 240, 2: 220, 3: 60}
# Results of one configuration, so that all of them together stay small.
LARGEST = {1: 110, 2: 130, 3: 150}


def configurations() -> list[Configuration]:
    found = []
    for axes, count in COUNTS.items():
        found += distinct(_convolutions(axes), count)
    found += distinct(_depthwise(), 50)
    for axes in TRANSPOSED:
        found += distinct(_transposed(axes), 60)
    return found


def distinct(candidates: Iterator[Configuration | None], count: int) -> list[Configuration]:
    found: dict[str, Configuration] = {}
    while len(found) < count:
        candidate = next(candidates)
        if candidate is not None:
            found.setdefault(candidate.name, candidate)
    return list(found.values())


def listed(choice: Choice, axes: int, options: tuple[int, ...]) -> tuple[list[int], object]:
    """One number an axis, and how that is said: now and then as a list, else as one number for all."""
    if axes > 1 and choice.of((0, 0, 1)):
        numbers = [choice.of(options) for _ in range(axes)]
        return numbers, numbers
    number = choice.of(options)
    return [number] * axes, number


def _padding(
    choice: Choice, kernel: list[int], dilation: list[int]
) -> tuple[list[tuple[int, int]], str | None]:
    axes = len(kernel)
    kind = choice.of(("same", "same", "valid", "number", "list", "sides"))
    if kind == "same":
        return [(d * (k - 1) // 2,) * 2 for k, d in zip(kernel, dilation, strict=True)], None
    if kind == "valid":
        return [(0, 0)] * axes, '"valid"'
    if kind == "number":
        number = choice.of((1, 2, 3))
        return [(number, number)] * axes, str(number)
    if kind == "list":
        numbers = [choice.of((0, 1, 2)) for _ in range(axes)]
        return [(n, n) for n in numbers], str(numbers)
    sides = [(choice.of((0, 1, 2)), choice.of((0, 1, 2, 3))) for _ in range(axes)]
    return sides, str([list(pair) for pair in sides])


def _convolutions(axes: int) -> Iterator[Configuration | None]:
    choice = Choice(f"convolutions {axes}")
    while True:
        yield _convolution(choice, axes)


def _convolution(choice: Choice, axes: int) -> Configuration | None:
    kernel, said_kernel = listed(choice, axes, KERNELS[axes])
    stride, said_stride = listed(choice, axes, (1, 1, 2, 3))
    dilation, said_dilation = listed(choice, axes, (1, 1, 2, 3))
    padding, said_padding = _padding(choice, kernel, dilation)
    groups = choice.of((1, 1, 2, 3))
    channels = groups * choice.of((1, 2) if axes > 1 else (1, 2, 3))
    outputs = groups * choice.of((1, 2, 3) if axes == 1 else (1, 2))
    bias = choice.of((True, True, False))
    batch = choice.of((0, 1, 1, 1, 2, 3))
    size = [choice.of(SIZES[axes]) for _ in range(axes)]
    counts = counted(size, kernel, stride, dilation, padding)
    weights = outputs * channels // groups * _product(kernel)
    if (
        counts is None
        or weights + batch * (outputs * _product(counts) + channels * _product(size)) > LARGEST[axes]
    ):
        return None
    said = [str(outputs), str(said_kernel)]
    said += [f"stride: {said_stride}"] * (said_stride != 1)
    said += [f"padding: {said_padding}"] * (said_padding is not None)
    said += [f"dilation: {said_dilation}"] * (said_dilation != 1)
    said += [f"groups: {groups}"] * (groups != 1)
    said += ["bias: false"] * (not bias)

    def compute(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
        return CONVOLVE[axes](around(x, padding), w, b, stride, 0, dilation, groups)

    parameters = {"w": Input((outputs, channels // groups, *kernel))}
    if bias:
        parameters["b"] = Input((outputs,))
    unit = f"conv{axes}d({', '.join(said)})"
    return Configuration("unit(x)", compute, {"x": Input((batch, channels, *size))}, unit, parameters)


def _depthwise() -> Iterator[Configuration | None]:
    choice = Choice("depthwise")
    while True:
        kernel, said_kernel = listed(choice, 2, (1, 2, 3, 4))
        stride, said_stride = listed(choice, 2, (1, 1, 2, 3))
        padding, said_padding = _padding(choice, kernel, [1, 1])
        channels, multiplier = choice.of((1, 2, 3)), choice.of((1, 1, 2))
        bias = choice.of((True, True, False))
        batch = choice.of((1, 1, 2))
        size = [choice.of(SIZES[2]) for _ in range(2)]
        counts = counted(size, kernel, stride, [1, 1], padding)
        if counts is None:
            yield None
            continue
        outputs = channels * multiplier
        if batch * (outputs * _product(counts) + channels * _product(size)) > LARGEST[2]:
            yield None
            continue
        said = [str(said_kernel)]
        said += [f"stride: {said_stride}"] * (said_stride != 1)
        said += [f"padding: {said_padding}"] * (said_padding is not None)
        said += [f"multiplier: {multiplier}"] * (multiplier != 1)
        said += ["bias: false"] * (not bias)

        def compute(
            x: Tensor,
            w: Tensor,
            b: Tensor | None = None,
            padding: list[tuple[int, int]] = padding,
            stride: list[int] = stride,
            channels: int = channels,
        ) -> Tensor:
            return F.conv2d(around(x, padding), w, b, stride, groups=channels)

        parameters = {"w": Input((outputs, 1, *kernel))}
        if bias:
            parameters["b"] = Input((outputs,))
        unit = f"depthwise_conv2d({', '.join(said)})"
        yield Configuration("unit(x)", compute, {"x": Input((batch, channels, *size))}, unit, parameters)


def _transposed(axes: int) -> Iterator[Configuration | None]:
    choice = Choice(f"transposed {axes}")
    while True:
        kernel, said_kernel = listed(choice, axes, (1, 2, 3, 4, 5) if axes == 1 else (1, 2, 3))
        stride, said_stride = listed(choice, axes, (1, 2, 2, 3))
        padding = [choice.of(tuple(range(k + 1))) for k in kernel]
        extra = [choice.of(tuple(range(s))) for s in stride]
        groups = choice.of((1, 1, 2, 3))
        channels, outputs = groups * choice.of((1, 2)), groups * choice.of((1, 2))
        bias = choice.of((True, True, False))
        batch = choice.of((0, 1, 1, 2))
        size = [choice.of((1, 2, 3, 5, 7) if axes == 1 else (1, 2, 3)) for _ in range(axes)]
        counts = [
            (n - 1) * s - 2 * p + k + e
            for n, k, s, p, e in zip(size, kernel, stride, padding, extra, strict=True)
        ]
        weights = channels * outputs // groups * _product(kernel)
        results = batch * (outputs * _product(counts) + channels * _product(size)) + weights
        if min(counts) < 1 or results > LARGEST[axes]:
            yield None
            continue
        said = [str(outputs), str(said_kernel)]
        said += [f"stride: {said_stride}"] * (said_stride != 1)
        said += [f"padding: {padding}"] * any(padding)
        said += [f"output_padding: {extra}"] * any(extra)
        said += [f"groups: {groups}"] * (groups != 1)
        said += ["bias: false"] * (not bias)

        def compute(
            x: Tensor,
            w: Tensor,
            b: Tensor | None = None,
            given: tuple = (stride, padding, extra, groups),
        ) -> Tensor:
            return TRANSPOSED[axes](x, w, b, *given)

        parameters = {"w": Input((channels, outputs // groups, *kernel))}
        if bias:
            parameters["b"] = Input((outputs,))
        unit = f"conv_transpose{axes}d({', '.join(said)})"
        yield Configuration("unit(x)", compute, {"x": Input((batch, channels, *size))}, unit, parameters)


def counted(
    size: list[int], kernel: list[int], stride: list[int], dilation: list[int], padding: list[tuple[int, int]]
) -> list[int] | None:
    """Places of the kernel along each axis; nothing where it does not fit."""
    found = []
    for n, k, s, d, (low, high) in zip(size, kernel, stride, dilation, padding, strict=True):
        room = n + low + high - d * (k - 1) - 1
        if room < 0:
            return None
        found.append(room // s + 1)
    return found


def around(x: Tensor, padding: list[tuple[int, int]], value: float = 0.0) -> Tensor:
    widths = [width for pair in reversed(padding) for width in pair]
    return F.pad(x, widths, value=value) if any(widths) else x


def _product(numbers: list[int]) -> int:
    return int(torch.tensor(numbers).prod())
