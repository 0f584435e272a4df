"""Our names and layouts of weights for those of Flax.

| ours | Flax |
|---|---|
| `dense.w` [in, out] | `dense.kernel` [in, out] |
| of an attention | heads apart: [in, heads, each], and [heads, each, out] of the last |
| `conv2d.w` [out, in, rows, columns] | `conv2d.kernel` [rows, columns, in, out], depthwise ones too |
| `embedding.w` | `embedding.embedding` |
| `lstm.cell.w_x`, `w_h` | `cell.dense_i.kernel`, `cell.dense_h.kernel`; gates in the same order |
| `lstm.cell.b` | `cell.dense_h.bias` |
| `batch_norm.scale`, `bias`, `mean`, `var` | the same |
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

SLOTS = {"kernel": ("w",), "bias": ("b", "bias"), "embedding": ("w",)}
CELL = {"dense_i.kernel": "w_x", "dense_h.kernel": "w_h", "dense_h.bias": "b"}
# Paths of Flax by ours, where an attribute cannot have our name: `class` is a word of Python.
OTHERWISE = {"first": "class", "patches": "patches.conv2d"}
CACHE = (".attend.keys", ".attend.values")
# The last projection of an attention is called either by our layers.
PROJECTIONS = {"attention.out.": ("attention.out.", "attention.dense.")}


def cast(arrays: dict[str, np.ndarray], precision: str) -> dict[str, np.ndarray]:
    """What is not whole numbers, in this precision: Flax computes in that of weights and inputs."""
    dtype = {"f32": jnp.float32, "bf16": jnp.bfloat16}[precision]
    return {name: x.astype(dtype) if x.dtype.kind == "f" else x for name, x in arrays.items()}


def fill(state: nnx.State, weights: dict[str, np.ndarray]) -> nnx.State:
    """The variables of a module that has shapes only, and every weight in one of them."""
    left, found = dict(weights), []
    for path, variable in nnx.to_flat_state(state):
        if isinstance(variable, nnx.RngState):
            start = jax.random.key(0) if isinstance(variable, nnx.RngKey) else jnp.zeros((), variable.dtype)
            found.append((path, variable.replace(start)))
            continue
        candidates = names(".".join(map(str, path)))
        name = next((name for name in candidates if name in left), None)
        if name is None and isinstance(variable, nnx.Cache):
            empty = jnp.zeros(variable.shape, next(iter(weights.values())).dtype)
            found.append((path, variable.replace(empty)))
            continue
        if name is None:
            raise KeyError(f"no weight for {path}, which would be {' or '.join(candidates)}")
        x = turned(left.pop(name)).reshape(variable.shape)
        found.append((path, variable.replace(jax.device_put(jnp.asarray(x)))))
    # A prompt that is read at once needs no cache.
    if unused := [name for name in sorted(left) if not name.endswith(CACHE)]:
        raise KeyError(f"weights that no variable takes: {', '.join(unused)}")
    return nnx.from_flat_state(found)


def names(path: str) -> list[str]:
    """What a variable may be called here."""
    layer, _, slot = path.rpartition(".")
    if layer.endswith((".cell.dense_i", ".cell.dense_h")):
        cell, _, part = layer.rpartition(".")
        return [f"{cell}.{CELL[f'{part}.{slot}']}"]
    if not layer:
        return [OTHERWISE.get(slot, slot)]
    layer = OTHERWISE.get(layer, layer)
    found = [f"{layer}.{ours}" for ours in SLOTS.get(slot, (slot,))]
    for theirs, ours in PROJECTIONS.items():
        found = (
            [name.replace(theirs, part) for name in found for part in ours] if theirs in found[0] else found
        )
    return found


def turned(x: np.ndarray) -> np.ndarray:
    return x.transpose(2, 3, 1, 0) if x.ndim == 4 else x
