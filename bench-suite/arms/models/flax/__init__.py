"""The networks in Flax (nnx), one file a family.

Attributes bear the names that layers have in our `.model` files, so that the path of a variable is ours up
to its last part, which `weights.py` translates. Pictures come as channels, rows, columns; Flax convolves
with channels last, so they are turned at the edge, which is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
from flax import nnx

from arms import models

Shapes = dict[str, tuple[int, ...]]
Tensors = dict[str, jax.Array]


@dataclass(frozen=True)
class Network:
    """`build` takes the shapes of the inputs, the settings of the `.model`, and `rngs`; the module takes and
    gives arrays by name. `loss` takes outputs and the fields of a batch; None: not trained."""

    build: Callable[..., nnx.Module]
    loss: Callable[[Tensors, Tensors], jax.Array] | None = None


def find(name: str) -> Network:
    return models.networks(__package__, "Flax", name)[name]
