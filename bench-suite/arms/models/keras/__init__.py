"""The networks in Keras 3, functional API, for all of its backends; one file a family.

The backend is chosen by `KERAS_BACKEND` before anything here is imported. Layers bear the paths that our
weights have, with a dash for each dot, for which the backend of PyTorch has another use; `weights.py`
translates the last part.

Pictures come as channels, rows, columns. TensorFlow convolves on the CPU with channels last alone, JAX does
so best, and it is what Keras users write: there a `Permute` stands at the edge, and is timed. PyTorch's
backend keeps channels first, since it would turn every convolution's operands otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arms import models

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Network:
    """`build` takes the shapes of the inputs and the settings of the `.model`; what the model puts out under
    the name of an input is the next call's input. `loss` takes outputs and the fields of a batch; None: not
    trained."""

    build: Callable[..., keras.Model]
    loss: Callable[[dict[str, KerasTensor], dict[str, KerasTensor]], KerasTensor] | None = None


def find(name: str) -> Network:
    return models.networks(__package__, "Keras", name)[name]
