"""The single operations of `kernels.toml`. Pictures have their channels last, as all backends but one do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import keras
from keras import KerasTensor, layers, ops

from arms.protocol import Cannot

from . import Network, Shapes
from .parts import channels_first, conv


def model(compute: Callable[..., KerasTensor], shapes: Shapes) -> keras.Model:
    """Of operations without weights."""
    given = {name: keras.Input(batch_shape=shape, name=name) for name, shape in shapes.items()}
    return keras.Model(given, {"y": compute(**given)})


def weighted(shapes: Shapes, units: int) -> keras.Model:
    dense = layers.Dense(units, use_bias=False, name="dense")
    return model(lambda a: dense(a), shapes)


def attend(q: KerasTensor, k: KerasTensor, v: KerasTensor, heads: int = 12) -> KerasTensor:
    rows, words, width = q.shape
    split = (ops.reshape(x, (rows, words, heads, width // heads)) for x in (q, k, v))
    return ops.reshape(ops.dot_product_attention(*split), (rows, words, width))


class Gradient(layers.Layer):
    """Attention and its derivatives; `ct` is the cotangent of its result. Keras has none of its own."""

    def call(self, q: KerasTensor, k: KerasTensor, v: KerasTensor, ct: KerasTensor) -> tuple:
        given = (q, k, v)
        if keras.backend.backend() == "jax":
            import jax

            y, back = jax.vjp(attend, *given)
            return y, *back(ct)
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(given)
            y = attend(*given)
        return y, *tape.gradient(y, given, output_gradients=ct)

    def compute_output_spec(self, q: KerasTensor, k: KerasTensor, v: KerasTensor, ct: KerasTensor) -> tuple:
        return tuple(KerasTensor(x.shape, x.dtype) for x in (q, q, k, v))


def attention_gradient(shapes: Shapes) -> keras.Model:
    if keras.backend.backend() == "torch":
        raise Cannot("on PyTorch it has the derivatives of PyTorch, which is measured by itself")
    given = {name: keras.Input(batch_shape=shape, name=name) for name, shape in shapes.items()}
    found = Gradient()(**given)
    return keras.Model(given, dict(zip(("y", "dq", "dk", "dv"), found, strict=True)))


def convolution(shapes: Shapes, side: int, channels: int, kernel: int, stride: int) -> keras.Model:
    x = given = keras.Input(batch_shape=shapes["x"], name="x")
    if channels_first():
        x = layers.Permute((3, 1, 2))(x)
    y = layers.ReLU()(conv(x, channels, kernel, stride, name="conv2d"))
    return keras.Model({"x": given}, {"y": layers.Permute((2, 3, 1))(y) if channels_first() else y})


def layer_norm(shapes: Shapes) -> keras.Model:
    x = keras.Input(batch_shape=shapes["x"], name="x")
    return keras.Model({"x": x}, {"y": layers.LayerNormalization(epsilon=1e-5, name="layer_norm")(x)})


def chain(x: KerasTensor, r: KerasTensor) -> KerasTensor:
    return ops.gelu(1.5 * x + 0.25, approximate=False) + r


NETWORKS = {
    "gemm": Network(partial(model, lambda a, b: ops.matmul(a, b))),
    "gemm_weight": Network(weighted),
    "conv": Network(convolution),
    "conv_3x3": Network(convolution),
    "attention": Network(partial(model, attend)),
    "attention_gradient": Network(attention_gradient),
    "softmax": Network(partial(model, lambda x: ops.softmax(x, axis=-1))),
    "layer_norm": Network(layer_norm),
    "chain": Network(partial(model, chain)),
}
