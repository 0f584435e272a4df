from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from . import Network, Shapes
from .losses import cross_entropy
from .parts import channels_first


def lenet(shapes: Shapes, units: Sequence[int] = (6, 16, 120, 84)) -> keras.Model:
    a, b, c, d = units
    _, rows, columns = shapes["image"]
    image = keras.Input((rows, columns), name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Reshape((1, rows, columns) if channels_first() else (rows, columns, 1))(x)
    x = layers.Conv2D(a, 5, padding="same", activation="tanh", name="conv2d")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2D(b, 5, activation="tanh", name="conv2d_1")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2D(c, 5, activation="tanh", name="conv2d_2")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(d, activation="tanh", name="dense")(x)
    return keras.Model({"image": image}, {"logits": layers.Dense(10, name="dense_1")(x)})


NETWORKS = {"lenet": Network(lenet, cross_entropy)}
