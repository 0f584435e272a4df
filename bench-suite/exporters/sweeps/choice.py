"""Choices that are the same on every machine and with every version of Python."""

from __future__ import annotations

from typing import TypeVar

from . import draws

T = TypeVar("T")


class Choice:
    def __init__(self, purpose: str) -> None:
        self.words = draws.first_words(1, purpose, 200_000)
        self.next = 0

    def of(self, options: tuple[T, ...]) -> T:
        word = int(self.words[self.next])
        self.next += 1
        return options[(word * len(options)) >> 32]
