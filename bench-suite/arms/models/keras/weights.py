"""Our names and layouts of weights for those of Keras.

| ours | Keras |
|---|---|
| `dense.w` [in, out] | `dense/kernel` [in, out] |
| of an attention | heads apart: [in, heads, each], and [heads, each, out] of the last |
| `conv2d.w` [out, in, rows, columns] | `conv2d/kernel` [rows, columns, in, out] in either data format |
| `depthwise_conv2d.w` [c, 1, rows, columns] | `depthwise_conv2d/kernel` [rows, columns, c, 1] |
| `lstm.cell.w_x`, `w_h`, `b` | `lstm/lstm_cell/kernel`, `recurrent_kernel`, `bias`; gates in the same order |
| `batch_norm.scale`, `bias`, `mean`, `var` | `gamma`, `beta`, `moving_mean`, `moving_variance` |
"""

from __future__ import annotations

import keras
import numpy as np

SLOTS = {
    "kernel": "w",
    "bias": "b",
    "embeddings": "w",
    "gamma": "scale",
    "beta": "bias",
    "moving_mean": "mean",
    "moving_variance": "var",
}
CELL = {"kernel": "w_x", "recurrent_kernel": "w_h", "bias": "b"}
# The last projection of an attention, by what our layers call it.
PROJECTIONS = ("out", "dense")
# States of ours that are inputs and outputs in Keras, or absent where a prompt is read at once.
CACHE = ("keys", "values")


def fill(model: keras.Model, weights: dict[str, np.ndarray]) -> None:
    """Every variable from the weight of its name, and every weight into one, but for caches."""
    left = {name for name in weights if name.rpartition(".")[2] not in CACHE}
    for variable in model.variables:
        if "seed_generator" in variable.path:
            continue
        name = next((name for name in names(variable.path) if name in weights), None)
        if name is None:
            raise KeyError(
                f"no weight for {variable.path}, which would be {' or '.join(names(variable.path))}"
            )
        variable.assign(turned(weights[name], variable.path).reshape(variable.shape))
        left.discard(name)
    if left:
        raise KeyError(f"weights that no variable takes: {', '.join(sorted(left))}")


def cache(model: keras.Model, weights: dict[str, np.ndarray], rows: int) -> dict[str, np.ndarray]:
    """What the model's inputs for it begin with: its heads stand apart, and zeros where the file has none."""
    found = {}
    for name, tensor in model.input.items():
        ours = name.replace("-", ".")
        if ours.rpartition(".")[2] in CACHE:
            shape = (rows, *tensor.shape[1:])
            start = weights[ours] if ours in weights else np.zeros(shape)
            found[name] = start.reshape(shape).astype(tensor.dtype)
    return found


def names(path: str) -> list[str]:
    *layer, slot = path.replace("-", ".").split("/")
    if layer[-1] == "lstm_cell":
        return [f"{layer[0]}.cell.{CELL[slot]}"]
    if layer == ["words"] and slot not in SLOTS:
        return [slot]
    if layer[-1] == "attention_output":
        return [f"{layer[0]}.{part}.{SLOTS[slot]}" for part in PROJECTIONS]
    return [".".join([*layer, SLOTS.get(slot, slot)])]


def turned(x: np.ndarray, path: str) -> np.ndarray:
    if x.ndim != 4:
        return x
    return x.transpose((2, 3, 0, 1) if "depthwise" in path else (2, 3, 1, 0))
