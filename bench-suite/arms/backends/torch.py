from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import torch

Arrays = dict[str, np.ndarray]


def version() -> str:
    return f"PyTorch {torch.__version__}"


def tensors(arrays: Arrays) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(x)) for name, x in arrays.items()}


class Inference:
    """Not compiled: eager is what Keras does by itself on this backend."""

    def __init__(self, model: keras.Model, inputs: Arrays, xla: bool) -> None:
        self.model = model
        self.given = tensors(inputs)
        self.found: dict[str, torch.Tensor] = {}

    def __call__(self) -> None:
        with torch.inference_mode():
            self.found = self.model(self.given, training=False)
        self.given.update({name: x for name, x in self.found.items() if name in self.given})

    def outputs(self) -> Arrays:
        found = {name: x for name, x in self.found.items() if name not in self.given}
        return {name: (x.float() if x.dtype == torch.bfloat16 else x).numpy() for name, x in found.items()}


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
        self.model, self.compare, self.optimizer = model, loss, optimizer
        self.inputs, self.fields = tensors(inputs), tensors(fields)
        optimizer.build(model.trainable_variables)

    def __call__(self) -> None:
        self.model.zero_grad()
        self.value = self.compare(self.model(self.inputs, training=True), self.fields)
        self.value.backward()
        weights = self.model.trainable_variables
        with torch.no_grad():
            self.optimizer.apply([weight.value.grad for weight in weights], weights)

    def loss(self) -> float:
        return self.value.item()
