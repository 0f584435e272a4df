from __future__ import annotations

from collections.abc import Sequence

import jax
from flax import nnx

from . import Network, Shapes, Tensors
from .losses import cross_entropy


class LeNet(nnx.Module):
    def __init__(self, _: Shapes, units: Sequence[int] = (6, 16, 120, 84), *, rngs: nnx.Rngs) -> None:
        a, b, c, d = units
        self.conv2d = nnx.Conv(1, a, (5, 5), padding=2, rngs=rngs)
        self.conv2d_1 = nnx.Conv(a, b, (5, 5), padding="VALID", rngs=rngs)
        self.conv2d_2 = nnx.Conv(b, c, (5, 5), padding="VALID", rngs=rngs)
        self.dense = nnx.Linear(c, d, rngs=rngs)
        self.dense_1 = nnx.Linear(d, 10, rngs=rngs)

    def __call__(self, image: jax.Array) -> Tensors:
        x = image[..., None] / 255
        x = nnx.avg_pool(nnx.tanh(self.conv2d(x)), (2, 2), (2, 2))
        x = nnx.avg_pool(nnx.tanh(self.conv2d_1(x)), (2, 2), (2, 2))
        x = nnx.tanh(self.conv2d_2(x)).reshape(len(x), -1)
        return {"logits": self.dense_1(nnx.tanh(self.dense(x)))}


NETWORKS = {"lenet": Network(LeNet, cross_entropy)}
