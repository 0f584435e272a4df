"""Means over rows, by Optax's own losses."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from . import Tensors


def cross_entropy(found: Tensors, given: Tensors) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(found["logits"], given["label"]).mean()


def next_symbol(found: Tensors, given: Tensors) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(found["logits"], given["target"]).mean()


def binary_cross_entropy(p: jax.Array, target: jax.Array) -> jax.Array:
    """Of probabilities; Optax has it of logits only."""
    p = jnp.clip(p, 1e-7, 1 - 1e-7)
    return -(target * jnp.log(p) + (1 - target) * jnp.log1p(-p))
