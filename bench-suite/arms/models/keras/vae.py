from __future__ import annotations

import keras
from keras import KerasTensor, layers, ops

from . import Network, Shapes
from .losses import Tensors


class Draw(layers.Layer):
    """A draw around the mean while training, else the mean."""

    def __init__(self, noise: bool) -> None:
        super().__init__()
        self.noise = noise
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, mean: KerasTensor, log_variance: KerasTensor, training: bool = False) -> KerasTensor:
        if not training or not self.noise:
            return mean
        normal = keras.random.normal(ops.shape(mean), seed=self.seeds)
        return mean + ops.exp(0.5 * log_variance) * normal


def vae(shapes: Shapes, latent: int = 16, wide: int = 128, noise: bool = True) -> keras.Model:
    x = keras.Input(shapes["x"][1:], name="x")
    h = layers.Dense(wide, activation="relu", name="dense")(x)
    mean = layers.Dense(latent, name="dense_1")(h)
    log_variance = layers.Dense(latent, name="dense_2")(h)
    z = Draw(noise)(mean, log_variance)
    y = layers.Dense(wide, activation="relu", name="dense_3")(z)
    again = layers.Dense(x.shape[1], activation="sigmoid", name="dense_4")(y)
    return keras.Model({"x": x}, {"again": again, "mu": mean, "logvar": log_variance})


def loss(found: Tensors, given: Tensors) -> KerasTensor:
    """The evidence lower bound, negated. (Kingma and Welling, 2013.)"""
    mean, log_variance = found["mu"], found["logvar"]
    seen = ops.sum(ops.binary_crossentropy(given["x"], found["again"]), axis=1)
    divergence = -0.5 * ops.sum(1 + log_variance - ops.square(mean) - ops.exp(log_variance), axis=1)
    return ops.mean(seen + divergence)


NETWORKS = {"vae": Network(vae, loss)}
