"""Prints how many bytes these packages take with all that they need; fails where one is missing."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


def closure(names: list[str]) -> set[str]:
    """Names of distributions, without what only an extra asks for."""
    found: set[str] = set()
    waiting = [(name, True) for name in names]
    while waiting:
        text, wanted = waiting.pop()
        name = re.split(r"[\[<>=!~;\s(]", text, maxsplit=1)[0].lower().replace("_", "-")
        if name in found:
            continue
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            if wanted:
                raise
            # What another system or another Python needs.
            continue
        found.add(name)
        waiting += [(need, False) for need in needs if "extra ==" not in need]
    return found


def size(name: str) -> int:
    paths = [Path(str(file.locate())) for file in distribution(name).files or []]
    return sum(path.stat().st_size for path in paths if path.is_file())


if __name__ == "__main__":
    print(sum(map(size, closure(sys.argv[1:]))))
