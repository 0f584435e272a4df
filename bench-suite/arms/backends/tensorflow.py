from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

Arrays = dict[str, np.ndarray]


def version() -> str:
    return f"TensorFlow {tf.__version__}"


def tensors(arrays: Arrays) -> dict[str, tf.Tensor]:
    return {name: tf.constant(x) for name, x in arrays.items()}


class Inference:
    def __init__(self, model: keras.Model, inputs: Arrays, xla: bool) -> None:
        self.given = tensors(inputs)
        self.function = tf.function(lambda given: model(given, training=False), jit_compile=xla)
        self.found: dict[str, tf.Tensor] = {}

    def __call__(self) -> None:
        # Asynchronous execution is off unless asked for: it returns when it is done.
        self.found = self.function(self.given)
        self.given.update({name: x for name, x in self.found.items() if name in self.given})

    def outputs(self) -> Arrays:
        return {name: x.numpy() for name, x in self.found.items() if name not in self.given}


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
        self.inputs, self.fields = tensors(inputs), tensors(fields)
        optimizer.build(model.trainable_variables)

        def step(given: dict[str, tf.Tensor], wanted: dict[str, tf.Tensor]) -> tf.Tensor:
            with tf.GradientTape() as tape:
                value = loss(model(given, training=True), wanted)
            weights = model.trainable_variables
            slopes = tape.gradient(value, weights)
            # Of an embedding they are slices, one for each word. Keras's Adam squares them before it adds up
            # those of a word that comes twice, which no other framework does.
            optimizer.apply([tf.convert_to_tensor(slope) for slope in slopes], weights)
            return value

        self.step = tf.function(step, jit_compile=xla)

    def __call__(self) -> None:
        self.value = self.step(self.inputs, self.fields)

    def loss(self) -> float:
        return float(self.value)
