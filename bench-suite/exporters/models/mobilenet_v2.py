"""Modules with the structure of torchvision, against which they are held where it is installed."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import Network, agrees_with_torchvision, filled
from .images import labelled, resized

TABLE = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
]


def conv_bn(cin: int, c: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(cin, c, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c), nn.ReLU6())


class InvertedResidual(nn.Module):
    def __init__(self, cin: int, c: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * cin
        parts = [conv_bn(cin, wide)] if expansion != 1 else []
        parts.append(conv_bn(wide, wide, 3, stride, groups=wide))
        self.conv = nn.Sequential(*parts, nn.Conv2d(wide, c, 1, bias=False), nn.BatchNorm2d(c))
        self.adds = stride == 1 and cin == c

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, table: list[list[int]], first: int, last: int, classes: int, drop: float) -> None:
        super().__init__()
        parts, cin = [conv_bn(3, first, 3, 2)], first
        for expansion, c, blocks, stride in table:
            for i in range(blocks):
                parts.append(InvertedResidual(cin, c, 1 if i else stride, expansion))
                cin = c
        self.features = nn.Sequential(*parts, conv_bn(cin, last))
        self.classifier = nn.Sequential(nn.Dropout(drop), nn.Linear(last, classes))

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier(self.features(image).mean((2, 3)))


def names(table: list[list[int]]) -> dict[str, str]:
    layers = {"classifier.1": "dense"}

    def pair(conv: str, norm: str, ours: str) -> None:
        layers[conv], layers[norm] = f"{ours}.conv2d", f"{ours}.batch_norm"

    pair("features.0.0", "features.0.1", "conv_bn")
    at = 1
    for i, (expansion, _, blocks, _) in enumerate(table):
        for j in range(blocks):
            stage = f"stage_{i}" if i else "stage"
            ours = f"{stage}.{f'block.{j - 1}' if j else 'inverted_residual'}"
            theirs, k = f"features.{at}.conv", 0
            if expansion != 1:
                pair(f"{theirs}.0.0", f"{theirs}.0.1", f"{ours}.conv_bn")
                k = 1
            layers[f"{theirs}.{k}.0"] = f"{ours}.depthwise_conv2d"
            layers[f"{theirs}.{k}.1"] = f"{ours}.batch_norm"
            pair(f"{theirs}.{k + 1}", f"{theirs}.{k + 2}", f"{ours}.conv_bn_1")
            at += 1
    pair(f"features.{at}.0", f"features.{at}.1", "conv_bn_1")
    return layers


def network(
    table: list[list[int]],
    first: int,
    last: int,
    classes: int,
    side: int,
    rows: int,
    steps: int,
    rate: float,
    lift: float = 0.0,
) -> Network:
    settings = {"table": table, "first": first, "last": last, "classes": classes, "side": side, "drop": 0.0}
    return Network(
        name="mobilenet_v2",
        file="mobilenet_v2.model",
        module=filled(MobileNetV2(table, first, last, classes, 0.0), "mobilenet_v2", lift),
        layers=names(table),
        inputs=("image",),
        outputs=("logits",),
        batches=labelled("mobilenet_v2 images", rows, 3, side, classes),
        loss=lambda found, given: F.cross_entropy(found["logits"], given["label"].long()),
        optimizer=lambda weights: rmsprop(weights, rate),
        schedule=lambda optimizer, _: optim.lr_scheduler.StepLR(optimizer, 1, 0.98 ** (1 / 1000)),
        settings={key: str(value) for key, value in settings.items()},
        replace=resized("resize(224, 224)", side) | slower(rate),
        steps=steps,
        repetitions=8 if steps == 50 else 2,
        interpret=False,
    )


def slower(rate: float) -> dict[str, str]:
    """Steps that rounding does not blow up where moments come from few rows."""
    return {} if rate == 0.045 else {"exponential(0.045": f"exponential({rate}"}


def rmsprop(weights: list[nn.Parameter], rate: float) -> optim.Optimizer:
    """Decay acts on weights of rank 2 and more."""
    groups = [
        {"params": [x for x in weights if x.dim() >= 2], "weight_decay": 4e-5},
        {"params": [x for x in weights if x.dim() < 2], "weight_decay": 0},
    ]
    return optim.RMSprop(groups, rate, 0.9, momentum=0.9)


def small() -> list[Network]:
    table = [[1, 4, 1, 1], [2, 4, 2, 2], [2, 6, 1, 2], [2, 6, 1, 2], [2, 8, 2, 1], [2, 8, 1, 2], [2, 8, 1, 1]]
    return [network(table, 4, 16, 4, 64, 3, 50, 0.0001)]


def full() -> list[Network]:
    whole = network(TABLE, 32, 1280, 1000, 224, 2, 10, 0.0001, lift=3.0)
    agrees_with_torchvision(whole, "mobilenet_v2")
    return [whole]
