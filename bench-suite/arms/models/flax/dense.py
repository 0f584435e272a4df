from __future__ import annotations

import jax
from flax import nnx

from . import Network, Shapes, Tensors
from .losses import binary_cross_entropy, cross_entropy


class MLP(nnx.Module):
    def __init__(self, shapes: Shapes, wide: int = 512, classes: int = 10, *, rngs: nnx.Rngs) -> None:
        self.dense = nnx.Linear(shapes["image"][1], wide, rngs=rngs)
        self.dense_1 = nnx.Linear(wide, wide, rngs=rngs)
        self.dense_2 = nnx.Linear(wide, classes, rngs=rngs)

    def __call__(self, image: jax.Array) -> Tensors:
        x = nnx.relu(self.dense_1(nnx.relu(self.dense(image))))
        return {"logits": self.dense_2(x)}


class Tabular(nnx.Module):
    def __init__(self, shapes: Shapes, wide: int = 64, *, rngs: nnx.Rngs) -> None:
        self.dense = nnx.Linear(shapes["x"][1], wide, rngs=rngs)
        self.dense_1 = nnx.Linear(wide, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> Tensors:
        return {"p": nnx.sigmoid(self.dense_1(nnx.relu(self.dense(x))))}


def binary(found: Tensors, given: Tensors) -> jax.Array:
    return binary_cross_entropy(found["p"], given["target"]).mean()


NETWORKS = {"mlp": Network(MLP, cross_entropy), "tabular": Network(Tabular, binary)}
