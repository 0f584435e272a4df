"""Prints how many lines describe each network in each framework, as JSON: `{"pytorch": {"mlp": 4, …}, …}`.

Counted are definitions that building the network reaches, in `exporters/models` and `arms/models`, without
empty lines, comments and docstrings, imports, names of weights, and losses. Nothing is imported, so no
framework is needed.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SUITE = Path(__file__).resolve().parent
# What all networks share, carries weights over, or draws as `dlc` does.
SHARED = ("core.py", "philox.py", "__init__.py")
OTHER = ("loss", "cross_entropy", "names", "NAMES")


class Source:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = path.read_text().splitlines()
        self.definitions: dict[str, ast.stmt] = {}
        self.imports: dict[str, tuple[Path, str | None]] = {}
        for part in ast.parse(path.read_text()).body:
            if isinstance(part, ast.FunctionDef | ast.ClassDef):
                self.definitions[part.name] = part
            elif isinstance(part, ast.Assign | ast.AnnAssign):
                targets = part.targets if isinstance(part, ast.Assign) else [part.target]
                self.definitions |= {x.id: part for x in targets if isinstance(x, ast.Name)}
            elif isinstance(part, ast.ImportFrom):
                self.imports |= dict(self.imported(part))

    def imported(self, part: ast.ImportFrom) -> Iterator[tuple[str, tuple[Path, str | None]]]:
        """Files of this suite alone: a module by its name, or a name in a module."""
        folder = self.path.parents[part.level - 1] if part.level else SUITE
        folder = folder.joinpath(*(part.module or "").split("."))
        for alias in part.names:
            module, whole = folder / f"{alias.name}.py", folder.with_suffix(".py")
            if module.is_file():
                yield alias.asname or alias.name, (module, None)
            elif whole.is_file():
                yield alias.asname or alias.name, (whole, alias.name)

    def counted(self, name: str) -> int:
        node = self.definitions[name]
        skipped: set[int] = set()
        for part in ast.walk(node):
            first = getattr(part, "body", None)
            if isinstance(part, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(part) is not None:
                skipped |= set(range(first[0].lineno, first[0].end_lineno + 1))
        start = min([node.lineno, *(x.lineno for x in getattr(node, "decorator_list", []))])
        numbers = (n for n in range(start, node.end_lineno + 1) if n not in skipped)
        texts = (self.lines[n - 1].strip() for n in numbers)
        return sum(bool(text) and not text.startswith("#") for text in texts)


@cache
def source(path: Path) -> Source:
    return Source(path)


def reached(path: Path, node: ast.AST, found: set[tuple[Path, str]]) -> None:
    """All definitions that this piece of a file needs, and those that they need."""
    here = source(path)
    for part in ast.walk(node):
        target: tuple[Path, str] | None = None
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            module, name = here.imports.get(part.value.id, (None, ""))
            target = (module, part.attr) if module and name is None else None
        elif isinstance(part, ast.Name) and part.id in here.definitions:
            target = (path, part.id)
        elif isinstance(part, ast.Name) and part.id in here.imports:
            module, name = here.imports[part.id]
            target = (module, name) if name else None
        if target is None or target in found or target[0].name in SHARED:
            continue
        if target[1].endswith(OTHER) or target[1] not in source(target[0]).definitions:
            continue
        found.add(target)
        reached(target[0], source(target[0]).definitions[target[1]], found)


def entries(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """The file's `NETWORKS`: names, and what builds them."""
    table = source(path).definitions["NETWORKS"].value
    for key, value in zip(table.keys, table.values, strict=True):
        builds = isinstance(value, ast.Call) and getattr(value.func, "id", "") == "Network"
        yield key.value, value.args[0] if builds else value


def lines(paths: list[Path]) -> dict[str, int]:
    found = {}
    for path in paths:
        for name, node in entries(path):
            needed: set[tuple[Path, str]] = set()
            reached(path, node, needed)
            # Functions of `arms/networks.py` say how a module fits the suite, not what it is.
            own = [x for x in needed if x[0].name != "networks.py" or x[1][0].isupper()]
            found[name] = sum(source(file).counted(definition) for file, definition in own)
    return found


def main() -> None:
    folder = SUITE / "arms" / "models"
    files = {
        name: [path for path in sorted((folder / name).glob("*.py")) if "NETWORKS = {" in path.read_text()]
        for name in ("keras", "flax")
    }
    files["pytorch"] = [SUITE / "arms" / "networks.py"]
    print(json.dumps({name: lines(paths) for name, paths in sorted(files.items())}))


if __name__ == "__main__":
    main()
