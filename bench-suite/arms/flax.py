"""Flax (nnx) with Optax: one function that `jax.jit` compiles, whose state is given away and comes back.

`jax-eager` is an inference without `jit`; nobody trains so.
"""

from __future__ import annotations

import inspect
import json
from typing import Any, ClassVar

from protocol import Arm, Arrays, Cannot, pin, serve

from arms import threads


class Flax(Arm):
    framework = "JAX/Flax"
    package = "flax"
    install = "pip install 'jax[cpu]' flax optax"
    # In f64 the attention of JAX computes in f32.
    precisions: ClassVar[tuple[str, ...]] = ("f32", "bf16")
    jit: ClassVar[bool] = True

    def begin(self) -> None:
        pin(self.cell.threads)
        threads.tell_jax(self.cell.threads)
        import flax.nnx
        import jax
        import optax  # noqa: F401

        self.flax, self.jax = flax, jax

    def load(self) -> None:
        from arms.backends import flax as program
        from arms.models.flax import find, optimizers, weights

        if self.cell.training and self.cell.precision == "bf16":
            raise Cannot(f"{self.cell.arm} trains with f32 weights only here")
        nnx = self.flax.nnx
        network = find(self.cell.model)
        arrays = weights.cast(self.cell.inputs(), self.cell.precision)
        shapes = {name: x.shape for name, x in arrays.items()}
        settings = {name: json.loads(text) for name, text in self.cell.settings.items()}
        # Shapes only, then the weights: nothing is drawn that would be overwritten.
        module = nnx.eval_shape(lambda: network.build(shapes, rngs=nnx.Rngs(0), **settings))
        module.train() if self.cell.training else module.eval()
        graph, state = nnx.split(module)
        state = weights.fill(state, weights.cast(self.cell.weights(), self.cell.precision))
        held = [*self.jax.tree.leaves(nnx.filter_state(state, nnx.Param)), *arrays.values()]
        self.dtype = held[0].dtype
        taken = inspect.signature(type(module).__call__).parameters
        given = {name: x for name, x in arrays.items() if name in taken}
        if not self.cell.training:
            self.run = program.Inference(graph, state, given, self.jit)
            return
        if network.loss is None:
            raise Cannot(f"{self.cell.model} is not trained")
        optimizer = optimizers.make(self.cell.train)
        self.run = program.Training(graph, state, given, arrays, network.loss, optimizer)

    def call(self) -> None:
        self.run()

    def outputs(self) -> Arrays:
        return self.run.outputs()

    def loss(self) -> float:
        return self.run.loss()

    def version(self) -> str:
        return f"{self.flax.__version__} on JAX {self.jax.__version__}"

    def threads_seen(self) -> int:
        return threads.seen_by_jax()

    def dtype_seen(self) -> str:
        return str(self.dtype)

    def flags(self) -> dict[str, Any]:
        return {"jit": self.jit, "layout": "channels_last"}


class Eager(Flax):
    modes = ("infer",)
    jit = False

    def load(self) -> None:
        if self.cell.model == "lstm":
            raise Cannot("without `jit`, every call would compile the loop anew")
        super().load()


if __name__ == "__main__":
    serve({"flax": Flax, "jax-eager": Eager})
