"""Losses, reduced to their mean and not reduced."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..case import Case, Draws, run_case, tensor

Loss = Callable[..., Tensor]


def _focal(x: Tensor, target: Tensor) -> Tensor:
    """As torchvision's `sigmoid_focal_loss`."""
    p = torch.sigmoid(x)
    p_t = p * target + (1 - p) * (1 - target)
    cross = F.binary_cross_entropy_with_logits(x, target, reduction="none")
    return (0.25 * target + 0.75 * (1 - target)) * (1 - p_t) ** 2 * cross


def _dice(p: Tensor, target: Tensor) -> Tensor:
    shared = (p * target).sum(1)
    return 1 - (2 * shared + 1) / (p.sum(1) + target.sum(1) + 1)


def _info_nce(a: Tensor, b: Tensor) -> Tensor:
    return F.cross_entropy(a @ b.T / 0.1, torch.arange(len(a)), reduction="none")


def cases() -> list[Case]:
    draws = Draws("losses")
    pair = {"x": draws.normal(4, 3), "target": draws.normal(4, 3)}
    positive = {"p": draws.uniform(0.05, 0.95, 4, 3), "target": draws.integers(2, 4, 3).double()}
    logits = {"x": draws.normal(4, 3), "target": draws.integers(2, 4, 3).double()}
    signs = {"x": draws.normal(6), "target": draws.integers(2, 6).double() * 2 - 1}
    rows = {"x": draws.normal(5, 4), "label": draws.integers(4, 5)}
    some = {"x": rows["x"], "label": torch.tensor([1, -1, 3, -1, 0], dtype=torch.int32)}
    sequence = {"x": draws.normal(2, 3, 4), "label": draws.integers(4, 2, 3)}
    divergent = {"x": draws.normal(3, 4), "p": torch.softmax(draws.normal(3, 4), -1).float().double()}
    triple = {n: draws.normal(4, 3) for n in ("a", "b", "c")}
    none: dict[str, tuple[str, Loss, dict[str, Tensor]]] = {
        "mse": ("mse(x, target", lambda x, target: (x - target) ** 2, pair),
        "mae": ("mae(x, target", lambda x, target: (x - target).abs(), pair),
        "huber": ("huber(x, target", lambda x, target: F.huber_loss(x, target, reduction="none"), pair),
        "huber_delta": (
            "huber(x, target, delta: 0.5",
            lambda x, target: F.huber_loss(x, target, reduction="none", delta=0.5),
            pair,
        ),
        "binary_cross_entropy": (
            "binary_cross_entropy(p, target",
            lambda p, target: -(target * p.log() + (1 - target) * (1 - p).log()),
            positive,
        ),
        "binary_cross_entropy_logits": (
            "binary_cross_entropy_logits(x, target",
            lambda x, target: F.binary_cross_entropy_with_logits(x, target, reduction="none"),
            logits,
        ),
        "cross_entropy": (
            "cross_entropy(x, label",
            lambda x, label: F.cross_entropy(x, label.long(), reduction="none"),
            rows,
        ),
        "cross_entropy_smoothing": (
            "cross_entropy(x, label, smoothing: 0.1",
            lambda x, label: F.cross_entropy(x, label.long(), reduction="none", label_smoothing=0.1),
            rows,
        ),
        "cross_entropy_sequence": (
            "cross_entropy(x, label",
            lambda x, label: F.cross_entropy(x.movedim(-1, 1), label.long(), reduction="none"),
            sequence,
        ),
        "nll": (
            "nll(log_softmax(x), label",
            lambda x, label: F.nll_loss(F.log_softmax(x, -1), label.long(), reduction="none"),
            rows,
        ),
        "kl_divergence": (
            "kl_divergence(log_softmax(x), p",
            lambda x, p: F.kl_div(F.log_softmax(x, -1), p, reduction="none").sum(-1),
            divergent,
        ),
        "hinge": ("hinge(x, target", lambda x, target: (1 - target * x).clamp(min=0), signs),
        "cosine_similarity": (
            "cosine_similarity(x, target",
            lambda x, target: 1 - F.cosine_similarity(x, target, -1),
            pair,
        ),
        "triplet": (
            "triplet(a, b, c",
            lambda a, b, c: F.triplet_margin_loss(a, b, c, reduction="none"),
            triple,
        ),
        "info_nce": ("info_nce(a, b", _info_nce, {"a": triple["a"], "b": triple["b"]}),
        "focal": ("focal(x, target", _focal, logits),
        "dice": ("dice(p, target", _dice, positive),
    }
    found = []
    for name, (call, compute, inputs) in none.items():
        found.append(run_case(f"{name}_each", f'{call}, reduce: "none")', compute, inputs))
        found.append(
            run_case(name, f"{call})", lambda *given, compute=compute: compute(*given).mean(), inputs)
        )
    found.append(
        run_case(
            "mse_sum", 'mse(x, target, reduce: "sum")', lambda x, target: ((x - target) ** 2).sum(), pair
        )
    )
    found.append(
        run_case(
            "cross_entropy_ignore",
            "cross_entropy(x, label, ignore: -1)",
            lambda x, label: F.cross_entropy(x, label.long(), ignore_index=-1),
            some,
        )
    )
    # Where a probability is 0 or 1 the logarithm is held at -100, and so is PyTorch's.
    certain = {"p": tensor([0.0, 1.0, 0.0, 1.0]), "target": tensor([0.0, 1.0, 1.0, 0.0])}
    found.append(
        run_case(
            "binary_cross_entropy_certain",
            'binary_cross_entropy(p, target, reduce: "none")',
            lambda p, target: F.binary_cross_entropy(p, target, reduction="none"),
            certain,
            differentiate=False,
        )
    )
    return found
