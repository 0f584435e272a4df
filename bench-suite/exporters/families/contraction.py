"""Matrix products, dense layers and index equations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..case import Case, Draws, run_case

# left and right shapes of `a @ b`
PRODUCTS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "matmul": ((3, 5), (5, 4)),
    "matmul_row": ((1, 7), (7, 3)),
    "matmul_column": ((5, 3), (3, 1)),
    "matmul_outer": ((4, 1), (1, 6)),
    "matmul_wide": ((9, 33), (33, 17)),
    "matmul_batched": ((2, 3, 4), (2, 4, 5)),
    "matmul_shared_right": ((2, 3, 4), (4, 5)),
    "matmul_shared_left": ((3, 4), (2, 4, 5)),
    "matmul_broadcast": ((2, 1, 3, 4), (1, 3, 4, 2)),
}


def _dense(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    return F.linear(x, w.transpose(0, 1), b)


def cases() -> list[Case]:
    found = []
    for name, (a, b) in PRODUCTS.items():
        draws = Draws(name)
        found.append(run_case(name, "a @ b", torch.matmul, {"a": draws.normal(*a), "b": draws.normal(*b)}))
    draws = Draws("contraction")
    square = {"a": draws.normal(4, 4), "b": draws.normal(4, 4)}
    found.append(run_case("matmul_transposed_left", "transpose(a) @ b", lambda a, b: a.T @ b, square))
    found.append(run_case("matmul_transposed_right", "a @ transpose(b)", lambda a, b: a @ b.T, square))
    found.append(run_case("matmul_chain", "a @ b @ a", lambda a, b: a @ b @ a, square))
    for name, shape in {"dense": (5, 3), "dense_sequence": (2, 4, 3)}.items():
        draws = Draws(name)
        found.append(
            run_case(
                name,
                "unit(x)",
                _dense,
                {"x": draws.normal(*shape)},
                weights={"w": draws.normal(3, 6), "b": draws.normal(6)},
                lines=("unit = dense(6)",),
            )
        )
    found.append(
        run_case(
            "dense_without_bias",
            "unit(x)",
            _dense,
            {"x": draws.normal(5, 3)},
            weights={"w": draws.normal(3, 2)},
            lines=("unit = dense(2, bias: false)",),
        )
    )
    vectors = {"a": draws.normal(3), "b": draws.normal(4)}
    found.append(run_case("outer", "outer(a, b)", torch.outer, vectors))
    found.append(run_case("trace", "trace(x)", torch.trace, {"x": draws.normal(4, 4)}))
    scores = {"q": draws.normal(2, 3, 2, 4), "k": draws.normal(2, 5, 2, 4)}
    found.append(
        run_case(
            "index_scores",
            "score",
            lambda q, k: torch.einsum("bihe,bjhe->bhij", q, k) / 2,
            scores,
            lines=("score[b, h, i, j] = sum[e] q[b, i, h, e] * k[b, j, h, e] / 2",),
        )
    )
    found.append(
        run_case(
            "index_distances",
            "distance",
            lambda a, b: ((a[:, None, :] - b[None, :, :]) ** 2).sum(-1),
            {"a": draws.normal(3, 4), "b": draws.normal(5, 4)},
            lines=("distance[i, j] = sum[k] (a[i, k] - b[j, k]) ^ 2",),
        )
    )
    found.append(
        run_case(
            "index_convolution",
            "r",
            lambda x, w: F.conv1d(x, w),
            {"x": draws.normal(2, 3, 8), "w": draws.normal(4, 3, 3)},
            lines=("r[n, o, t] = sum[c, u] x[n, c, t + u] * w[o, c, u]",),
        )
    )
    found.append(
        run_case(
            "index_maximum",
            "r",
            lambda x: torch.amax(x, 1),
            {"x": draws.normal(3, 4)},
            lines=("r[i] = max[j] x[i, j]",),
        )
    )
    found.append(
        run_case(
            "einsum",
            'einsum("bij,bjk->bik", a, b)',
            torch.bmm,
            {"a": draws.normal(2, 3, 4), "b": draws.normal(2, 4, 5)},
        )
    )
    return found
