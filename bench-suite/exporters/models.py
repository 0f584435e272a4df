"""Whole models under our names of weights: a forward pass, gradients, and 50 steps on fixed batches.

Each model is a function of its weights, so that nothing hides in the state of modules; dropout is off. A
dense weight is `[in, out]`, a convolution's `[out, in, k, k]`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import Tensor, optim

from .case import PRECISIONS, Draws, Tensors, held

STEPS = 50
BATCHES = 4
Update = Callable[[list[dict]], optim.Optimizer]


@dataclass
class Network:
    """`file` and `settings` say how `dlc` is asked for it, `replace` what changes in its text, and `dtype`
    what it declares its weights as.
    """

    name: str
    file: str
    output: str
    weights: Tensors
    batches: list[Tensors]
    forward: Callable[[Tensors, Tensors, bool], Tensor]
    loss: Callable[[Tensor, Tensors], Tensor]
    optimizer: Update
    states: tuple[str, ...] = ()
    cosine: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    replace: dict[str, str] = field(default_factory=dict)
    dtype: str = "float"


def write(folder: Path, data: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    networks = [linear(), fraud(data), digits(data), mlp()]
    index = []
    for network in networks:
        entry, arrays = export(network)
        save_file(arrays, folder / f"{network.name}.safetensors")
        index.append(entry)
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    return len(networks)


def export(network: Network) -> tuple[dict, dict[str, np.ndarray]]:
    arrays = {f"weight/{n}": x.float().numpy() for n, x in network.weights.items()}
    for i, batch in enumerate(network.batches):
        arrays |= {
            f"batch/{i}/{n}": (x.float() if x.is_floating_point() else x).numpy() for n, x in batch.items()
        }
    for precision, dtype in PRECISIONS.items():
        for n, x in evaluate(network, dtype).items():
            if precision == "f32" and n not in ("output", "loss"):
                continue
            arrays[f"{precision}/{n}"] = np.array(x.detach().numpy(), order="C")
    entry = {
        "name": network.name,
        "file": network.file,
        "output": network.output,
        "weights": network.dtype,
        "settings": network.settings,
        "replace": network.replace,
        "batches": len(network.batches),
        "fields": list(network.batches[0]),
        "steps": STEPS,
    }
    return entry, arrays


def evaluate(network: Network, dtype: torch.dtype) -> Tensors:
    """`output`, `loss` and `grad/…` of the first batch, and the `curve` of losses."""

    def cast(tensors: Tensors) -> Tensors:
        return {n: (x.to(dtype) if x.is_floating_point() else x).clone() for n, x in tensors.items()}

    weights, batches = cast(network.weights), [cast(batch) for batch in network.batches]
    results = {"output": network.forward(weights, batches[0], False)}
    learned = {n: x.requires_grad_() for n, x in weights.items() if n not in network.states}
    states = {n: weights[n].clone() for n in network.states}
    loss = network.loss(network.forward({**learned, **states}, batches[0], True), batches[0])
    results["loss"] = loss
    for n, grad in zip(learned, torch.autograd.grad(loss, list(learned.values())), strict=True):
        results[f"grad/{n}"] = grad
    optimizer = network.optimizer([{"params": list(learned.values())}])
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS) if network.cosine else None
    curve = []
    for step in range(STEPS):
        batch = batches[step % len(batches)]
        optimizer.zero_grad()
        loss = network.loss(network.forward(weights, batch, True), batch)
        loss.backward()
        optimizer.step()
        if schedule:
            schedule.step()
        curve.append(loss.detach())
    results["curve"] = torch.stack(curve)
    return results


def dense(x: Tensor, weights: Tensors, name: str) -> Tensor:
    return x @ weights[f"{name}.w"] + weights[f"{name}.b"]


def dense_weights(draws: Draws, name: str, n: int, units: int) -> Tensors:
    limit = (6 / (n + units)) ** 0.5
    return {f"{name}.w": draws.uniform(-limit, limit, n, units), f"{name}.b": draws.uniform(-0.1, 0.1, units)}


def linear() -> Network:
    draws = Draws("linear model")
    batches = [{"x": draws.normal(16, 4), "target": draws.normal(16, 1)} for _ in range(BATCHES)]
    return Network(
        name="linear",
        file="linear.model",
        output="y",
        weights={"w": draws.normal(4, 1), "b": draws.normal(1)},
        batches=batches,
        forward=lambda w, given, _: given["x"] @ w["w"] + w["b"],
        loss=lambda y, given: F.mse_loss(y, given["target"]),
        optimizer=lambda groups: optim.SGD(groups, 0.1),
        dtype="f32",
    )


def fraud(data: Path) -> Network:
    with (data / "breast_cancer.csv").open() as file:
        rows = [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]
    table = held(torch.tensor(rows, dtype=torch.float64))
    x, target = table[:, :30], table[:, 30:31]
    draws = Draws("fraud model")
    # One batch has every fourth row, so that both classes are in all.
    batches = [
        {"x": x[i:128:BATCHES].clone(), "target": target[i:128:BATCHES].clone()} for i in range(BATCHES)
    ]
    moments = {"standardize.mean": held(x.mean(0)), "standardize.std": held(x.std(0, correction=0))}

    def forward(w: Tensors, given: Tensors, _: bool) -> Tensor:
        h = (given["x"] - w["standardize.mean"]) / w["standardize.std"]
        return torch.sigmoid(dense(F.relu(dense(h, w, "dense")), w, "dense_1"))

    return Network(
        name="fraud",
        file="fraud.model",
        output="p",
        weights={
            **moments,
            **dense_weights(draws, "dense", 30, 64),
            **dense_weights(draws, "dense_1", 64, 1),
        },
        batches=batches,
        forward=forward,
        loss=lambda p, given: F.binary_cross_entropy(p, given["target"]),
        optimizer=lambda groups: optim.Adam(groups, 1e-3),
        states=tuple(moments),
    )


def digits_weights() -> tuple[Tensors, tuple[str, ...]]:
    draws = Draws("digits model")
    weights: Tensors = {}
    states: list[str] = []
    for block, n, channels in (("conv_block", 1, 16), ("conv_block_1", 16, 32)):
        limit = (6 / (9 * (n + channels))) ** 0.5
        weights[f"{block}.conv2d.w"] = draws.uniform(-limit, limit, channels, n, 3, 3)
        weights[f"{block}.conv2d.b"] = draws.uniform(-0.1, 0.1, channels)
        weights[f"{block}.batch_norm.scale"] = draws.uniform(0.5, 1.5, channels)
        weights[f"{block}.batch_norm.bias"] = draws.uniform(-0.1, 0.1, channels)
        weights[f"{block}.batch_norm.mean"] = draws.uniform(-0.1, 0.1, channels)
        weights[f"{block}.batch_norm.var"] = draws.uniform(0.5, 1.5, channels)
        states += [f"{block}.batch_norm.mean", f"{block}.batch_norm.var"]
    return weights | dense_weights(draws, "dense", 128, 10), tuple(states)


def digits_forward(w: Tensors, given: Tensors, training: bool) -> Tensor:
    x = given["image"][:, None] / 16
    for block in ("conv_block", "conv_block_1"):
        x = F.conv2d(x, w[f"{block}.conv2d.w"], w[f"{block}.conv2d.b"], padding=1)
        mean, var, scale, bias = (w[f"{block}.batch_norm.{n}"] for n in ("mean", "var", "scale", "bias"))
        x = F.max_pool2d(F.relu(F.batch_norm(x, mean, var, scale, bias, training)), 2)
    return dense(x.flatten(1), w, "dense")


def digits_table(data: Path) -> tuple[Tensor, Tensor]:
    """Images `[1797, 8, 8]` in f32, labels in i32."""
    with (data / "digits.csv").open() as file:
        table = torch.tensor([[int(cell) for cell in row] for row in csv.reader(file)], dtype=torch.int32)
    return table[:, :64].reshape(-1, 8, 8).float(), table[:, 64].contiguous()


def digits(data: Path) -> Network:
    images, labels = digits_table(data)
    cut = [slice(24 * i, 24 * (i + 1)) for i in range(BATCHES)]
    weights, states = digits_weights()
    return Network(
        name="digits",
        file="digits.model",
        output="logits",
        weights=weights,
        batches=[{"image": images[c].clone(), "label": labels[c].clone()} for c in cut],
        forward=digits_forward,
        loss=lambda logits, given: F.cross_entropy(logits, given["label"].long()),
        optimizer=lambda groups: optim.Adam(groups, 3e-3),
        states=states,
        cosine=True,
        replace={"dropout(0.2)": "dropout(0.0)"},
    )


def mlp() -> Network:
    draws = Draws("mlp model")
    wide = 4
    weights = dense_weights(draws, "dense", 784, wide)
    weights |= dense_weights(draws, "dense_1", wide, wide) | dense_weights(draws, "dense_2", wide, 10)

    def forward(w: Tensors, given: Tensors, _: bool) -> Tensor:
        h = F.relu(dense(given["image"], w, "dense"))
        return dense(F.relu(dense(h, w, "dense_1")), w, "dense_2")

    return Network(
        name="mlp",
        file="mlp.model",
        output="logits",
        weights=weights,
        batches=[{"image": draws.uniform(0, 1, 4, 784), "label": draws.integers(10, 4)} for _ in range(2)],
        forward=forward,
        loss=lambda logits, given: F.cross_entropy(logits, given["label"].long()),
        optimizer=lambda groups: optim.SGD(groups, 0.1, 0.9),
        settings={"wide": str(wide)},
    )
