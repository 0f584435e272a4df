from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from . import Network, Shapes, Tensors
from .losses import cross_entropy


class LSTM(nnx.Module):
    def __init__(self, n: int, hidden: int, *, rngs: nnx.Rngs) -> None:
        self.cell = nnx.OptimizedLSTMCell(n, hidden, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        nothing = jnp.zeros((len(x), self.cell.hidden_features), x.dtype)
        return nnx.RNN(self.cell, rngs=False)(x, initial_carry=(nothing, nothing))


class SeriesLSTM(nnx.Module):
    def __init__(self, shapes: Shapes, hidden: int = 256, classes: int = 10, *, rngs: nnx.Rngs) -> None:
        self.lstm = LSTM(shapes["x"][2], hidden, rngs=rngs)
        self.lstm_1 = LSTM(hidden, hidden, rngs=rngs)
        self.dense = nnx.Linear(hidden, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> Tensors:
        return {"logits": self.dense(self.lstm_1(self.lstm(x))[:, -1])}


NETWORKS = {"lstm": Network(SeriesLSTM, cross_entropy)}
