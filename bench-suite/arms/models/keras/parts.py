"""What several networks are made of, in the layout of the backend."""

from __future__ import annotations

import keras
from keras import KerasTensor, layers, ops


def channels_first() -> bool:
    return keras.config.image_data_format() == "channels_first"


def picture(shape: tuple[int, ...], name: str) -> tuple[KerasTensor, KerasTensor]:
    """An input of channels, rows, columns, and the same as the backend has pictures."""
    given = keras.Input(shape, name=name)
    return given, given if channels_first() else layers.Permute((2, 3, 1))(given)


def rows_last(x: KerasTensor) -> KerasTensor:
    """Back to channels, rows, columns."""
    return x if channels_first() else layers.Permute((3, 1, 2))(x)


def height(x: KerasTensor) -> int:
    return x.shape[2 if channels_first() else 1]


def channels(x: KerasTensor) -> int:
    return x.shape[1 if channels_first() else -1]


def padded(x: KerasTensor, kernel: int, stride: int) -> tuple[KerasTensor, str]:
    """Half a kernel of zeros on each side. With a stride, Keras's "same" puts more behind than before."""
    if kernel == 1:
        return x, "valid"
    if stride == 1:
        return x, "same"
    return layers.ZeroPadding2D(kernel // 2)(x), "valid"


def conv(
    x: KerasTensor, c: int, kernel: int, stride: int = 1, *, bias: bool = True, name: str
) -> KerasTensor:
    x, padding = padded(x, kernel, stride)
    return layers.Conv2D(c, kernel, stride, padding, use_bias=bias, name=name)(x)


def depthwise(x: KerasTensor, kernel: int, stride: int, *, name: str) -> KerasTensor:
    x, padding = padded(x, kernel, stride)
    return layers.DepthwiseConv2D(kernel, stride, padding, use_bias=False, name=name)(x)


def norm(x: KerasTensor, name: str) -> KerasTensor:
    axis = 1 if channels_first() else -1
    return layers.BatchNormalization(axis, momentum=0.9, epsilon=1e-5, name=name)(x)


def conv_bn(x: KerasTensor, c: int, kernel: int = 1, stride: int = 1, *, name: str) -> KerasTensor:
    return norm(conv(x, c, kernel, stride, bias=False, name=f"{name}-conv2d"), f"{name}-batch_norm")


def numbered(name: str, i: int) -> str:
    """Of several layers called alike, the first bears no number."""
    return f"{name}_{i}" if i else name


class Places(layers.Layer):
    """A row of a table for each place of the words given, the first of which stands at `at`."""

    def __init__(self, places: int, d: int, name: str) -> None:
        super().__init__(name=name)
        self.embeddings = self.add_weight((places, d), "random_normal", name="embeddings")

    def call(self, words: KerasTensor, at: KerasTensor | int = 0) -> KerasTensor:
        return ops.take(self.embeddings, ops.arange(words.shape[1]) + at, axis=0)
