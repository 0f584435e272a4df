from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import KerasTensor, layers

from arms.models.mobilenet_v2 import TABLE

from . import Network, Shapes
from .losses import cross_entropy
from .parts import channels, conv_bn, depthwise, norm, numbered, picture


def inverted_residual(x: KerasTensor, expansion: int, c: int, stride: int, name: str) -> KerasTensor:
    y = x
    if expansion != 1:
        y = layers.ReLU(6.0)(conv_bn(x, expansion * channels(x), name=f"{name}-conv_bn"))
    y = depthwise(y, 3, stride, name=f"{name}-depthwise_conv2d")
    y = layers.ReLU(6.0)(norm(y, f"{name}-batch_norm"))
    y = conv_bn(y, c, name=f"{name}-conv_bn_1")
    return layers.Add()([x, y]) if stride == 1 and channels(x) == c else y


def mobilenet_v2(
    shapes: Shapes,
    classes: int = 1000,
    first: int = 32,
    last: int = 1280,
    table: Sequence[Sequence[int]] = TABLE,
    drop: float = 0.2,
) -> keras.Model:
    image, x = picture(shapes["image"][1:], "image")
    x = layers.ReLU(6.0)(conv_bn(x, first, 3, 2, name="conv_bn"))
    for i, (expansion, c, blocks, stride) in enumerate(table):
        for j in range(blocks):
            name = f"{numbered('stage', i)}-{f'block-{j - 1}' if j else 'inverted_residual'}"
            x = inverted_residual(x, expansion, c, 1 if j else stride, name)
    x = layers.ReLU(6.0)(conv_bn(x, last, name="conv_bn_1"))
    x = layers.Dropout(drop)(layers.GlobalAveragePooling2D()(x))
    return keras.Model({"image": image}, {"logits": layers.Dense(classes, name="dense")(x)})


NETWORKS = {"mobilenet_v2": Network(mobilenet_v2, cross_entropy)}
