"""Pooling: windows over the last axes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..case import Case, Draws, run_case

# PyTorch's positional arguments after the size: stride, padding
WINDOWS: dict[str, tuple[str, list]] = {
    "two": ("2", [2, 2, 0]),
    "overlapping": ("3, stride: 2", [3, 2, 0]),
    "padded": ("3, stride: 2, padding: 1", [3, 2, 1]),
    "dense": ("2, stride: 1", [2, 1, 0]),
}


def cases() -> list[Case]:
    found = []
    for form, (said, given) in WINDOWS.items():
        image = {"x": Draws(f"pool {form}").normal(1, 2, 7, 6)}
        line = {"x": Draws(f"pool1d {form}").normal(2, 3, 9)}
        pools = {
            "max_pool2d": (F.max_pool2d, image),
            "max_pool1d": (F.max_pool1d, line),
        }
        for function, (compute, inputs) in pools.items():
            found.append(
                run_case(
                    f"{function}_{form}",
                    f"{function}(x, {said})",
                    lambda x, compute=compute, given=given: compute(x, *given),
                    inputs,
                )
            )
        averages = {"avg_pool2d": (F.avg_pool2d, image), "avg_pool1d": (F.avg_pool1d, line)}
        for function, (compute, inputs) in averages.items():
            for counted in (False, True):
                word = ", count_padding: true" if counted else ""
                found.append(
                    run_case(
                        f"{function}_{form}" + ("_counted" if counted else ""),
                        f"{function}(x, {said}{word})",
                        lambda x, compute=compute, given=given, counted=counted: compute(
                            x, *given, count_include_pad=counted
                        ),
                        inputs,
                    )
                )
    image = {"x": Draws("global pool").normal(2, 2, 4, 6)}
    found.append(run_case("global_avg_pool", "global_avg_pool(x)", lambda x: x.mean((2, 3)), image))
    found.append(run_case("global_max_pool", "global_max_pool(x)", lambda x: torch.amax(x, (2, 3)), image))
    found.append(
        run_case(
            "adaptive_avg_pool2d",
            "adaptive_avg_pool2d(x, [2, 3])",
            lambda x: F.adaptive_avg_pool2d(x, (2, 3)),
            image,
        )
    )
    return found
