from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from . import Network, Shapes, Tensors
from .losses import binary_cross_entropy


class VAE(nnx.Module):
    def __init__(
        self, shapes: Shapes, latent: int = 16, wide: int = 128, noise: bool = True, *, rngs: nnx.Rngs
    ) -> None:
        pixels = shapes["x"][1]
        self.dense = nnx.Linear(pixels, wide, rngs=rngs)
        self.dense_1 = nnx.Linear(wide, latent, rngs=rngs)
        self.dense_2 = nnx.Linear(wide, latent, rngs=rngs)
        self.dense_3 = nnx.Linear(latent, wide, rngs=rngs)
        self.dense_4 = nnx.Linear(wide, pixels, rngs=rngs)
        self.rngs = rngs if noise else None
        self.deterministic = False

    def __call__(self, x: jax.Array) -> Tensors:
        h = nnx.relu(self.dense(x))
        mean, log_variance = self.dense_1(h), self.dense_2(h)
        z = mean
        if self.rngs and not self.deterministic:
            z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(self.rngs(), mean.shape)
        again = nnx.sigmoid(self.dense_4(nnx.relu(self.dense_3(z))))
        return {"again": again, "mu": mean, "logvar": log_variance}


def loss(found: Tensors, given: Tensors) -> jax.Array:
    """The evidence lower bound, negated. (Kingma and Welling, 2013.)"""
    mean, log_variance = found["mu"], found["logvar"]
    seen = binary_cross_entropy(found["again"], given["x"]).sum(1)
    divergence = -0.5 * (1 + log_variance - mean**2 - jnp.exp(log_variance)).sum(1)
    return (seen + divergence).mean()


NETWORKS = {"vae": Network(VAE, loss)}
