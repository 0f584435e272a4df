"""A reference case: a piece of `.model` source, its inputs, and what PyTorch gives for it.

A case is evaluated twice, in f64 and in f32, from the same inputs, which are numbers that f32 holds exactly.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

Arrays = dict[str, np.ndarray]
Tensors = dict[str, Tensor]
PRECISIONS = {"f64": torch.float64, "f32": torch.float32}
MODEL_TYPES = {torch.float64: "float", torch.float32: "float", torch.int32: "i32", torch.bool: "bool"}


@dataclass
class Case:
    """`kind` says how it is run:

    run    `dlc run`: outputs `y` and, where it has derivatives, `d_NAME` for the cotangent `ct` of `y`
    grad   `dlc grad`: the loss and the gradient of every weight, as training computes them
    train  `steps` calls of the compiled training step: the loss of each, and weights and states at the end
    """

    name: str
    kind: str
    source: str
    inputs: Tensors
    weights: Tensors
    evaluate: Callable[[Tensors, Tensors], Tensors]
    steps: int = 0
    tolerance: dict[str, float] = field(default_factory=dict)


class Draws:
    """Random numbers that depend on the case's name alone."""

    def __init__(self, name: str) -> None:
        self.generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))

    def normal(self, *shape: int) -> Tensor:
        return held(torch.randn(shape, generator=self.generator, dtype=torch.float64))

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return held(low + (high - low) * torch.rand(shape, generator=self.generator, dtype=torch.float64))

    def integers(self, high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=self.generator, dtype=torch.int32)


def held(x: Tensor) -> Tensor:
    """Rounded to f32, in f64."""
    return x.to(torch.float32).to(torch.float64)


def tensor(values: object) -> Tensor:
    return held(torch.tensor(values, dtype=torch.float64))


def typed(x: Tensor) -> str:
    name = MODEL_TYPES[x.dtype]
    return f"{name}[{', '.join(str(n) for n in x.shape)}]" if x.dim() else name


def run_case(
    name: str,
    expr: str,
    compute: Callable[..., Tensor],
    inputs: Tensors,
    *,
    weights: Tensors | None = None,
    states: Tensors | None = None,
    lines: tuple[str, ...] = (),
    differentiate: bool = True,
) -> Case:
    """`compute` takes inputs, weights and states in this order and gives what `expr` gives.

    Weights and states belong to the layer instance `unit`, which `lines` makes.
    """
    weights, states = weights or {}, states or {}
    everything = {**inputs, **weights, **states}
    y = compute(*everything.values())
    smooth = differentiate and y.dtype.is_floating_point
    arguments = dict(inputs)
    body = [*lines, f"y = {expr}"]
    results = [f"y: {typed(y)}"]
    wrt: dict[str, str] = {}
    if smooth:
        arguments["ct"] = Draws(name + " ct").normal(*y.shape)
        body.append("cost = sum(y * ct)" if y.dim() else "cost = y * ct")
        wrt = {n: n for n, x in inputs.items() if x.dtype.is_floating_point}
        wrt |= {n: f"unit.{n}" for n in weights}
        for n, path in wrt.items():
            results.append(f"d_{n}: {typed(everything[n])}")
            body.append(f"d_{n} = grad(cost, wrt: {path})")
    source = model(arguments, results, body)

    def evaluate(given: Tensors, held_weights: Tensors) -> Tensors:
        ct = given.pop("ct", None)
        leaves = {**given, **{n.removeprefix("unit."): x for n, x in held_weights.items()}}
        for n in wrt:
            leaves[n].requires_grad_()
        y = compute(*leaves.values())
        outputs = {"y": y.detach()}
        if ct is not None and wrt:
            grads = gradients(y, [leaves[n] for n in wrt], ct)
            outputs |= {f"d_{n}": g for n, g in zip(wrt, grads, strict=True)}
        return outputs

    loaded = {f"unit.{n}": x for n, x in {**weights, **states}.items()}
    return Case(name, "run", source, arguments, loaded, evaluate)


def grad_case(
    name: str,
    expr: str,
    compute: Callable[..., Tensor],
    weights: Tensors,
    *,
    states: Tensors | None = None,
    fields: Tensors | None = None,
    lines: tuple[str, ...] = (),
) -> Case:
    """As training computes it. Weights without a dot are the model's own parameters."""
    states, fields = states or {}, fields or {}
    y = compute(**{path_name(n): x for n, x in {**weights, **states, **fields}.items()})
    arguments = {**fields, "ct": Draws(name + " ct").normal(*y.shape)}
    body = [f"param {n}: {typed(x)} = zeros()" for n, x in weights.items() if "." not in n]
    body += [*lines, f"y = {expr}"]
    train = "\ntrain Case {\n    loss      = sum(y * ct)\n    optimizer = sgd(lr: 0.1)\n}\n"
    source = model(arguments, [f"y: {typed(y)}"], body) + train

    def evaluate(given: Tensors, held_weights: Tensors) -> Tensors:
        ct = given.pop("ct")
        for n in weights:
            held_weights[n].requires_grad_()
        y = compute(**given, **{path_name(n): x for n, x in held_weights.items()})
        loss = (y * ct).sum()
        grads = gradients(loss, [held_weights[n] for n in weights], None)
        return {"loss": loss.detach(), **dict(zip(weights, grads, strict=True))}

    return Case(name, "grad", source, arguments, {**weights, **states}, evaluate)


def model(arguments: Tensors, results: list[str], body: list[str]) -> str:
    inputs = ", ".join(f"{n}: {typed(x)}" for n, x in arguments.items())
    lines = "\n".join(f"    {line}" for line in body)
    return f"model Case({inputs}) -> ({', '.join(results)}) {{\n{lines}\n}}\n"


def path_name(path: str) -> str:
    return path.removeprefix("unit.").replace(".", "_")


def gradients(y: Tensor, leaves: list[Tensor], ct: Tensor | None) -> list[Tensor]:
    if not y.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    found = torch.autograd.grad(y, leaves, ct, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves, strict=True)]


def export(case: Case) -> tuple[dict, Arrays]:
    """The case's entry in the index, and its arrays under `NAME/in|weight|f64|f32/…`.

    Derivatives are kept in f64 alone, which is what both precisions are held against.
    """
    arrays: Arrays = {}
    for group, tensors in (("in", case.inputs), ("weight", case.weights)):
        for n, x in tensors.items():
            stored = x.to(torch.float32) if x.dtype.is_floating_point else x
            arrays[f"{case.name}/{group}/{n}"] = stored.numpy().copy()
    outputs: list[str] = []
    for precision, dtype in PRECISIONS.items():

        def cast(tensors: Tensors, dtype: torch.dtype = dtype) -> Tensors:
            return {
                n: (x.to(dtype) if x.dtype.is_floating_point else x).detach().clone()
                for n, x in tensors.items()
            }

        results = case.evaluate(cast(case.inputs), cast(case.weights))
        outputs = list(results)
        for n, x in results.items():
            if precision == "f32" and n not in ("y", "loss"):
                continue
            array = x.detach().numpy()
            kept = array.astype(np.int32) if array.dtype == np.int64 else array
            arrays[f"{case.name}/{precision}/{n}"] = np.array(kept, order="C")
    entry = {
        "name": case.name,
        "kind": case.kind,
        "source": case.source,
        "inputs": list(case.inputs),
        "weights": list(case.weights),
        "outputs": outputs,
    }
    if case.tolerance:
        entry["tolerance"] = case.tolerance
    if case.kind == "train":
        entry["steps"] = case.steps
    return entry, arrays
