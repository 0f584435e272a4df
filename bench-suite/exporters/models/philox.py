"""The random draws of compiled code, so that a module in PyTorch can make the same: Philox 4x32-10.

(Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.) A draw's key follows from the seed and
the path of the instance that draws; its counter has the element, the training step, and which draw of the
instance it is.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

WORD = np.uint64(0xFFFF_FFFF)
HALF = np.uint64(32)


class Drawing(nn.Module):
    """A module that draws. `bits` is what a uniform number has: 24 in a build at f32, 53 at f64."""

    def __init__(self, *path: str, draw: int = 0) -> None:
        super().__init__()
        self.path, self.draw = path, draw
        self.step, self.bits = 0, 53

    def words(self, shape: tuple[int, ...]) -> list[np.ndarray]:
        count = np.arange(int(np.prod(shape)), dtype=np.uint64)
        counter = [count & WORD, count >> HALF, *(np.full_like(count, n) for n in (self.step, self.draw))]
        return [word.reshape(shape) for word in philox(counter, key(0, self.path))]

    def fraction(self, words: list[np.ndarray], k: int) -> np.ndarray:
        """Draw `k` of an element as a whole number below 2^bits."""
        if self.bits <= 32:
            return words[k] >> np.uint64(32 - self.bits)
        return ((words[2 * k] << HALF) | words[2 * k + 1]) >> np.uint64(64 - self.bits)

    def uniform(self, *shape: int) -> Tensor:
        """In [0, 1), in f64."""
        return torch.from_numpy(self.fraction(self.words(shape), 0) * 2.0**-self.bits)

    def normal(self, *shape: int) -> Tensor:
        """Mean 0, variance 1, in f64 (Box and Muller, 1958)."""
        words, unit = self.words(shape), 2.0**-self.bits
        radius = (self.fraction(words, 0).astype(np.float64) + 1) * unit
        angle = self.fraction(words, 1) * unit
        return torch.from_numpy(np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle))


class Dropout(Drawing):
    def __init__(self, rate: float, *path: str) -> None:
        super().__init__(*path)
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        kept = self.uniform(*x.shape) < 1 - self.rate
        return torch.where(kept, x / (1 - self.rate), torch.zeros((), dtype=x.dtype))


def set_step(module: nn.Module, step: int, _rows: int) -> None:
    """For `Network.before`."""
    for part in module.modules():
        if isinstance(part, Drawing):
            part.step = step


def set_bits(module: nn.Module, bits: int) -> nn.Module:
    for part in module.modules():
        if isinstance(part, Drawing):
            part.bits = bits
    return module


def key(seed: int, path: tuple[str, ...]) -> list[np.uint64]:
    number = 0
    for name in path:
        number = (number * 4093 + name_number(name)) % 1_099_511_627_689
    mixed = mix(mix(seed) ^ number)
    return [np.uint64(mixed & 0xFFFF_FFFF), np.uint64(mixed >> 32)]


def name_number(name: str) -> int:
    """FNV-1a of 64 bits, reduced."""
    number = 0xCBF2_9CE4_8422_2325
    for byte in name.encode():
        number = (number ^ byte) * 0x100_0000_01B3 % 2**64
    return number % 1_099_511_627_689


def mix(x: int) -> int:
    """splitmix64 (Steele, Lea and Flood, 2014)."""
    x = (x + 0x9E37_79B9_7F4A_7C15) % 2**64
    x = (x ^ (x >> 30)) * 0xBF58_476D_1CE4_E5B9 % 2**64
    x = (x ^ (x >> 27)) * 0x94D0_49BB_1331_11EB % 2**64
    return x ^ (x >> 31)


def philox(counter: list[np.ndarray], key: list[np.uint64]) -> list[np.ndarray]:
    """Ten rounds on words of 32 bits, held in 64."""
    a, b, c, d = counter
    first, second = key
    for _ in range(10):
        left, right = a * np.uint64(0xD251_1F53), c * np.uint64(0xCD9E_8D57)
        a, b, c, d = (right >> HALF) ^ b ^ first, right & WORD, (left >> HALF) ^ d ^ second, left & WORD
        first, second = (first + np.uint64(0x9E37_79B9)) & WORD, (second + np.uint64(0xBB67_AE85)) & WORD
    return [a, b, c, d]
