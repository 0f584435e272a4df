"""Operators and functions of one element at a time, and the activations."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..case import Case, Draws, held, run_case, tensor

Function = Callable[..., Tensor]

# expression of x, PyTorch's, the range that x is drawn from
UNARY: dict[str, tuple[str, Function, float, float]] = {
    "negate": ("-x", torch.neg, -3, 3),
    "abs": ("abs(x)", torch.abs, -3, 3),
    "sign": ("sign(x)", torch.sign, -3, 3),
    "floor": ("floor(x)", torch.floor, -5, 5),
    "ceil": ("ceil(x)", torch.ceil, -5, 5),
    "exp": ("exp(x)", torch.exp, -6, 6),
    "expm1": ("expm1(x)", torch.expm1, -1, 1),
    "log": ("log(x)", torch.log, 0.01, 20),
    "log1p": ("log1p(x)", torch.log1p, -0.6, 4),
    "log2": ("log2(x)", torch.log2, 0.01, 20),
    "sqrt": ("sqrt(x)", torch.sqrt, 0.01, 20),
    "rsqrt": ("rsqrt(x)", torch.rsqrt, 0.01, 20),
    "sin": ("sin(x)", torch.sin, -9, 9),
    "cos": ("cos(x)", torch.cos, -9, 9),
    "tan": ("tan(x)", torch.tan, -1.4, 1.4),
    "asin": ("asin(x)", torch.asin, -0.95, 0.95),
    "acos": ("acos(x)", torch.acos, -0.95, 0.95),
    "atan": ("atan(x)", torch.atan, -9, 9),
    "sinh": ("sinh(x)", torch.sinh, -4, 4),
    "cosh": ("cosh(x)", torch.cosh, -4, 4),
    "tanh": ("tanh(x)", torch.tanh, -5, 5),
    "erf": ("erf(x)", torch.erf, -3, 3),
    "erfc": ("erfc(x)", torch.erfc, -2, 2),
    "square": ("x ^ 2", lambda x: x**2, -3, 3),
    "cube": ("x ^ 3", lambda x: x**3, -3, 3),
    "reciprocal": ("x ^ -1", lambda x: x**-1, 0.2, 4),
    "root": ("x ^ 0.5", lambda x: x**0.5, 0.2, 4),
    "scalar_left": ("2 / x - 1", lambda x: 2 / x - 1, 0.2, 4),
    "stopped": ("x * stop_gradient(x)", lambda x: x * x.detach(), -3, 3),
}

BINARY: dict[str, tuple[str, Function, float, float]] = {
    "add": ("a + b", torch.add, -3, 3),
    "subtract": ("a - b", torch.sub, -3, 3),
    "multiply": ("a * b", torch.mul, -3, 3),
    "divide": ("a / b", torch.div, 0.5, 3),
    "remainder": ("a % b", torch.remainder, 0.5, 3),
    "mod": ("mod(-a, b)", lambda a, b: torch.remainder(-a, b), 0.5, 3),
    "power": ("a ^ b", torch.pow, 0.5, 3),
    "pow": ("pow(a, b)", torch.pow, 0.5, 3),
    "atan2": ("atan2(a, b)", torch.atan2, -3, 3),
    "maximum": ("max(a, b)", torch.maximum, -3, 3),
    "minimum": ("min(a, b)", torch.minimum, -3, 3),
    "select": ("select(a > b, a * b, a - b)", lambda a, b: torch.where(a > b, a * b, a - b), -3, 3),
}

ACTIVATIONS: dict[str, tuple[str, Function]] = {
    "relu": ("relu(x)", F.relu),
    "leaky_relu": ("leaky_relu(x)", F.leaky_relu),
    "leaky_relu_slope": ("leaky_relu(x, slope: 0.2)", lambda x: F.leaky_relu(x, 0.2)),
    "elu": ("elu(x)", F.elu),
    "elu_alpha": ("elu(x, alpha: 0.5)", lambda x: F.elu(x, 0.5)),
    "selu": ("selu(x)", F.selu),
    "gelu": ("gelu(x)", F.gelu),
    "gelu_tanh": ("gelu_tanh(x)", lambda x: F.gelu(x, approximate="tanh")),
    "silu": ("silu(x)", F.silu),
    "softplus": ("softplus(x)", lambda x: torch.logaddexp(x, torch.zeros_like(x))),
    "sigmoid": ("sigmoid(x)", torch.sigmoid),
    # PyTorch's own derivative multiplies by a sixth that is rounded to f32.
    "hard_sigmoid": ("hard_sigmoid(x)", lambda x: F.relu6(x + 3) / 6),
    "hard_swish": ("hard_swish(x)", F.hardswish),
    "mish": ("mish(x)", F.mish),
    "relu6": ("relu6(x)", F.relu6),
}


def cases() -> list[Case]:
    found = []
    for name, (expr, compute, low, high) in UNARY.items():
        found.append(run_case(name, expr, compute, {"x": Draws(name).uniform(low, high, 3, 4)}))
    for name, (expr, compute, low, high) in BINARY.items():
        for form, a, b in (("", (3, 4), (3, 4)), ("_row", (3, 4), (4,)), ("_column", (2, 3, 1), (1, 4))):
            draws = Draws(name + form)
            inputs = {"a": draws.uniform(low, high, *a), "b": draws.uniform(low, high, *b)}
            found.append(run_case(name + form, expr, compute, inputs))
    edges = [-30.0, -8.0, -4.0, -1.0, -0.25, -0.0, 0.0, 0.125, 0.75, 2.5, 5.0, 7.0, 9.0, 40.0]
    for name, (expr, compute) in ACTIVATIONS.items():
        found.append(run_case(name, expr, compute, {"x": tensor(edges)}))
    found.append(
        run_case(
            "prelu",
            "unit(x)",
            lambda x, a: F.prelu(x, a),
            {"x": tensor(edges)},
            weights={"a": tensor([0.3])},
            lines=("unit = prelu()",),
        )
    )
    ties = {"a": tensor([1.0, 2.0, 3.0]), "b": tensor([1.0, 5.0, -3.0])}
    found.append(run_case("maximum_tie", "max(a, b)", torch.maximum, ties))
    found.append(run_case("minimum_tie", "min(a, b)", torch.minimum, ties))
    halves = {"x": tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.6])}
    found.append(run_case("round_half_even", "round(x)", torch.round, halves))
    found.append(run_case("abs_at_zero", "abs(x)", torch.abs, {"x": tensor([-1.0, 0.0, 1.0])}))
    # At a bound itself our derivative is 1; PyTorch's has been both 1 and 0.
    bounds = {"x": tensor([-2.0, -0.99, 0.5, 0.99, 3.0])}
    found.append(run_case("clip", "clip(x, -1, 1)", lambda x: x.clamp(-1, 1), bounds))
    found.append(run_case("clip_max", "clip(x, max: 1)", lambda x: x.clamp(max=1), bounds))
    special = {"x": torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, 1.0], dtype=torch.float64)}
    for name, compute in {"isnan": torch.isnan, "isinf": torch.isinf, "isfinite": torch.isfinite}.items():
        found.append(run_case(name, f"{name}(x)", compute, special))
    both = {"a": tensor([1.0, 2.0, 3.0]), "b": tensor([3.0, 2.0, 1.0])}
    comparisons = {
        "<": torch.lt,
        "<=": torch.le,
        ">": torch.gt,
        ">=": torch.ge,
        "==": torch.eq,
        "!=": torch.ne,
    }
    for operator, compute in comparisons.items():
        found.append(run_case(compute.__name__, f"a {operator} b", compute, both))
    whole = {"a": Draws("whole").integers(9, 3, 4) - 4, "b": Draws("whole b").integers(4, 3, 4) + 1}
    for name, (expr, compute) in {
        "i32_add": ("a + b", torch.add),
        "i32_multiply": ("a * b", torch.mul),
        "i32_remainder": ("a % b", torch.remainder),
    }.items():
        found.append(run_case(name, expr, compute, whole))
    found.append(
        run_case("cast_to_i32", "cast(x, i32)", lambda x: x.to(torch.int32), {"x": held(halves["x"] * 3)})
    )
    return found
