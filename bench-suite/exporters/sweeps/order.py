"""Order and sums along an axis, over empty, single, odd and prime sizes."""

from __future__ import annotations

import torch

from .configuration import Configuration, Input

SHAPES = ((0,), (1,), (7,), (2, 5), (3, 0, 2), (2, 3, 5))


def configurations() -> list[Configuration]:
    found = []
    for shape in SHAPES:
        x = {"x": Input(shape)}
        # Several zeros among the factors: where division would fail.
        coarse = {"x": Input(shape, below=3), "r": Input(shape)}
        for axis in range(len(shape)):
            for descending in (False, True):
                said = f"x, axis: {axis}" + ", descending: true" * descending
                given = {"dim": axis, "descending": descending, "stable": True}
                found.append(
                    Configuration(f"sort({said})", lambda x, given=given: torch.sort(x, **given).values, x)
                )
                found.append(
                    Configuration(f"argsort({said})", lambda x, given=given: torch.argsort(x, **given), x)
                )
            found.append(
                Configuration(f"cumsum(x, axis: {axis})", lambda x, axis=axis: torch.cumsum(x, axis), x)
            )
            found.append(
                Configuration(
                    f"cumprod(r * cast(x, float), axis: {axis})",
                    lambda x, r, axis=axis: torch.cumprod(r * x, axis),
                    coarse,
                )
            )
        if shape[-1] > 0:
            found.append(
                Configuration(
                    "take_along(x, index, axis: -1)",
                    lambda x, index: torch.take_along_dim(x, index.long(), -1),
                    {"x": Input(shape), "index": Input((*shape[:-1], 3), below=shape[-1])},
                )
            )
    for n, width, at in ((1, 1, 0), (5, 0, 2), (7, 3, 4), (13, 13, 0)):
        found.append(
            Configuration(
                f"write(x, update, at: {at}, axis: 1)",
                lambda x, update, at=at, width=width: torch.cat(
                    [x[:, :at], update, x[:, at + width :]], dim=1
                ),
                {"x": Input((2, n)), "update": Input((2, width))},
            )
        )
    return found
