"""Metrics, by their definitions: PyTorch has no functions for them."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..case import Case, Draws, run_case


def _hits(x: Tensor, label: Tensor) -> Tensor:
    return (x.argmax(-1) == label).to(x.dtype).mean()


def _top_2(x: Tensor, label: Tensor) -> Tensor:
    return (x.topk(2).indices == label[:, None]).any(-1).to(x.dtype).mean()


def _counts(p: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    called = (p > 0.5).to(p.dtype)
    return (called * target).sum(), called.sum(), target.sum()


def _precision(p: Tensor, target: Tensor) -> Tensor:
    both, called, _ = _counts(p, target)
    return both / called


def _recall(p: Tensor, target: Tensor) -> Tensor:
    both, _, positive = _counts(p, target)
    return both / positive


def _f1(p: Tensor, target: Tensor) -> Tensor:
    both, called, positive = _counts(p, target)
    return 2 * both / (called + positive)


def _roc_auc(p: Tensor, target: Tensor) -> Tensor:
    above, below = p[target > 0.5], p[target < 0.5]
    difference = above[:, None] - below[None, :]
    return ((difference > 0).to(p.dtype) + 0.5 * (difference == 0).to(p.dtype)).mean()


def _r2(x: Tensor, target: Tensor) -> Tensor:
    return 1 - ((target - x) ** 2).sum() / ((target - target.mean()) ** 2).sum()


def cases() -> list[Case]:
    draws = Draws("metrics")
    rows = {"x": draws.normal(8, 4), "label": draws.integers(4, 8)}
    binary = {"p": draws.uniform(0.05, 0.95, 12), "target": draws.integers(2, 12).double()}
    pair = {"x": draws.normal(9), "target": draws.normal(9)}
    table: dict[str, tuple[str, Callable[..., Tensor], dict[str, Tensor]]] = {
        "accuracy": ("accuracy(x, label)", _hits, rows),
        "top_k_accuracy": ("top_k_accuracy(x, label, k: 2)", _top_2, rows),
        "binary_accuracy": (
            "binary_accuracy(p, target)",
            lambda p, target: ((p > 0.5) == (target > 0.5)).to(p.dtype).mean(),
            binary,
        ),
        "precision": ("precision(p, target)", _precision, binary),
        "recall": ("recall(p, target)", _recall, binary),
        "f1": ("f1(p, target)", _f1, binary),
        "roc_auc": ("roc_auc(p, target)", _roc_auc, binary),
        "mean_squared_error": (
            "mean_squared_error(x, target)",
            lambda x, target: F.mse_loss(x, target),
            pair,
        ),
        "r2": ("r2(x, target)", _r2, pair),
        "perplexity": ("perplexity(x, label)", lambda x, label: F.cross_entropy(x, label.long()).exp(), rows),
        "confusion": (
            "confusion(x, label)",
            lambda x, label: torch.stack(
                [
                    ((label == i)[:, None] & (x.argmax(-1)[:, None] == torch.arange(4))).sum(0)
                    for i in range(4)
                ]
            ).to(x.dtype),
            rows,
        ),
    }
    return [
        run_case(name, expr, compute, inputs, differentiate=False)
        for name, (expr, compute, inputs) in table.items()
    ]
