"""The random numbers of `runtime/tensor` (Philox 4x32-10, keyed by FNV-1a): inputs need not be stored."""

from __future__ import annotations

import struct

import numpy as np

ROUNDS = 10
MASK = np.uint64(0xFFFFFFFF)


def key(seed: int, purpose: str, number: int) -> int:
    """FNV-1a-64 of the seed, the purpose with its length before it, and the number."""
    text = purpose.encode()
    data = struct.pack("<QQ", seed, len(text)) + text + struct.pack("<Q", number)
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def first_words(seed: int, purpose: str, count: int) -> np.ndarray:
    """The first of the four words of elements 0, 1, …"""
    hashed = key(seed, purpose, 0)
    a, b = np.arange(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64)
    c, d = np.zeros(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64)
    first, second = hashed & 0xFFFFFFFF, hashed >> 32
    shift = np.uint64(32)
    for step in range(ROUNDS):
        if step > 0:
            first = (first + 0x9E3779B9) & 0xFFFFFFFF
            second = (second + 0xBB67AE85) & 0xFFFFFFFF
        left, right = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b, c, d = (
            (right >> shift) ^ b ^ np.uint64(first),
            right & MASK,
            (left >> shift) ^ d ^ np.uint64(second),
            left & MASK,
        )
    return a


def uniform(purpose: str, count: int, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """In [low, high), of 24 random bits, as f32 holds them."""
    unit = (first_words(0, purpose, count) >> np.uint64(8)).astype(np.float64) / 2**24
    return (low + (high - low) * unit).astype(np.float32).astype(np.float64)


def below(purpose: str, count: int, high: int) -> np.ndarray:
    """Whole numbers in [0, high)."""
    unit = (first_words(0, purpose, count) >> np.uint64(8)).astype(np.float64) / 2**24
    return np.floor(unit * high).astype(np.int32)
