"""Whole networks, one file each: real modules of PyTorch with a mapping of their names to ours.

A file has `small()`, whose results are committed, and where the network comes in a size that people use,
`full()`, whose results `make references` writes into a folder that git ignores. Both give lists of `Network`.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from . import (
    autoencoder,
    char_lstm,
    core,
    dcgan,
    digits,
    fraud,
    gpt2,
    hydranet,
    lenet5,
    linear,
    lstm,
    minilm,
    mlp,
    mobilenet_v2,
    resnet,
    tabular,
    unet,
    vae,
    vit,
)

FILES: tuple[ModuleType, ...] = (
    autoencoder,
    char_lstm,
    dcgan,
    digits,
    fraud,
    gpt2,
    hydranet,
    lenet5,
    linear,
    lstm,
    minilm,
    mlp,
    mobilenet_v2,
    resnet,
    tabular,
    unet,
    vae,
    vit,
)


def write(folder: Path, size: str, only: str) -> int:
    """References of the networks whose names hold `only`, or of one file's; `size` is "small" or "full"."""
    count = 0
    own = [file for file in FILES if file.__name__.endswith(f".{only}")]
    for file in own or FILES:
        for network in getattr(file, size, list)():
            if own or only in network.name:
                network.interpret &= size == "small"
                core.write(network, folder / network.name)
                count += 1
    return count


def write_list(path: Path) -> None:
    """The networks of full size, and how many parameters each has: that can be tested without references."""
    networks = [network for file in FILES for network in getattr(file, "full", list)()]
    entries = {network.name: core.request(network) for network in sorted(networks, key=lambda n: n.name)}
    path.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
