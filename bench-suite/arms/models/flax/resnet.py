from __future__ import annotations

from collections.abc import Sequence

import jax
from flax import nnx

from . import Network, Shapes, Tensors
from .losses import cross_entropy
from .parts import ConvBN, numbered, picture


class Bottleneck(nnx.Module):
    def __init__(self, cin: int, c: int, stride: int, *, rngs: nnx.Rngs) -> None:
        self.conv_bn = ConvBN(cin, c, rngs=rngs)
        self.conv_bn_1 = ConvBN(c, c, 3, stride, rngs=rngs)
        self.conv_bn_2 = ConvBN(c, 4 * c, rngs=rngs)
        self.shortens = stride != 1 or cin != 4 * c
        if self.shortens:
            self.conv_bn_3 = ConvBN(cin, 4 * c, stride=stride, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = nnx.relu(self.conv_bn_1(nnx.relu(self.conv_bn(x))))
        return nnx.relu(self.conv_bn_2(y) + (self.conv_bn_3(x) if self.shortens else x))


class Basic(nnx.Module):
    def __init__(self, cin: int, c: int, stride: int, *, rngs: nnx.Rngs) -> None:
        self.conv_bn = ConvBN(cin, c, 3, stride, rngs=rngs)
        self.conv_bn_1 = ConvBN(c, c, 3, rngs=rngs)
        self.shortens = stride != 1 or cin != c
        if self.shortens:
            self.conv_bn_2 = ConvBN(cin, c, stride=stride, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.conv_bn_1(nnx.relu(self.conv_bn(x)))
        return nnx.relu(y + (self.conv_bn_2(x) if self.shortens else x))


class Stage(nnx.Module):
    """Bottlenecks, the first of which may make pictures smaller."""

    def __init__(self, blocks: int, cin: int, c: int, stride: int, *, rngs: nnx.Rngs) -> None:
        self.bottleneck = Bottleneck(cin, c, stride, rngs=rngs)
        self.block = nnx.List(Bottleneck(4 * c, c, 1, rngs=rngs) for _ in range(blocks - 1))

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.bottleneck(x)
        for block in self.block:
            x = block(x)
        return x


class BasicStage(nnx.Module):
    def __init__(self, cin: int, c: int, stride: int, *, rngs: nnx.Rngs) -> None:
        self.basic = Basic(cin, c, stride, rngs=rngs)
        self.basic_1 = Basic(c, c, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.basic_1(self.basic(x))


def quarter(conv_bn: ConvBN, x: jax.Array) -> jax.Array:
    return nnx.max_pool(nnx.relu(conv_bn(x)), (3, 3), (2, 2), ((1, 1), (1, 1)))


class ResNet50(nnx.Module):
    def __init__(
        self,
        _: Shapes,
        classes: int = 1000,
        width: int = 64,
        depth: Sequence[int] = (3, 4, 6, 3),
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.conv_bn = ConvBN(3, width, 7, 2, rngs=rngs)
        cin = width
        for i, blocks in enumerate(depth):
            setattr(self, numbered("stage", i), Stage(blocks, cin, width << i, 2 if i else 1, rngs=rngs))
            cin = 4 * width << i
        self.dense = nnx.Linear(cin, classes, rngs=rngs)

    def __call__(self, image: jax.Array) -> Tensors:
        x = quarter(self.conv_bn, picture(image))
        x = self.stage_3(self.stage_2(self.stage_1(self.stage(x))))
        return {"logits": self.dense(x.mean((1, 2)))}


class Stem(nnx.Module):
    """Small pictures keep their size."""

    def __init__(self, width: int, side: int, *, rngs: nnx.Rngs) -> None:
        self.small = side <= 64
        if self.small:
            self.conv_bn = ConvBN(3, width, 3, rngs=rngs)
        else:
            self.conv_bn_1 = ConvBN(3, width, 7, 2, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return nnx.relu(self.conv_bn(x)) if self.small else quarter(self.conv_bn_1, x)


class ResNet18(nnx.Module):
    def __init__(self, shapes: Shapes, classes: int = 10, width: int = 64, *, rngs: nnx.Rngs) -> None:
        self.stem = Stem(width, shapes["image"][2], rngs=rngs)
        cin = width
        for i in range(4):
            setattr(self, numbered("basic_stage", i), BasicStage(cin, width << i, 2 if i else 1, rngs=rngs))
            cin = width << i
        self.dense = nnx.Linear(cin, classes, rngs=rngs)

    def __call__(self, image: jax.Array) -> Tensors:
        x = self.basic_stage_1(self.basic_stage(self.stem(picture(image))))
        x = self.basic_stage_3(self.basic_stage_2(x))
        return {"logits": self.dense(x.mean((1, 2)))}


NETWORKS = {"resnet18": Network(ResNet18, cross_entropy), "resnet50": Network(ResNet50, cross_entropy)}
