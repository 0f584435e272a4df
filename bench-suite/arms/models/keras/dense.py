from __future__ import annotations

import keras
from keras import KerasTensor, layers, losses, ops

from . import Network, Shapes
from .losses import Tensors, cross_entropy


def mlp(shapes: Shapes, wide: int = 512, classes: int = 10) -> keras.Model:
    image = keras.Input(shapes["image"][1:], name="image")
    x = layers.Dense(wide, activation="relu", name="dense")(image)
    x = layers.Dense(wide, activation="relu", name="dense_1")(x)
    logits = layers.Dense(classes, name="dense_2")(x)
    return keras.Model({"image": image}, {"logits": logits})


def tabular(shapes: Shapes, wide: int = 64) -> keras.Model:
    x = keras.Input(shapes["x"][1:], name="x")
    h = layers.Dense(wide, activation="relu", name="dense")(x)
    p = layers.Dense(1, activation="sigmoid", name="dense_1")(h)
    return keras.Model({"x": x}, {"p": p})


def binary(found: Tensors, given: Tensors) -> KerasTensor:
    return ops.mean(losses.binary_crossentropy(given["target"], found["p"]))


NETWORKS = {"mlp": Network(mlp, cross_entropy), "tabular": Network(tabular, binary)}
