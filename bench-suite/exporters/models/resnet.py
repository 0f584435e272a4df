"""Modules with the names of torchvision, against which they are held where it is installed."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import Network, agrees_with_torchvision, filled
from .images import labelled, resized


class Bottleneck(nn.Module):
    widening = 4

    def __init__(self, cin: int, c: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(cin, c, 1, bias=False), nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, c, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c)
        self.conv3, self.bn3 = nn.Conv2d(c, 4 * c, 1, bias=False), nn.BatchNorm2d(4 * c)
        self.downsample = shortcut(cin, 4 * c, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class Basic(nn.Module):
    widening = 1

    def __init__(self, cin: int, c: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(cin, c, 3, stride, 1, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = nn.Conv2d(c, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c)
        self.downsample = shortcut(cin, c, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


def shortcut(cin: int, c: int, stride: int) -> nn.Module:
    if stride == 1 and cin == c:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(cin, c, 1, stride, bias=False), nn.BatchNorm2d(c))


class ResNet(nn.Module):
    """`large`: images are first made four times smaller."""

    def __init__(self, block: type, depth: list[int], width: int, classes: int, large: bool) -> None:
        super().__init__()
        kernel = 7 if large else 3
        self.conv1 = nn.Conv2d(3, width, kernel, 2 if large else 1, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        cin = width
        for i, blocks in enumerate(depth):
            c, parts = width << i, []
            for j in range(blocks):
                parts.append(block(cin, c, 2 if i and not j else 1))
                cin = block.widening * c
            self.add_module(f"layer{i + 1}", nn.Sequential(*parts))
        self.fc = nn.Linear(cin, classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.pool(F.relu(self.bn1(self.conv1(image))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def numbered(name: str, i: int) -> str:
    return f"{name}_{i}" if i else name


def pair(layers: dict[str, str], conv: str, norm: str, ours: str) -> None:
    layers[conv], layers[norm] = f"{ours}.conv2d", f"{ours}.batch_norm"


def bottleneck_names(depth: list[int]) -> dict[str, str]:
    layers = {"fc": "dense"}
    pair(layers, "conv1", "bn1", "conv_bn")
    for i, blocks in enumerate(depth):
        for j in range(blocks):
            theirs = f"layer{i + 1}.{j}"
            ours = f"{numbered('stage', i)}.{f'block.{j - 1}' if j else 'bottleneck'}"
            for k in range(3):
                at = f"{ours}.{numbered('conv_bn', k)}"
                pair(layers, f"{theirs}.conv{k + 1}", f"{theirs}.bn{k + 1}", at)
            pair(layers, f"{theirs}.downsample.0", f"{theirs}.downsample.1", f"{ours}.conv_bn_3")
    return layers


def basic_names(*, large: bool) -> dict[str, str]:
    layers = {"fc": "dense"}
    pair(layers, "conv1", "bn1", f"stem.{numbered('conv_bn', int(large))}")
    for i in range(4):
        for j in range(2):
            theirs = f"layer{i + 1}.{j}"
            ours = f"{numbered('basic_stage', i)}.{numbered('basic', j)}"
            for k in range(2):
                at = f"{ours}.{numbered('conv_bn', k)}"
                pair(layers, f"{theirs}.conv{k + 1}", f"{theirs}.bn{k + 1}", at)
            pair(layers, f"{theirs}.downsample.0", f"{theirs}.downsample.1", f"{ours}.conv_bn_2")
    return layers


def resnet50(
    name: str,
    width: int,
    depth: list[int],
    side: int,
    classes: int,
    rows: int,
    steps: int,
    rate: float,
    lift: float = 0.0,
) -> Network:
    module = filled(ResNet(Bottleneck, depth, width, classes, large=True), name, lift)
    settings = {"width": width, "depth": depth, "side": side, "classes": classes}
    return Network(
        name=name,
        file="resnet.model",
        model="ResNet50",
        module=module,
        layers=bottleneck_names(depth),
        inputs=("image",),
        outputs=("logits",),
        batches=labelled(f"{name} images", rows, 3, side, classes),
        loss=lambda found, given: F.cross_entropy(
            found["logits"], given["label"].long(), label_smoothing=0.1
        ),
        optimizer=lambda weights: sgd(weights, rate, 1e-4),
        schedule=optim.lr_scheduler.CosineAnnealingLR,
        settings={key: str(value) for key, value in settings.items()},
        replace=resized("resize(224, 224)", side) | slower(rate),
        steps=steps,
        repetitions=8 if steps == 50 else 2,
    )


def resnet18(
    name: str,
    width: int,
    side: int,
    classes: int,
    rows: int,
    steps: int,
    rate: float,
    lift: float = 0.0,
) -> Network:
    module = filled(ResNet(Basic, [2, 2, 2, 2], width, classes, large=side > 64), name, lift)
    settings = {"width": width, "side": side, "classes": classes}
    return Network(
        name=name,
        file="resnet.model",
        model="ResNet18",
        module=module,
        layers=basic_names(large=side > 64),
        inputs=("image",),
        outputs=("logits",),
        batches=labelled(f"{name} images", rows, 3, side, classes),
        loss=lambda found, given: F.cross_entropy(found["logits"], given["label"].long()),
        optimizer=lambda weights: sgd(weights, rate, 5e-4),
        schedule=optim.lr_scheduler.CosineAnnealingLR,
        settings={key: str(value) for key, value in settings.items()},
        replace=resized("resize(32, 32)", side) | slower(rate),
        steps=steps,
        repetitions=8 if steps == 50 else 2,
        interpret=False,
    )


def slower(rate: float) -> dict[str, str]:
    """Steps that rounding does not blow up where moments come from few rows."""
    return {} if rate == 0.1 else {"cosine_decay(0.1)": f"cosine_decay({rate})"}


def sgd(weights: list[nn.Parameter], rate: float, decay: float) -> optim.Optimizer:
    """Decay acts on weights of rank 2 and more."""
    groups = [
        {"params": [x for x in weights if x.dim() >= 2], "weight_decay": decay},
        {"params": [x for x in weights if x.dim() < 2], "weight_decay": 0},
    ]
    return optim.SGD(groups, rate, 0.9)


def small() -> list[Network]:
    return [
        resnet50("resnet50", 2, [2, 1, 1, 1], 64, 4, 3, 50, 0.001),
        resnet18("resnet18", 2, 32, 4, 4, 50, 0.001),
    ]


def full() -> list[Network]:
    networks = [
        resnet50("resnet50", 64, [3, 4, 6, 3], 224, 1000, 2, 10, 0.00001, lift=2.0),
        resnet18("resnet18", 64, 32, 10, 8, 10, 0.001, lift=2.0),
        resnet18("resnet18_224", 64, 224, 1000, 2, 10, 0.00001, lift=2.0),
    ]
    agrees_with_torchvision(networks[0], "resnet50")
    agrees_with_torchvision(networks[2], "resnet18")
    return networks
