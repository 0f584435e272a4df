"""Flax as its guides write it for speed: modules are put together from their parts while `jax.jit` traces.

An inference also without it: then each operation is compiled by itself once, and called by itself.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
import optax
from flax import nnx

Arrays = dict[str, np.ndarray]


class Inference:
    """Buffers of a cache are given away, so that it is changed in place."""

    def __init__(self, graph: nnx.GraphDef, state: nnx.State, inputs: Arrays, jit: bool) -> None:
        self.given = jax.device_put(inputs)
        self.cache, self.rest = nnx.split_state(state, nnx.Cache, ...)

        def run(cache: nnx.State, rest: nnx.State, given: dict[str, jax.Array]) -> tuple:
            module = nnx.merge(graph, cache, rest)
            return module(**given), nnx.state(module, nnx.Cache)

        self.function = jax.jit(run, donate_argnums=0)
        if not jit:
            module = nnx.merge(graph, state)
            self.function = lambda cache, _, given: (module(**given), cache)

    def __call__(self) -> None:
        found, self.cache = self.function(self.cache, self.rest, self.given)
        self.found = jax.block_until_ready(found)

    def outputs(self) -> Arrays:
        return {name: np.asarray(x) for name, x in self.found.items()}


class Training:
    def __init__(
        self,
        graph: nnx.GraphDef,
        state: nnx.State,
        inputs: Arrays,
        fields: Arrays,
        loss: Callable,
        optimizer: optax.GradientTransformation,
    ) -> None:
        self.batch = jax.device_put((inputs, fields))
        weights, rest = nnx.split_state(state, nnx.Param, ...)
        self.state = weights, rest, optimizer.init(weights)

        def forward(weights: nnx.State, rest: nnx.State, inputs: dict, fields: dict) -> tuple:
            module = nnx.merge(graph, weights, rest, copy=True)
            value = loss(module(**inputs), fields)
            return value, nnx.split(module, nnx.Param, ...)[2]

        def step(state: tuple, batch: tuple) -> tuple:
            weights, rest, slots = state
            (value, rest), slopes = jax.value_and_grad(forward, has_aux=True)(weights, rest, *batch)
            changes, slots = optimizer.update(slopes, slots, weights)
            return value, (optax.apply_updates(weights, changes), rest, slots)

        self.step = jax.jit(step, donate_argnums=0)

    def __call__(self) -> None:
        self.value, self.state = jax.block_until_ready(self.step(self.state, self.batch))

    def loss(self) -> float:
        return float(self.value)
