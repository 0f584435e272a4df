"""Normalisations; batch_norm with running moments and with those of the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..case import Case, Draws, grad_case, run_case


def cases() -> list[Case]:
    found = []
    for form, shape in {"2d": (5, 3), "3d": (4, 3, 5), "4d": (2, 3, 4, 3)}.items():
        draws = Draws("batch_norm " + form)
        inputs, weights = {"x": draws.normal(*shape)}, {"scale": draws.normal(3), "bias": draws.normal(3)}
        states = {"mean": draws.normal(3), "var": draws.uniform(0.5, 2, 3)}
        found.append(
            run_case(
                f"batch_norm_{form}",
                "unit(x)",
                lambda x, scale, bias, mean, var: F.batch_norm(x, mean, var, scale, bias),
                inputs,
                weights=weights,
                states=states,
                lines=("unit = batch_norm()",),
            )
        )
        found.append(
            grad_case(
                f"batch_norm_training_{form}",
                "unit(x)",
                _of_batch,
                {**inputs, **{f"unit.{n}": w for n, w in weights.items()}},
                states={f"unit.{n}": s for n, s in states.items()},
                lines=("unit = batch_norm()",),
            )
        )
    draws = Draws("norms")
    scaled = {"scale": draws.normal(4), "bias": draws.normal(4)}
    for form, shape in {"2d": (3, 4), "3d": (2, 3, 4)}.items():
        x = {"x": draws.normal(*shape)}
        found.append(
            run_case(
                f"layer_norm_{form}",
                "unit(x)",
                lambda x, scale, bias: F.layer_norm(x, (4,), scale, bias),
                x,
                weights=scaled,
                lines=("unit = layer_norm()",),
            )
        )
        found.append(
            run_case(
                f"rms_norm_{form}",
                "unit(x)",
                lambda x, scale: F.rms_norm(x, (4,), scale, 1e-6),
                x,
                weights={"scale": scaled["scale"]},
                lines=("unit = rms_norm()",),
            )
        )
    for form, shape in {"3d": (2, 4, 5), "4d": (2, 4, 3, 2)}.items():
        found.append(
            run_case(
                f"group_norm_{form}",
                "unit(x)",
                lambda x, scale, bias: F.group_norm(x, 2, scale, bias),
                {"x": draws.normal(*shape)},
                weights=scaled,
                lines=("unit = group_norm(2)",),
            )
        )
    found.append(
        run_case(
            "instance_norm_4d",
            "unit(x)",
            lambda x, scale, bias: F.instance_norm(x, weight=scale, bias=bias),
            {"x": draws.normal(2, 4, 3, 3)},
            weights=scaled,
            lines=("unit = instance_norm()",),
        )
    )
    weights = {"x": draws.normal(3, 4), "unit.inner.w": draws.normal(4, 5), "unit.inner.b": draws.normal(5)}
    found.append(
        grad_case(
            "spectral_norm_training",
            "unit(x)",
            _spectral,
            weights,
            states={"unit.u": draws.normal(5)},
            lines=("unit = spectral_norm(dense(5))",),
        )
    )
    return found


def _spectral(x: Tensor, inner_w: Tensor, inner_b: Tensor, u: Tensor) -> Tensor:
    """By PyTorch's own layer, whose vector is given."""
    layer = torch.nn.utils.spectral_norm(torch.nn.Linear(4, 5).to(x.dtype))
    layer.weight_u.copy_(torch.nn.functional.normalize(u.detach(), dim=0))
    given = {"weight_orig": inner_w.T, "bias": inner_b}
    return torch.func.functional_call(layer, given, (x,))


def _of_batch(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    return F.batch_norm(x, mean.clone(), var.clone(), scale, bias, training=True)
