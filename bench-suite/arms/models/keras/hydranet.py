from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import KerasTensor, layers, losses, ops

from . import Network, Shapes
from .losses import Tensors
from .parts import conv, norm, numbered, picture, rows_last


def head(x: KerasTensor, wide: int, c: int, first: int) -> KerasTensor:
    x = keras.activations.silu(conv(x, wide, 3, name=numbered("conv2d", first)))
    return rows_last(conv(x, c, 1, name=f"conv2d_{first + 1}"))


def hydranet(shapes: Shapes, widths: Sequence[int] = (32, 64, 128), boxes: int = 64) -> keras.Model:
    frame, x = picture(shapes["frame"][1:], "frame")
    for i, c in enumerate(widths):
        name = numbered("down", i)
        x = keras.activations.silu(norm(conv(x, c, 3, 2, name=f"{name}-conv2d"), f"{name}-batch_norm"))
    hit = layers.Dense(1, activation="sigmoid", name="dense")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(
        {"frame": frame},
        {
            "objects": head(x, widths[2], boxes, 0),
            "lanes": head(x, widths[1], 4, 2),
            "collision": ops.squeeze(hit, 1),
        },
    )


def loss(found: Tensors, given: Tensors) -> KerasTensor:
    boxes = ops.mean(losses.mean_squared_error(given["boxes"], found["objects"]))
    lane = ops.mean(losses.mean_squared_error(given["lane"], found["lanes"]))
    return boxes + 0.5 * lane + 2.0 * losses.binary_crossentropy(given["hit"], found["collision"])


NETWORKS = {"hydranet": Network(hydranet, loss)}
