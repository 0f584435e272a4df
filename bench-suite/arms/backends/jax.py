from __future__ import annotations

from collections.abc import Callable

import jax
import keras
import numpy as np

Arrays = dict[str, np.ndarray]


def version() -> str:
    return f"JAX {jax.__version__}"


def values(variables: list[keras.Variable]) -> list[jax.Array]:
    return [variable.value for variable in variables]


class Inference:
    """`xla` is what JAX always does. Buffers of a cache are given away, so that it is changed in place."""

    def __init__(self, model: keras.Model, inputs: Arrays, xla: bool) -> None:
        given = jax.device_put(inputs)
        kept = [name for name in model.output if name in inputs]
        self.cache = {name: given.pop(name) for name in kept}
        self.given = given
        self.weights = values(model.trainable_variables), values(model.non_trainable_variables)

        def run(weights: tuple, given: dict, cache: dict) -> tuple[dict, dict]:
            found, _ = model.stateless_call(*weights, given | cache, training=False)
            return {n: x for n, x in found.items() if n not in cache}, {n: found[n] for n in cache}

        self.function = jax.jit(run, donate_argnums=2)
        self.found: dict[str, jax.Array] = {}

    def __call__(self) -> None:
        found, self.cache = self.function(self.weights, self.given, self.cache)
        self.found = jax.block_until_ready(found)

    def outputs(self) -> Arrays:
        return {name: np.asarray(x) for name, x in self.found.items()}


class Training:
    def __init__(
        self,
        model: keras.Model,
        inputs: Arrays,
        fields: Arrays,
        loss: Callable,
        optimizer: keras.Optimizer,
        xla: bool,
    ) -> None:
        self.batch = jax.device_put((inputs, fields))
        optimizer.build(model.trainable_variables)
        variables = model.trainable_variables, model.non_trainable_variables, optimizer.variables
        self.state = tuple(values(part) for part in variables)

        def forward(weights: list, states: list, inputs: dict, fields: dict) -> tuple:
            found, states = model.stateless_call(weights, states, inputs, training=True)
            return loss(found, fields), states

        def step(state: tuple, batch: tuple) -> tuple:
            weights, states, slots = state
            (value, states), slopes = jax.value_and_grad(forward, has_aux=True)(weights, states, *batch)
            weights, slots = optimizer.stateless_apply(slots, slopes, weights)
            return value, (weights, states, slots)

        self.step = jax.jit(step, donate_argnums=0)

    def __call__(self) -> None:
        self.value, self.state = jax.block_until_ready(self.step(self.state, self.batch))

    def loss(self) -> float:
        return float(self.value)
