from __future__ import annotations

import keras
from keras import layers

from . import Network, Shapes
from .losses import cross_entropy


def lstm(shapes: Shapes, hidden: int = 256, classes: int = 10) -> keras.Model:
    x = keras.Input(shapes["x"][1:], name="x")
    # Weights are given. Keras's own start, which is orthogonal, is not to be had in bf16.
    start = {"recurrent_initializer": "glorot_uniform"}
    y = layers.LSTM(hidden, return_sequences=True, name="lstm", **start)(x)
    y = layers.LSTM(hidden, name="lstm_1", **start)(y)
    return keras.Model({"x": x}, {"logits": layers.Dense(classes, name="dense")(y)})


NETWORKS = {"lstm": Network(lstm, cross_entropy)}
