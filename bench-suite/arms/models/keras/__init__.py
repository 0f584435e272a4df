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
from importlib import import_module
from typing import TYPE_CHECKING

from arms.protocol import Cannot

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor

Shapes = dict[str, tuple[int, ...]]

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
    """`build` takes the shapes of the inputs and the settings of the `.model`; what the model puts out under
    the name of an input is the next call's input. `loss` takes outputs and the fields of a batch; None: not
    trained."""

    build: Callable[..., keras.Model]
    loss: Callable[[dict[str, KerasTensor], dict[str, KerasTensor]], KerasTensor] | None = None


def find(name: str) -> Network:
    if name not in FILES:
        raise Cannot(f"there is no {name} in Keras here")
    return import_module(f".{FILES[name]}", __package__).NETWORKS[name]
