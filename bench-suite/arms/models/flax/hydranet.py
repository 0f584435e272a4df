from __future__ import annotations

from collections.abc import Sequence

import jax
from flax import nnx

from . import Network, Shapes, Tensors
from .losses import binary_cross_entropy
from .parts import channels_first, conv, norm, picture


class Down(nnx.Module):
    def __init__(self, cin: int, c: int, *, rngs: nnx.Rngs) -> None:
        self.conv2d = conv(cin, c, 3, 2, rngs=rngs)
        self.batch_norm = norm(c, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return nnx.silu(self.batch_norm(self.conv2d(x)))


class HydraNet(nnx.Module):
    def __init__(
        self, _: Shapes, widths: Sequence[int] = (32, 64, 128), boxes: int = 64, *, rngs: nnx.Rngs
    ) -> None:
        first, second, third = widths
        self.down = Down(3, first, rngs=rngs)
        self.down_1 = Down(first, second, rngs=rngs)
        self.down_2 = Down(second, third, rngs=rngs)
        self.conv2d = conv(third, third, 3, rngs=rngs)
        self.conv2d_1 = conv(third, boxes, 1, rngs=rngs)
        self.conv2d_2 = conv(third, second, 3, rngs=rngs)
        self.conv2d_3 = conv(second, 4, 1, rngs=rngs)
        self.dense = nnx.Linear(third, 1, rngs=rngs)

    def __call__(self, frame: jax.Array) -> Tensors:
        x = self.down_2(self.down_1(self.down(picture(frame))))
        return {
            "objects": channels_first(self.conv2d_1(nnx.silu(self.conv2d(x)))),
            "lanes": channels_first(self.conv2d_3(nnx.silu(self.conv2d_2(x)))),
            "collision": nnx.sigmoid(self.dense(x.mean((1, 2))))[:, 0],
        }


def loss(found: Tensors, given: Tensors) -> jax.Array:
    boxes = ((found["objects"] - given["boxes"]) ** 2).mean()
    lane = ((found["lanes"] - given["lane"]) ** 2).mean()
    return boxes + 0.5 * lane + 2.0 * binary_cross_entropy(found["collision"], given["hit"]).mean()


NETWORKS = {"hydranet": Network(HydraNet, loss)}
