from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import KerasTensor, layers

from . import Network, Shapes
from .losses import cross_entropy
from .parts import channels, conv_bn, height, numbered, picture


def shortcut(x: KerasTensor, c: int, stride: int, name: str) -> KerasTensor:
    return x if stride == 1 and channels(x) == c else conv_bn(x, c, stride=stride, name=name)


def bottleneck(x: KerasTensor, c: int, stride: int, name: str) -> KerasTensor:
    y = layers.ReLU()(conv_bn(x, c, name=f"{name}-conv_bn"))
    y = layers.ReLU()(conv_bn(y, c, 3, stride, name=f"{name}-conv_bn_1"))
    y = conv_bn(y, 4 * c, name=f"{name}-conv_bn_2")
    return layers.ReLU()(layers.Add()([y, shortcut(x, 4 * c, stride, f"{name}-conv_bn_3")]))


def basic(x: KerasTensor, c: int, stride: int, name: str) -> KerasTensor:
    y = layers.ReLU()(conv_bn(x, c, 3, stride, name=f"{name}-conv_bn"))
    y = conv_bn(y, c, 3, name=f"{name}-conv_bn_1")
    return layers.ReLU()(layers.Add()([y, shortcut(x, c, stride, f"{name}-conv_bn_2")]))


def quarter(x: KerasTensor, width: int, name: str) -> KerasTensor:
    """Four times smaller at once. Zeros around the picture change no maximum of what `relu` gives."""
    x = layers.ReLU()(conv_bn(x, width, 7, 2, name=name))
    return layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))


def ended(image: KerasTensor, x: KerasTensor, classes: int) -> keras.Model:
    logits = layers.Dense(classes, name="dense")(layers.GlobalAveragePooling2D()(x))
    return keras.Model({"image": image}, {"logits": logits})


def resnet50(
    shapes: Shapes, classes: int = 1000, width: int = 64, depth: Sequence[int] = (3, 4, 6, 3)
) -> keras.Model:
    image, x = picture(shapes["image"][1:], "image")
    x = quarter(x, width, "conv_bn")
    for i, blocks in enumerate(depth):
        for j in range(blocks):
            name = f"{numbered('stage', i)}-{f'block-{j - 1}' if j else 'bottleneck'}"
            x = bottleneck(x, width << i, 2 if i and not j else 1, name)
    return ended(image, x, classes)


def resnet18(shapes: Shapes, classes: int = 10, width: int = 64) -> keras.Model:
    image, x = picture(shapes["image"][1:], "image")
    if height(x) <= 64:
        x = layers.ReLU()(conv_bn(x, width, 3, name="stem-conv_bn"))
    else:
        x = quarter(x, width, "stem-conv_bn_1")
    for i in range(4):
        for j in range(2):
            name = f"{numbered('basic_stage', i)}-{numbered('basic', j)}"
            x = basic(x, width << i, 2 if i and not j else 1, name)
    return ended(image, x, classes)


NETWORKS = {
    "resnet18": Network(resnet18, cross_entropy),
    "resnet50": Network(resnet50, cross_entropy),
}
