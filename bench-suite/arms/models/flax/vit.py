from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from . import Network, Shapes, Tensors
from .losses import cross_entropy
from .parts import picture


class Block(nnx.Module):
    def __init__(self, d: int, heads: int, wide: int, rate: float, *, rngs: nnx.Rngs) -> None:
        self.layer_norm = nnx.LayerNorm(d, epsilon=1e-6, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(heads, d, decode=False, rngs=rngs)
        self.layer_norm_1 = nnx.LayerNorm(d, epsilon=1e-6, rngs=rngs)
        self.dense = nnx.Linear(d, wide, rngs=rngs)
        self.dense_1 = nnx.Linear(wide, d, rngs=rngs)
        self.dropout = nnx.Dropout(rate, rngs=rngs if rate else None)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.dropout(self.attention(self.layer_norm(x)))
        y = self.dropout(nnx.gelu(self.dense(self.layer_norm_1(x)), approximate=False))
        return x + self.dropout(self.dense_1(y))


class ViT(nnx.Module):
    def __init__(
        self,
        shapes: Shapes,
        layers: int = 12,
        d: int = 384,
        heads: int = 6,
        wide: int = 1536,
        patch: int = 16,
        classes: int = 1000,
        rate: float = 0.1,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        _, _, rows, columns = shapes["image"]
        words = (rows // patch) * (columns // patch)
        self.first = nnx.Param(jnp.zeros((1, 1, d)))
        self.place = nnx.Param(0.02 * jax.random.normal(rngs.params(), (1 + words, d)))
        self.patches = nnx.Conv(3, d, (patch, patch), patch, padding="VALID", rngs=rngs)
        self.dropout = nnx.Dropout(rate, rngs=rngs if rate else None)
        self.block = nnx.List(Block(d, heads, wide, rate, rngs=rngs) for _ in range(layers))
        self.layer_norm = nnx.LayerNorm(d, epsilon=1e-6, rngs=rngs)
        self.dense = nnx.Linear(d, classes, rngs=rngs)

    def __call__(self, image: jax.Array) -> Tensors:
        x = self.patches(picture(image))
        b, _, _, d = x.shape
        first = jnp.broadcast_to(self.first[...], (b, 1, d))
        x = self.dropout(jnp.concatenate([first, x.reshape(b, -1, d)], 1) + self.place[...])
        for block in self.block:
            x = block(x)
        return {"logits": self.dense(self.layer_norm(x)[:, 0])}


NETWORKS = {"vit_s": Network(ViT, cross_entropy)}
