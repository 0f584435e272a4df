from __future__ import annotations

from collections.abc import Sequence

import jax
from flax import nnx

from arms.models.mobilenet_v2 import TABLE

from . import Network, Shapes, Tensors
from .losses import cross_entropy
from .parts import ConvBN, norm, numbered, picture


class InvertedResidual(nnx.Module):
    def __init__(self, cin: int, expansion: int, c: int, stride: int, *, rngs: nnx.Rngs) -> None:
        wide = expansion * cin
        self.widens, self.adds = expansion != 1, stride == 1 and cin == c
        if self.widens:
            self.conv_bn = ConvBN(cin, wide, rngs=rngs)
        self.depthwise_conv2d = nnx.Conv(
            wide, wide, (3, 3), stride, padding=1, feature_group_count=wide, use_bias=False, rngs=rngs
        )
        self.batch_norm = norm(wide, rngs)
        self.conv_bn_1 = ConvBN(wide, c, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = jax.nn.relu6(self.conv_bn(x)) if self.widens else x
        y = jax.nn.relu6(self.batch_norm(self.depthwise_conv2d(y)))
        y = self.conv_bn_1(y)
        return x + y if self.adds else y


class Stage(nnx.Module):
    def __init__(self, cin: int, row: Sequence[int], *, rngs: nnx.Rngs) -> None:
        expansion, c, blocks, stride = row
        self.inverted_residual = InvertedResidual(cin, expansion, c, stride, rngs=rngs)
        self.block = nnx.List(InvertedResidual(c, expansion, c, 1, rngs=rngs) for _ in range(blocks - 1))

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.inverted_residual(x)
        for block in self.block:
            x = block(x)
        return x


class MobileNetV2(nnx.Module):
    def __init__(
        self,
        _: Shapes,
        classes: int = 1000,
        first: int = 32,
        last: int = 1280,
        table: Sequence[Sequence[int]] = TABLE,
        drop: float = 0.2,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.conv_bn = ConvBN(3, first, 3, 2, rngs=rngs)
        cin = first
        self.stages = len(table)
        for i, row in enumerate(table):
            setattr(self, numbered("stage", i), Stage(cin, row, rngs=rngs))
            cin = row[1]
        self.conv_bn_1 = ConvBN(cin, last, rngs=rngs)
        self.dropout = nnx.Dropout(drop, rngs=rngs if drop else None)
        self.dense = nnx.Linear(last, classes, rngs=rngs)

    def __call__(self, image: jax.Array) -> Tensors:
        x = jax.nn.relu6(self.conv_bn(picture(image)))
        for i in range(self.stages):
            x = getattr(self, numbered("stage", i))(x)
        x = jax.nn.relu6(self.conv_bn_1(x)).mean((1, 2))
        return {"logits": self.dense(self.dropout(x))}


NETWORKS = {"mobilenet_v2": Network(MobileNetV2, cross_entropy)}
