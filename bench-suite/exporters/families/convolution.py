"""Convolutions over stride, padding, dilation and groups."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch.nn.functional as F
from torch import Tensor

from ..case import Case, Draws, run_case

CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d}


def cases() -> list[Case]:
    # Small shapes in all their combinations are in `sweeps`; these have more channels.
    found = list(_grid(1, (9,), strides=(1, 2), dilations=(1, 2), paddings=("same",), groups=(1, 2)))
    found += _grid(2, (6, 5), strides=(1, 2), dilations=(1,), paddings=("same", "valid"), groups=(1, 4))
    found += _grid(3, (3, 5, 4), strides=(1,), dilations=(1,), paddings=("same",), groups=(1, 2))
    found.append(_convolution("conv2d_padding_number", 2, (6, 6), (3, 3), padding=2))
    found.append(
        _convolution("conv2d_lists", 2, (8, 9), (3, 2), stride=[2, 1], padding=[1, 0], dilation=[1, 2])
    )
    found.append(_convolution("conv2d_pointwise", 2, (4, 3), (1, 1)))
    found.append(_convolution("conv2d_pointwise_stride", 2, (5, 5), (1, 1), stride=2))
    found.append(_convolution("conv2d_large_kernel", 2, (9, 9), (5, 5)))
    found.append(_convolution("conv2d_without_bias", 2, (5, 5), (3, 3), bias=False))
    found += [_depthwise("depthwise_conv2d", 1, 1), _depthwise("depthwise_conv2d_multiplier", 2, 2)]
    found += [
        _transposed("conv_transpose1d", 1, (5,), 2, 1, 0),
        _transposed("conv_transpose2d", 2, (4, 3), 2, 1, 1),
    ]
    return found


def _grid(
    axes: int,
    size: tuple[int, ...],
    *,
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    paddings: tuple[str, ...],
    groups: tuple[int, ...],
) -> Iterator[Case]:
    kernel = (3,) * axes
    for stride, dilation, padding, group in product(strides, dilations, paddings, groups):
        name = f"conv{axes}d_s{stride}_d{dilation}_{padding}_g{group}"
        yield _convolution(
            name, axes, size, kernel, stride=stride, padding=padding, dilation=dilation, groups=group
        )


def _convolution(
    name: str,
    axes: int,
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    *,
    stride: int | list[int] = 1,
    padding: int | list[int] | str = "same",
    dilation: int | list[int] = 1,
    groups: int = 1,
    bias: bool = True,
) -> Case:
    draws = Draws(name)
    channels = 2 if axes == 3 else 4
    weights = {"w": draws.normal(channels, channels // groups, *kernel)}
    if bias:
        weights["b"] = draws.normal(channels)
    # PyTorch knows "same" for stride 1 only; ours is a number that does not depend on the stride.
    sides = dilation if isinstance(dilation, list) else [dilation] * axes
    number = {"same": [d * (k - 1) // 2 for d, k in zip(sides, kernel, strict=True)], "valid": 0}
    amount = number[padding] if isinstance(padding, str) else padding

    def convolve(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
        return CONVOLVE[axes](x, w, b, stride=stride, padding=amount, dilation=dilation, groups=groups)

    shown = kernel[0] if len(set(kernel)) == 1 else list(kernel)
    said = [f"{channels}", f"kernel: {shown}"]
    said += [f"stride: {stride}"] * (stride != 1)
    said += [f"padding: {_quoted(padding)}"] * (padding != "same")
    said += [f"dilation: {dilation}"] * (dilation != 1)
    said += [f"groups: {groups}"] * (groups != 1)
    said += ["bias: false"] * (not bias)
    return run_case(
        name,
        "unit(x)",
        convolve,
        {"x": draws.normal(2 if axes == 1 else 1, channels, *size)},
        weights=weights,
        lines=(f"unit = conv{axes}d({', '.join(said)})",),
    )


def _depthwise(name: str, stride: int, multiplier: int) -> Case:
    draws = Draws(name)
    return run_case(
        name,
        "unit(x)",
        lambda x, w, b: F.conv2d(x, w, b, stride=stride, padding=1, groups=3),
        {"x": draws.normal(2, 3, 6, 5)},
        weights={"w": draws.normal(3 * multiplier, 1, 3, 3), "b": draws.normal(3 * multiplier)},
        lines=(f"unit = depthwise_conv2d(3, stride: {stride}, multiplier: {multiplier})",),
    )


def _transposed(name: str, axes: int, size: tuple[int, ...], stride: int, padding: int, extra: int) -> Case:
    draws = Draws(name)
    said = f"2, kernel: 3, stride: {stride}, padding: {padding}, output_padding: {extra}"
    return run_case(
        name,
        "unit(x)",
        lambda x, w, b: TRANSPOSED[axes](x, w, b, stride=stride, padding=padding, output_padding=extra),
        {"x": draws.normal(2, 3, *size)},
        weights={"w": draws.normal(3, 2, *(3,) * axes), "b": draws.normal(2)},
        lines=(f"unit = conv_transpose{axes}d({said})",),
    )


def _quoted(value: int | list[int] | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
