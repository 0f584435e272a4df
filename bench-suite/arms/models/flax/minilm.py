from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from . import Network, Shapes, Tensors


class Block(nnx.Module):
    def __init__(self, d: int, heads: int, wide: int, *, rngs: nnx.Rngs) -> None:
        self.attention = nnx.MultiHeadAttention(heads, d, decode=False, rngs=rngs)
        self.layer_norm = nnx.LayerNorm(d, epsilon=1e-12, rngs=rngs)
        self.dense = nnx.Linear(d, wide, rngs=rngs)
        self.dense_1 = nnx.Linear(wide, d, rngs=rngs)
        self.layer_norm_1 = nnx.LayerNorm(d, epsilon=1e-12, rngs=rngs)

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        x = self.layer_norm(x + self.attention(x, mask=mask))
        y = self.dense_1(nnx.gelu(self.dense(x), approximate=False))
        return self.layer_norm_1(x + y)


class MiniLM(nnx.Module):
    def __init__(
        self,
        _: Shapes,
        layers: int = 6,
        d: int = 384,
        heads: int = 12,
        wide: int = 1536,
        positions: int = 512,
        vocab: int = 30522,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.words = nnx.Embed(vocab, d, rngs=rngs)
        self.place = nnx.Embed(positions, d, rngs=rngs)
        self.kind = nnx.Embed(2, d, rngs=rngs)
        self.layer_norm = nnx.LayerNorm(d, epsilon=1e-12, rngs=rngs)
        self.block = nnx.List(Block(d, heads, wide, rngs=rngs) for _ in range(layers))

    def __call__(self, ids: jax.Array, mask: jax.Array) -> Tensors:
        x = self.words(ids) + self.place(jnp.arange(ids.shape[1])) + self.kind(jnp.zeros_like(ids))
        x = self.layer_norm(x)
        for block in self.block:
            x = block(x, mask[:, None, None, :])
        weight = mask[..., None].astype(x.dtype)
        mean = (x * weight).sum(1) / jnp.maximum(weight.sum(1), 1e-9)
        return {"sentence": mean / jnp.linalg.norm(mean, axis=-1, keepdims=True)}


def loss(found: Tensors, given: Tensors) -> jax.Array:
    return optax.cosine_distance(found["sentence"], given["teacher"], epsilon=1e-8).mean()


NETWORKS = {"minilm": Network(MiniLM, loss)}
