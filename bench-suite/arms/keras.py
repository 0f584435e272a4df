"""Keras 3 on each of its backends: graphs of TensorFlow as they are or through XLA, JAX, and PyTorch."""

from __future__ import annotations

import json
import os
from importlib import import_module
from typing import Any, ClassVar

from protocol import Arm, Arrays, Cannot, pin, serve

from arms import threads

# `layers` is a module of Keras.
RENAMED = {"layers": "blocks"}


class Keras(Arm):
    framework = "Keras"
    package = "keras"
    install = "pip install keras tensorflow-cpu jax torch"
    precisions: ClassVar[tuple[str, ...]] = ("f32", "bf16")
    backend: ClassVar[str]
    xla: ClassVar[bool] = False

    def begin(self) -> None:
        os.environ["KERAS_BACKEND"] = self.backend
        os.environ["KERAS_TORCH_DEVICE"] = "cpu"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        pin(self.cell.threads)
        if self.backend == "jax":
            threads.tell_jax(self.cell.threads)
        import keras

        if self.backend == "tensorflow":
            threads.tell_tensorflow(self.cell.threads)
        if self.backend == "torch":
            threads.tell_torch(self.cell.threads)
            keras.config.set_image_data_format("channels_first")
        if self.cell.precision == "bf16":
            keras.config.set_dtype_policy("bfloat16")
        self.keras = keras
        self.program = import_module(f"arms.backends.{self.backend}")

    def load(self) -> None:
        from arms.models.keras import find, optimizers, weights

        if self.cell.precision == "bf16" and (self.cell.training or self.cell.model == "gpt2_decode"):
            raise Cannot(f"{self.cell.arm} trains, and keeps a cache, in f32 only here")
        network = find(self.cell.model)
        # What is given in f32, layers turn into bf16 themselves.
        arrays, states = self.cell.inputs(), self.cell.weights()
        shapes = {name: x.shape for name, x in arrays.items()}
        settings = {RENAMED.get(n, n): json.loads(text) for n, text in self.cell.settings.items()}
        self.model = network.build(shapes, **settings)
        given = {name: arrays[name] for name in self.model.input if name in arrays}
        given |= weights.cache(self.model, states, self.cell.batch)
        weights.fill(self.model, states)
        if not self.cell.training:
            self.run = self.program.Inference(self.model, given, self.xla)
            return
        if network.loss is None:
            raise Cannot(f"{self.cell.model} is not trained")
        optimizer = optimizers.make(self.cell.train, self.model)
        self.run = self.program.Training(self.model, given, arrays, network.loss, optimizer, self.xla)

    def call(self) -> None:
        self.run()

    def outputs(self) -> Arrays:
        return self.run.outputs()

    def loss(self) -> float:
        return self.run.loss()

    def version(self) -> str:
        return f"{self.keras.__version__} on {self.program.version()}"

    def threads_seen(self) -> int:
        return getattr(threads, f"seen_by_{self.backend}")()

    def dtype_seen(self) -> str:
        held = [*(x.value for x in self.model.trainable_variables), *self.model.inputs]
        return self.keras.backend.standardize_dtype(held[0].dtype)

    def flags(self) -> dict[str, Any]:
        return {"backend": self.backend, "xla": self.xla, "layout": self.keras.config.image_data_format()}


class TensorFlow(Keras):
    backend = "tensorflow"


class Xla(TensorFlow):
    xla = True


class Jax(Keras):
    backend = "jax"
    xla = True


class Torch(Keras):
    backend = "torch"


if __name__ == "__main__":
    serve({"keras-tf": TensorFlow, "keras-tf-xla": Xla, "keras-jax": Jax, "keras-torch": Torch})
