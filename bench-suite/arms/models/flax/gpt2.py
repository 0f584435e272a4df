from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from . import Network, Shapes, Tensors
from .losses import next_symbol


class Attend(nnx.Module):
    """With a cache, keys and values are put into it at `at`, and all up to there are seen."""

    def __init__(self, batch: int, d: int, heads: int, context: int, decode: bool, *, rngs: nnx.Rngs) -> None:
        self.shape, self.decode = (heads, d // heads), decode
        self.dense = nnx.Linear(d, 3 * d, rngs=rngs)
        self.dense_1 = nnx.Linear(d, d, rngs=rngs)
        if decode:
            self.keys = nnx.Cache(jnp.zeros((batch, context, *self.shape)))
            self.values = nnx.Cache(jnp.zeros((batch, context, *self.shape)))

    def __call__(self, x: jax.Array, at: jax.Array) -> jax.Array:
        parts = jnp.split(self.dense(x), 3, axis=-1)
        q, k, v = (part.reshape(*x.shape[:2], *self.shape) for part in parts)
        if self.decode:
            self.keys[...] = k = lax.dynamic_update_slice(self.keys[...], k, (0, at, 0, 0))
            self.values[...] = v = lax.dynamic_update_slice(self.values[...], v, (0, at, 0, 0))
            seen = (jnp.arange(k.shape[1]) <= at)[None, None, None]
            o = nnx.dot_product_attention(q, k, v, mask=seen)
        else:
            o = nnx.dot_product_attention(q, k, v, is_causal=True)
        return self.dense_1(o.reshape(x.shape))


class Block(nnx.Module):
    def __init__(self, batch: int, d: int, heads: int, context: int, decode: bool, *, rngs: nnx.Rngs) -> None:
        self.layer_norm = nnx.LayerNorm(d, epsilon=1e-5, rngs=rngs)
        self.attend = Attend(batch, d, heads, context, decode, rngs=rngs)
        self.layer_norm_1 = nnx.LayerNorm(d, epsilon=1e-5, rngs=rngs)
        self.dense = nnx.Linear(d, 4 * d, rngs=rngs)
        self.dense_1 = nnx.Linear(4 * d, d, rngs=rngs)

    def __call__(self, x: jax.Array, at: jax.Array) -> jax.Array:
        x = x + self.attend(self.layer_norm(x), at)
        return x + self.dense_1(nnx.gelu(self.dense(self.layer_norm_1(x)), approximate=True))


class GPT2(nnx.Module):
    def __init__(
        self,
        shapes: Shapes,
        layers: int = 12,
        d: int = 768,
        heads: int = 12,
        context: int = 1024,
        vocab: int = 50257,
        decode: bool = False,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        batch = shapes["tokens"][0]
        self.wte = nnx.Embed(vocab, d, rngs=rngs)
        self.wpe = nnx.Embed(context, d, rngs=rngs)
        self.h = nnx.List(Block(batch, d, heads, context, decode, rngs=rngs) for _ in range(layers))
        self.layer_norm = nnx.LayerNorm(d, epsilon=1e-5, rngs=rngs)

    def __call__(self, tokens: jax.Array, at: jax.Array | int = 0) -> Tensors:
        x = self.wte(tokens) + self.wpe(jnp.arange(tokens.shape[1]) + at)
        for block in self.h:
            x = block(x, at)
        return {"logits": self.wte.attend(self.layer_norm(x))}


def decoding(shapes: Shapes, *, rngs: nnx.Rngs, **sizes: int) -> GPT2:
    return GPT2(shapes, decode=True, rngs=rngs, **sizes)


NETWORKS = {"gpt2": Network(GPT2, next_symbol), "gpt2_decode": Network(decoding)}
