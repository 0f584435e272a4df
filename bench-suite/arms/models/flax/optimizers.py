"""The optimiser that the registry tells, in Optax."""

from __future__ import annotations

from typing import Any

import jax
import optax

from arms.protocol import Cannot

KINDS = {
    "sgd": (optax.sgd, {}),
    "adam": (optax.adam, {"beta1": "b1", "beta2": "b2"}),
    "adamw": (optax.adamw, {"beta1": "b1", "beta2": "b2"}),
    "rmsprop": (optax.rmsprop, {"alpha": "decay"}),
}
# What a `.model` has where it says nothing else, and Optax has not.
DEFAULTS = {
    "sgd": {},
    "adam": {},
    "adamw": {"weight_decay": 0.01},
    "rmsprop": {"alpha": 0.99, "eps_in_sqrt": False},
}


def matrices(weights: optax.Params) -> optax.Params:
    """Weights of rank 2 and more decay."""
    return jax.tree.map(lambda x: x.ndim >= 2, weights)


def make(train: dict[str, Any]) -> optax.GradientTransformation:
    told = dict(train)
    name = told.pop("optimizer")
    if name not in KINDS:
        raise Cannot(f"no optimiser {name} in Optax here")
    steps = []
    if clip := told.pop("clip", None):
        steps.append(optax.clip_by_global_norm(clip))
    kind, renamed = KINDS[name]
    arguments = {"learning_rate": told.pop("lr")}
    if name == "adamw":
        arguments["mask"] = matrices
    elif decay := told.pop("weight_decay", 0):
        steps.append(optax.add_decayed_weights(decay, matrices))
    arguments |= {renamed.get(key, key): value for key, value in (DEFAULTS[name] | told).items()}
    return optax.chain(*steps, kind(**arguments))
