from __future__ import annotations

import keras
from keras import KerasTensor, layers, ops

from . import Network, Shapes
from .losses import cross_entropy
from .parts import channels_first, picture


class Words(layers.Layer):
    """One more word for the class before those of the patches, and where each stands."""

    def build(self, shape: tuple[int, ...]) -> None:
        _, words, d = shape
        self.first = self.add_weight((1, 1, d), "zeros", name="class")
        self.place = self.add_weight((1 + words, d), "random_normal", name="place")

    def call(self, x: KerasTensor) -> KerasTensor:
        first = ops.broadcast_to(self.first, (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([first, x], axis=1) + self.place


def patches(x: KerasTensor, size: int, d: int) -> KerasTensor:
    x = layers.Conv2D(d, size, size, name="patches-conv2d")(x)
    if channels_first():
        return layers.Permute((2, 1))(layers.Reshape((d, -1))(x))
    return layers.Reshape((-1, d))(x)


def block(x: KerasTensor, heads: int, wide: int, rate: float, name: str) -> KerasTensor:
    d = x.shape[-1]
    seen = layers.LayerNormalization(epsilon=1e-6, name=f"{name}-layer_norm")(x)
    seen = layers.MultiHeadAttention(heads, d // heads, name=f"{name}-attention")(seen, seen)
    x = layers.Add()([x, layers.Dropout(rate)(seen)])
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}-layer_norm_1")(x)
    y = layers.Dropout(rate)(layers.Dense(wide, activation="gelu", name=f"{name}-dense")(y))
    y = layers.Dropout(rate)(layers.Dense(d, name=f"{name}-dense_1")(y))
    return layers.Add()([x, y])


def vit(
    shapes: Shapes,
    blocks: int = 12,
    d: int = 384,
    heads: int = 6,
    wide: int = 1536,
    patch: int = 16,
    classes: int = 1000,
    rate: float = 0.1,
) -> keras.Model:
    image, x = picture(shapes["image"][1:], "image")
    x = layers.Dropout(rate)(Words(name="words")(patches(x, patch, d)))
    for i in range(blocks):
        x = block(x, heads, wide, rate, f"block-{i}")
    x = layers.LayerNormalization(epsilon=1e-6, name="layer_norm")(x)
    return keras.Model({"image": image}, {"logits": layers.Dense(classes, name="dense")(x[:, 0])})


NETWORKS = {"vit_s": Network(vit, cross_entropy)}
