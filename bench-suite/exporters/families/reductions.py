"""Reductions over one axis, several and all, with and without the axis kept; softmax."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..case import Case, Draws, run_case, tensor


def _variance(x: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    return torch.var(x, dim, correction=0, keepdim=keepdim)


def _deviation(x: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    return torch.std(x, dim, correction=0, keepdim=keepdim)


def _norm(x: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    return torch.linalg.vector_norm(x, 2, dim, keepdim=keepdim)


def _product(x: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    for axis in sorted((d % x.dim() for d in dim), reverse=True):
        x = torch.prod(x, axis, keepdim=keepdim)
    return x


REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "sum": torch.sum,
    "mean": torch.mean,
    "max": torch.amax,
    "min": torch.amin,
    "prod": _product,
    "var": _variance,
    "std": _deviation,
    "logsumexp": torch.logsumexp,
    "norm": _norm,
}

AXES: dict[str, tuple[str, list[int], bool]] = {
    "last": ("axis: -1", [-1], False),
    "first_kept": ("axis: 0, keep: true", [0], True),
    "two": ("axis: [0, 2]", [0, 2], False),
    "all": ("", [0, 1, 2], False),
}


def cases() -> list[Case]:
    found = []
    for function, compute in REDUCTIONS.items():
        for form, (arguments, dim, keep) in AXES.items():
            name = f"{function}_{form}"
            expr = f"{function}({', '.join(part for part in ('x', arguments) if part)})"

            def reduced(
                x: Tensor, compute: Callable[..., Tensor] = compute, dim: list[int] = dim, keep: bool = keep
            ) -> Tensor:
                return compute(x, dim, keepdim=keep)

            found.append(run_case(name, expr, reduced, {"x": Draws(name).uniform(-2, 2, 2, 3, 4)}))
    tied = {"x": tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])}
    found.append(run_case("max_tied", "max(x, axis: 1)", lambda x: torch.amax(x, 1), tied))
    found.append(run_case("min_tied", "min(x, axis: 1)", lambda x: torch.amin(x, 1), tied))
    found.append(run_case("norm_of_zero", "norm(x)", torch.linalg.vector_norm, {"x": tensor([0.0, 0.0])}))
    large = {"x": tensor([[1000.0, 1000.0, 999.0], [-1000.0, 0.0, 1.0]])}
    found.append(run_case("logsumexp_large", "logsumexp(x, axis: 1)", lambda x: torch.logsumexp(x, 1), large))
    for axis in (0, 1, 2):
        x = {"x": Draws(f"softmax {axis}").normal(2, 3, 4)}
        for function, compute in (("softmax", F.softmax), ("log_softmax", F.log_softmax)):
            found.append(
                run_case(
                    f"{function}_axis_{axis}",
                    f"{function}(x, axis: {axis})",
                    lambda x, compute=compute, axis=axis: compute(x, axis),
                    x,
                )
            )
        for function, compute in (("argmax", torch.argmax), ("argmin", torch.argmin)):
            found.append(
                run_case(
                    f"{function}_axis_{axis}",
                    f"{function}(x, axis: {axis})",
                    lambda x, compute=compute, axis=axis: compute(x, axis).to(torch.int32),
                    x,
                )
            )
    found.append(run_case("argmax_tied", "argmax(x, axis: 1)", _first_largest, tied))
    found.append(run_case("any", "any(x > 2.5, axis: 1)", lambda x: torch.any(x > 2.5, 1), tied))
    found.append(run_case("all", "all(x > 1.5, axis: 1)", lambda x: torch.all(x > 1.5, 1), tied))
    found.append(run_case("cumsum", "cumsum(x, axis: 1)", lambda x: torch.cumsum(x, 1), tied))
    return found


def _first_largest(x: Tensor) -> Tensor:
    return torch.tensor([row.tolist().index(max(row.tolist())) for row in x], dtype=torch.int32)
