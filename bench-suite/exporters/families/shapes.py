"""What moves elements: shapes, slices, indexing, resizing."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..case import Case, Draws, run_case

MOVES: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "reshape": ("reshape(x, [4, 6])", lambda x: x.reshape(4, 6)),
    "flatten": ("flatten(x)", lambda x: x.flatten(1)),
    "transpose": ("transpose(x, [2, 0, 1])", lambda x: x.permute(2, 0, 1)),
    "unsqueeze": ("unsqueeze(x, 1)", lambda x: x.unsqueeze(1)),
    "squeeze": ("squeeze(unsqueeze(x, 2), 2)", lambda x: x),
    "broadcast": ("broadcast(unsqueeze(x, 0), [3, 2, 3, 4])", lambda x: x.unsqueeze(0).expand(3, 2, 3, 4)),
    "slice": ("x[:, 1:3, 0]", lambda x: x[:, 1:3, 0]),
    "slice_step": ("x[:, ::2, 1:4:2]", lambda x: x[:, ::2, 1:4:2]),
    "slice_last": ("x[.., -1]", lambda x: x[..., -1]),
    "pad": ("pad(x, [[0, 0], [1, 2], [2, 1]], value: 0.5)", lambda x: F.pad(x, (2, 1, 1, 2), value=0.5)),
    "flip": ("flip(x, axis: 1)", lambda x: x.flip(1)),
    "roll": ("roll(x, 2, axis: 2)", lambda x: x.roll(2, 2)),
    "tile": ("tile(x, [1, 2, 1])", lambda x: x.tile(1, 2, 1)),
    "tril": ("tril(x)", torch.tril),
    "tril_below": ("tril(x, k: -1)", lambda x: torch.tril(x, -1)),
    "triu": ("triu(x, k: 1)", lambda x: torch.triu(x, 1)),
    "split": ("first * second", lambda x: x[..., :2] * x[..., 2:]),
}


def cases() -> list[Case]:
    found = []
    for name, (expr, compute) in MOVES.items():
        lines = ("first, second = split(x, 2, axis: -1)",) if name == "split" else ()
        found.append(run_case(name, expr, compute, {"x": Draws(name).normal(2, 3, 4)}, lines=lines))
    draws = Draws("shapes")
    pair = {"a": draws.normal(2, 3), "b": draws.normal(2, 3)}
    found.append(run_case("stack", "stack([a, b], axis: 1)", lambda a, b: torch.stack([a, b], 1), pair))
    found.append(run_case("concat", "concat([a, b], axis: 1)", lambda a, b: torch.cat([a, b], 1), pair))
    found.append(
        run_case("concat_thrice", "concat([a, b, a], axis: 0)", lambda a, b: torch.cat([a, b, a], 0), pair)
    )
    table = {"x": draws.normal(5, 3), "index": torch.tensor([[4, 0], [2, 4]], dtype=torch.int32)}
    found.append(run_case("take", "take(x, index)", lambda x, index: x[index.long()], table))
    found.append(run_case("gather_rows", "x[index]", lambda x, index: x[index.long()], table))
    columns = {"x": draws.normal(3, 4), "index": torch.tensor([2, 0, 2], dtype=torch.int32)}
    found.append(
        run_case("gather_axis", "gather(x, index, axis: 1)", lambda x, index: x[:, index.long()], columns)
    )
    found.append(
        run_case(
            "embedding",
            "unit(index)",
            lambda index, w: F.embedding(index, w),
            {"index": table["index"]},
            weights={"w": draws.normal(5, 3)},
            lines=("unit = embedding(5, 3)",),
        )
    )
    found.append(
        run_case(
            "scatter_add",
            "scatter_add(x, index, update, axis: 0)",
            lambda x, index, update: x.index_add(0, index.long(), update),
            {
                "x": draws.normal(4, 3),
                "index": torch.tensor([1, 3, 1], dtype=torch.int32),
                "update": draws.normal(3, 3),
            },
        )
    )
    found.append(
        run_case(
            "one_hot",
            "one_hot(index, 5)",
            lambda index: F.one_hot(index.long(), 5).to(torch.float64),
            {"index": table["index"]},
            differentiate=False,
        )
    )
    found.append(
        run_case(
            "masked_fill",
            "masked_fill(x, x > 0.3, -1)",
            lambda x: x.masked_fill(x > 0.3, -1.0),
            {"x": draws.normal(3, 4)},
        )
    )
    found.append(
        run_case(
            "pixel_shuffle",
            "pixel_shuffle(x, 2)",
            lambda x: F.pixel_shuffle(x, 2),
            {"x": draws.normal(1, 8, 2, 3)},
        )
    )
    found.append(
        run_case(
            "resize_nearest",
            "resize_nearest(x, [4, 5])",
            lambda x: F.interpolate(x, (4, 5), mode="nearest"),
            {"x": draws.normal(1, 2, 2, 3)},
        )
    )
    return found
