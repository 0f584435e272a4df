from __future__ import annotations

import keras
from keras import KerasTensor, layers, ops

from . import Network, Shapes
from .losses import next_symbol
from .parts import Places


class Cached(layers.Layer):
    """Attention to what a cache holds, once the key and value of a new word are put into it at `at`."""

    def call(
        self,
        query: KerasTensor,
        key: KerasTensor,
        value: KerasTensor,
        keys: KerasTensor,
        values: KerasTensor,
        at: KerasTensor,
    ) -> tuple[KerasTensor, KerasTensor, KerasTensor]:
        keys = ops.slice_update(keys, [0, at, 0, 0], key)
        values = ops.slice_update(values, [0, at, 0, 0], value)
        seen = ops.reshape(ops.arange(keys.shape[1]) <= at, (1, 1, 1, -1))
        return ops.dot_product_attention(query, keys, values, mask=seen), keys, values


def project(x: KerasTensor, heads: int, name: str) -> list[KerasTensor]:
    """Query, key and value of each head."""
    _, s, d = x.shape
    qkv = layers.Dense(3 * d, name=name)(x)
    return [layers.Reshape((s, heads, d // heads))(part) for part in ops.split(qkv, 3, axis=-1)]


def gelu(x: KerasTensor) -> KerasTensor:
    return ops.gelu(x, approximate=True)


def gpt2(
    shapes: Shapes,
    blocks: int = 12,
    d: int = 768,
    heads: int = 12,
    context: int = 1024,
    vocab: int = 50257,
    decode: bool = False,
) -> keras.Model:
    """Without a cache, which neither a prompt nor training reads; or a token at a time, with one."""
    given = {"tokens": keras.Input(shapes["tokens"][1:], dtype="int32", name="tokens")}
    found = {}
    if decode:
        given["at"] = keras.Input(batch_shape=(), dtype="int32", name="at")
    words = layers.ReversibleEmbedding(vocab, d, name="wte")
    x = words(given["tokens"]) + Places(context, d, name="wpe")(given["tokens"], at=given.get("at", 0))
    for i in range(blocks):
        name = f"h-{i}"
        y = layers.LayerNormalization(epsilon=1e-5, name=f"{name}-layer_norm")(x)
        qkv = project(y, heads, f"{name}-attend-dense")
        if decode:
            cache = [f"{name}-attend-keys", f"{name}-attend-values"]
            given |= {n: keras.Input((context, heads, d // heads), name=n) for n in cache}
            y, *kept = Cached()(*qkv, *(given[n] for n in cache), given["at"])
            found |= zip(cache, kept, strict=True)
        else:
            y = ops.dot_product_attention(*qkv, is_causal=True)
        x = x + layers.Dense(d, name=f"{name}-attend-dense_1")(layers.Reshape(x.shape[1:])(y))
        y = layers.LayerNormalization(epsilon=1e-5, name=f"{name}-layer_norm_1")(x)
        y = layers.Dense(4 * d, activation=gelu, name=f"{name}-dense")(y)
        x = x + layers.Dense(d, name=f"{name}-dense_1")(y)
    x = layers.LayerNormalization(epsilon=1e-5, name="layer_norm")(x)
    return keras.Model(given, {"logits": words(x, reverse=True), **found})


def gpt2_decode(shapes: Shapes, **sizes: int) -> keras.Model:
    return gpt2(shapes, decode=True, **sizes)


NETWORKS = {"gpt2": Network(gpt2, next_symbol), "gpt2_decode": Network(gpt2_decode)}
