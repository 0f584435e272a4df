"""Writes sums.txt: every sum of two numbers below fifty in words, shuffled but always in the same order."""

from __future__ import annotations

from pathlib import Path

FIRST = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
TEENS = ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ONES = FIRST + TEENS
BELOW = 50
# The order follows from one step through a full cycle: BELOW² and this have no common divisor.
STEP = 1_367


def words(number: int) -> str:
    if number < len(ONES):
        return ONES[number]
    tens, ones = divmod(number, 10)
    return TENS[tens - 2] + (f"-{ONES[ones]}" if ones else "")


def lines() -> list[str]:
    pairs = [divmod(place * STEP % BELOW**2, BELOW) for place in range(BELOW**2)]
    return [f"{words(a)} plus {words(b)} is {words(a + b)}.\n" for a, b in pairs]


if __name__ == "__main__":
    (Path(__file__).parent / "sums.txt").write_text("".join(lines()))
