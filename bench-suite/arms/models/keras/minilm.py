from __future__ import annotations

import keras
from keras import KerasTensor, layers, losses, ops

from . import Network, Shapes
from .losses import Tensors
from .parts import Places


def block(x: KerasTensor, mask: KerasTensor, heads: int, wide: int, name: str) -> KerasTensor:
    d = x.shape[-1]
    seen = layers.MultiHeadAttention(heads, d // heads, name=f"{name}-attention")(x, x, attention_mask=mask)
    x = layers.LayerNormalization(epsilon=1e-12, name=f"{name}-layer_norm")(layers.Add()([x, seen]))
    y = layers.Dense(wide, activation="gelu", name=f"{name}-dense")(x)
    y = layers.Dense(d, name=f"{name}-dense_1")(y)
    return layers.LayerNormalization(epsilon=1e-12, name=f"{name}-layer_norm_1")(layers.Add()([x, y]))


def minilm(
    shapes: Shapes,
    blocks: int = 6,
    d: int = 384,
    heads: int = 12,
    wide: int = 1536,
    positions: int = 512,
    vocab: int = 30522,
) -> keras.Model:
    length = shapes["ids"][1]
    ids = keras.Input((length,), dtype="int32", name="ids")
    mask = keras.Input((length,), dtype="bool", name="mask")
    x = layers.Embedding(vocab, d, name="words")(ids)
    x = x + Places(positions, d, name="place")(ids)
    x = x + layers.Embedding(2, d, name="kind")(ops.zeros_like(ids))
    x = layers.LayerNormalization(epsilon=1e-12, name="layer_norm")(x)
    seen = ops.expand_dims(mask, 1)
    for i in range(blocks):
        x = block(x, seen, heads, wide, f"block-{i}")
    weight = ops.expand_dims(ops.cast(mask, x.dtype), -1)
    mean = ops.sum(x * weight, axis=1) / ops.maximum(ops.sum(weight, axis=1), 1e-9)
    return keras.Model({"ids": ids, "mask": mask}, {"sentence": layers.UnitNormalization()(mean)})


def loss(found: Tensors, given: Tensors) -> KerasTensor:
    return 1 + ops.mean(losses.cosine_similarity(given["teacher"], found["sentence"]))


NETWORKS = {"minilm": Network(minilm, loss)}
