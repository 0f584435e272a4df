"""The networks in Flax (nnx), one file a family.

Attributes bear the names that layers have in our `.model` files, so that the path of a variable is ours up
to its last part, which `weights.py` translates. Pictures come as channels, rows, columns; Flax convolves
with channels last, so they are turned at the edge, which is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import jax
from flax import nnx

from arms.protocol import Cannot

Shapes = dict[str, tuple[int, ...]]
Tensors = dict[str, jax.Array]

# Which file has which networks.
FILES = {
    "mlp": "dense",
    "tabular": "dense",
    "vae": "vae",
    "lenet": "lenet",
    "resnet18": "resnet",
    "resnet50": "resnet",
    "mobilenet_v2": "mobilenet_v2",
    "hydranet": "hydranet",
    "vit_s": "vit",
    "minilm": "minilm",
    "gpt2": "gpt2",
    "gpt2_decode": "gpt2",
    "lstm": "lstm",
}


@dataclass(frozen=True)
class Network:
    """`build` takes the shapes of the inputs, the settings of the `.model`, and `rngs`; the module takes and
    gives arrays by name. `loss` takes outputs and the fields of a batch; None: not trained."""

    build: Callable[..., nnx.Module]
    loss: Callable[[Tensors, Tensors], jax.Array] | None = None


def find(name: str) -> Network:
    if name not in FILES:
        raise Cannot(f"there is no {name} in Flax here")
    return import_module(f".{FILES[name]}", __package__).NETWORKS[name]
