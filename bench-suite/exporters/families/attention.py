"""Attention, rotary positions, and the layers built on them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..case import Case, Draws, grad_case, run_case


def cases() -> list[Case]:
    found = []
    draws = Draws("attention")
    qkv = {"q": draws.normal(2, 4, 6), "k": draws.normal(2, 5, 6), "v": draws.normal(2, 5, 6)}
    found.append(
        run_case("attention", "attention(q, k, v, heads: 2)", lambda q, k, v: heads_of(q, k, v, 2), qkv)
    )
    own = {name: draws.normal(2, 4, 6) for name in "qkv"}
    found.append(
        run_case(
            "attention_causal",
            "attention(q, k, v, heads: 3, causal: true)",
            lambda q, k, v: heads_of(q, k, v, 3, causal=True),
            own,
        )
    )
    found.append(
        run_case(
            "attention_scale",
            "attention(q, k, v, heads: 1, scale: 0.3)",
            lambda q, k, v: heads_of(q, k, v, 1, scale=0.3),
            own,
        )
    )
    seen = torch.tensor([[True, True, False, True, True], [True, False, False, True, False]])
    found.append(
        run_case(
            "attention_mask",
            "attention(q, k, v, heads: 2, mask: seen)",
            lambda q, k, v, seen: heads_of(q, k, v, 2, mask=seen[:, None, None, :]),
            {**qkv, "seen": seen},
        )
    )
    found.append(
        run_case(
            "attention_shared_heads",
            "attention(q, k, v, heads: 4)",
            lambda q, k, v: heads_of(q, k, v, 4, shared=2),
            {"q": draws.normal(1, 3, 8), "k": draws.normal(1, 3, 4), "v": draws.normal(1, 3, 4)},
        )
    )
    found.append(run_case("rope", "rope(x)", rotated, {"x": draws.normal(2, 5, 6)}))
    found.append(run_case("rope_at", "rope(x, at: 3)", lambda x: rotated(x, 3), {"x": draws.normal(2, 5, 6)}))
    parts = ("query", "key", "value", "out")
    weights = {"x": draws.normal(2, 4, 6)}
    for part in parts:
        weights |= {f"unit.{part}.w": draws.normal(6, 6), f"unit.{part}.b": draws.normal(6)}
    found.append(
        grad_case(
            "multi_head_attention",
            "unit(x, x, x)",
            _multi_head,
            weights,
            lines=("unit = multi_head_attention(2, causal: true)",),
        )
    )
    return found


def heads_of(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    shared: int | None = None,
) -> Tensor:
    """`[batch, seq, width]` in and out, split into heads between."""
    keys = shared or heads

    def parted(x: Tensor, n: int) -> Tensor:
        return x.unflatten(-1, (n, -1)).transpose(1, 2).repeat_interleave(heads // n, 1)

    o = F.scaled_dot_product_attention(
        parted(q, heads), parted(k, keys), parted(v, keys), attn_mask=mask, is_causal=causal, scale=scale
    )
    return o.transpose(1, 2).flatten(2)


def rotated(x: Tensor, at: int = 0) -> Tensor:
    half = x.shape[-1] // 2
    position = torch.arange(at, at + x.shape[-2], dtype=x.dtype)[:, None]
    angle = position * torch.tensor(10000.0, dtype=x.dtype) ** (-torch.arange(half, dtype=x.dtype) / half)
    first, second = x[..., :half], x[..., half:]
    return torch.cat(
        [first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()], -1
    )


def _multi_head(x: Tensor, **weights: Tensor) -> Tensor:
    def mapped(part: str, value: Tensor) -> Tensor:
        return value @ weights[f"{part}_w"] + weights[f"{part}_b"]

    return mapped("out", heads_of(*(mapped(part, x) for part in ("query", "key", "value")), 2, causal=True))
