"""The optimiser that the registry tells, in Keras.

Its Adam divides by √v + epsilon before it frees √v of its start at 0, where a `.model` does so after. At the
first step the two agree for epsilon = eps·√(1 − beta2), which is told here; in the long run theirs is the
smaller one.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import optimizers

from arms.protocol import Cannot

KINDS = {
    "sgd": (optimizers.SGD, {}),
    "adam": (optimizers.Adam, {"eps": "epsilon", "beta1": "beta_1", "beta2": "beta_2"}),
    "adamw": (optimizers.AdamW, {"eps": "epsilon", "beta1": "beta_1", "beta2": "beta_2"}),
    "rmsprop": (optimizers.RMSprop, {"eps": "epsilon", "alpha": "rho"}),
}
# What a `.model` has where it says nothing else, and Keras has not.
DEFAULTS = {"sgd": {}, "adam": {"eps": 1e-8}, "adamw": {"eps": 1e-8}, "rmsprop": {"eps": 1e-8, "alpha": 0.99}}


def make(train: dict[str, Any], model: keras.Model) -> keras.Optimizer:
    told = dict(train)
    name = told.pop("optimizer")
    if name not in KINDS:
        raise Cannot(f"no optimiser {name} in Keras here")
    if told.get("weight_decay") and name != "adamw":
        # There it is subtracted from the weight, as AdamW does, where a `.model` adds it to the gradient.
        raise Cannot(f"the weight decay of {name} is another one in Keras")
    kind, renamed = KINDS[name]
    arguments = {"learning_rate": told.pop("lr"), "global_clipnorm": told.pop("clip", None)}
    told = DEFAULTS[name] | told
    if name.startswith("adam"):
        told["eps"] *= math.sqrt(1 - told.get("beta2", 0.999))
    arguments |= {renamed.get(key, key): value for key, value in told.items()}
    optimizer = kind(**arguments)
    if name == "adamw":
        optimizer.exclude_from_weight_decay([x for x in model.trainable_variables if len(x.shape) < 2])
    return optimizer
