"""What several networks are made of."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx


def picture(x: jax.Array) -> jax.Array:
    """Channels last."""
    return jnp.transpose(x, (0, 2, 3, 1))


def channels_first(x: jax.Array) -> jax.Array:
    return jnp.transpose(x, (0, 3, 1, 2))


def conv(cin: int, c: int, kernel: int, stride: int = 1, bias: bool = True, *, rngs: nnx.Rngs) -> nnx.Conv:
    """With half a kernel of zeros on each side."""
    return nnx.Conv(cin, c, (kernel, kernel), stride, padding=kernel // 2, use_bias=bias, rngs=rngs)


def norm(c: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    return nnx.BatchNorm(c, momentum=0.9, epsilon=1e-5, rngs=rngs)


class ConvBN(nnx.Module):
    def __init__(self, cin: int, c: int, kernel: int = 1, stride: int = 1, *, rngs: nnx.Rngs) -> None:
        self.conv2d = conv(cin, c, kernel, stride, bias=False, rngs=rngs)
        self.batch_norm = norm(c, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.batch_norm(self.conv2d(x))


def numbered(name: str, i: int) -> str:
    """Of several layers called alike, the first bears no number."""
    return f"{name}_{i}" if i else name
