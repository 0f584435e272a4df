"""What moves elements, over empty, single, odd and prime sizes."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .configuration import Configuration, Input

ROWS = ((0, 4), (1, 1), (3, 5), (7, 2))
MOVES: dict[str, Callable[[Tensor], Tensor]] = {
    "flatten(unsqueeze(x, 2))": lambda x: x.unsqueeze(2).flatten(1),
    "transpose(x)": lambda x: x.T,
    "unsqueeze(x, 1)": lambda x: x.unsqueeze(1),
    "squeeze(unsqueeze(x, 0), 0)": lambda x: x * 1,
    "broadcast(x, [3, size(x, 0), size(x, 1)])": lambda x: x.expand(3, -1, -1) * 1,
    "x[:, 0:1]": lambda x: x[:, 0:1],
    "x[:, ::2]": lambda x: x[:, ::2],
    "x[.., -1]": lambda x: x[..., -1],
    "pad(x, [[1, 0], [2, 3]], value: 0.5)": lambda x: F.pad(x, (2, 3, 1, 0), value=0.5),
    "flip(x, axis: 1)": lambda x: x.flip(1),
    "roll(x, 2, axis: 1)": lambda x: x.roll(2, 1),
    "tile(x, [2, 3])": lambda x: x.tile(2, 3),
    "tril(x)": torch.tril,
    "triu(x, k: 1)": lambda x: torch.triu(x, 1),
    "concat([x, x * 2], axis: 1)": lambda x: torch.cat([x, x * 2], 1),
    "stack([x, x * 2], axis: 1)": lambda x: torch.stack([x, x * 2], 1),
    "masked_fill(x, x > 0.3, -1)": lambda x: x.masked_fill(x > 0.3, -1.0),
    "zeros_like(x) + ones([size(x, 0), size(x, 1)])": torch.ones_like,
    "x * unsqueeze(linspace(0, 1, size(x, 0)), 1)": lambda x: (
        x * torch.linspace(0, 1, x.shape[0], dtype=x.dtype)[:, None]
    ),
    "x * cast(iota(size(x, 1)), float)": lambda x: x * torch.arange(x.shape[1], dtype=x.dtype),
    "x @ eye(size(x, 1))": lambda x: x * 1,
}


def configurations() -> list[Configuration]:
    found = []
    for expr, compute in MOVES.items():
        found += [Configuration(expr, compute, {"x": Input(shape)}) for shape in ROWS]
    return found + _pads() + _picks() + _images()


def _pads() -> list[Configuration]:
    found = []
    for mode, word in (("reflect", "reflect"), ("edge", "replicate")):
        for n, (low, high) in ((1, (0, 0)), (2, (1, 1)), (3, (2, 0)), (5, (1, 4)), (7, (3, 2))):
            found.append(
                Configuration(
                    f'pad(x, [[0, 0], [0, 0], [{low}, {high}]], mode: "{mode}")',
                    lambda x, sides=(low, high), word=word: F.pad(x, sides, mode=word),
                    {"x": Input((2, 1, n))},
                )
            )
        for h, w in ((2, 3), (5, 4)):
            found.append(
                Configuration(
                    f'pad(x, [[0, 0], [0, 0], [1, 0], [2, 1]], mode: "{mode}")',
                    lambda x, word=word: F.pad(x, (2, 1, 1, 0), mode=word),
                    {"x": Input((1, 2, h, w))},
                )
            )
    found.append(
        Configuration(
            'pad(x, [[0, 0], [0, 0], [4, 5]], mode: "edge")',
            lambda x: F.pad(x, (4, 5), mode="replicate"),
            {"x": Input((1, 2, 1))},
        )
    )
    return found


def _picks() -> list[Configuration]:
    found = []
    for rows, places in ((1, (1,)), (5, (0,)), (5, (7,)), (3, (2, 3)), (13, (1, 1))):
        table = {"x": Input((rows, 2)), "index": Input(places, below=rows)}
        found += [
            Configuration("take(x, index)", lambda x, index: x[index.long()], table),
            Configuration(
                "gather(x, index, axis: 1)",
                lambda x, index: x[:, index.long()],
                {"x": Input((2, rows)), "index": Input(places, below=rows)},
            ),
            Configuration(
                f"cast(one_hot(index, {rows}), i32)",
                lambda index, rows=rows: F.one_hot(index.long(), rows).to(torch.int32),
                {"index": Input(places, below=rows)},
            ),
            Configuration(
                "unit(index)",
                lambda index, w: F.embedding(index, w),
                {"index": Input(places, below=rows)},
                f"embedding({rows}, 3)",
                {"w": Input((rows, 3))},
            ),
        ]
        if len(places) == 1:
            found.append(
                Configuration(
                    "scatter_add(x, index, update, axis: 0)",
                    lambda x, index, update: x.index_add(0, index.long(), update),
                    {**table, "update": Input((*places, 2))},
                )
            )
    return found


def _images() -> list[Configuration]:
    found = []
    for h, w in ((1, 1), (2, 3), (5, 4)):
        for to in (1, 2, 3, 7, [5, 2]):
            pair = [to, to] if isinstance(to, int) else to
            x = {"x": Input((1, 1, h, w))}
            found.append(
                Configuration(
                    f"resize_bilinear(x, {to})",
                    lambda x, pair=pair: F.interpolate(x, pair, mode="bilinear", align_corners=False),
                    x,
                )
            )
            found.append(
                Configuration(
                    f"resize_bilinear(x, {to}, align_corners: true)",
                    lambda x, pair=pair: F.interpolate(x, pair, mode="bilinear", align_corners=True),
                    x,
                )
            )
            found.append(
                Configuration(
                    f"resize_nearest(x, {to})",
                    lambda x, pair=pair: F.interpolate(x, pair, mode="nearest"),
                    x,
                )
            )
    for r in (1, 2, 3):
        found.append(
            Configuration(
                f"pixel_shuffle(x, {r})", lambda x, r=r: F.pixel_shuffle(x, r), {"x": Input((1, r * r, 1, 3))}
            )
        )
    return found
