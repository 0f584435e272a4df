"""The single operations of `kernels.toml`. Pictures have their channels last, as Flax has them."""

from __future__ import annotations

import jax
from flax import nnx

from . import Network, Shapes, Tensors
from .parts import conv


class Operation(nnx.Module):
    """One without weights."""

    def __init__(self, shapes: Shapes, *, rngs: nnx.Rngs) -> None:
        pass


class Product(Operation):
    def __call__(self, a: jax.Array, b: jax.Array) -> Tensors:
        return {"y": a @ b}


class Softmax(Operation):
    def __call__(self, x: jax.Array) -> Tensors:
        return {"y": nnx.softmax(x)}


class Chain(Operation):
    def __call__(self, x: jax.Array, r: jax.Array) -> Tensors:
        return {"y": nnx.gelu(1.5 * x + 0.25, approximate=False) + r}


def attend(q: jax.Array, k: jax.Array, v: jax.Array, heads: int = 12) -> jax.Array:
    split = (x.reshape(*x.shape[:2], heads, -1) for x in (q, k, v))
    return jax.nn.dot_product_attention(*split).reshape(q.shape)


class Attention(Operation):
    def __call__(self, q: jax.Array, k: jax.Array, v: jax.Array) -> Tensors:
        return {"y": attend(q, k, v)}


class AttentionGradient(Operation):
    def __call__(self, q: jax.Array, k: jax.Array, v: jax.Array, ct: jax.Array) -> Tensors:
        y, back = jax.vjp(attend, q, k, v)
        return dict(zip(("y", "dq", "dk", "dv"), (y, *back(ct)), strict=True))


class Weighted(nnx.Module):
    def __init__(self, shapes: Shapes, units: int, *, rngs: nnx.Rngs) -> None:
        self.dense = nnx.Linear(shapes["a"][1], units, use_bias=False, rngs=rngs)

    def __call__(self, a: jax.Array) -> Tensors:
        return {"y": self.dense(a)}


class Convolution(nnx.Module):
    def __init__(
        self, shapes: Shapes, side: int, channels: int, kernel: int, stride: int, *, rngs: nnx.Rngs
    ) -> None:
        self.conv2d = conv(shapes["x"][3], channels, kernel, stride, rngs=rngs)

    def __call__(self, x: jax.Array) -> Tensors:
        return {"y": nnx.relu(self.conv2d(x))}


class LayerNorm(nnx.Module):
    def __init__(self, shapes: Shapes, *, rngs: nnx.Rngs) -> None:
        self.layer_norm = nnx.LayerNorm(shapes["x"][-1], epsilon=1e-5, rngs=rngs)

    def __call__(self, x: jax.Array) -> Tensors:
        return {"y": self.layer_norm(x)}


NETWORKS = {
    "gemm": Network(Product),
    "gemm_weight": Network(Weighted),
    "conv": Network(Convolution),
    "conv_3x3": Network(Convolution),
    "attention": Network(Attention),
    "attention_gradient": Network(AttentionGradient),
    "softmax": Network(Softmax),
    "layer_norm": Network(LayerNorm),
    "chain": Network(Chain),
}
