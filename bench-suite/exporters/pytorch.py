"""Exports what PyTorch computes: `python -m exporters.pytorch` in `bench-suite` rewrites `references/`.

`--only NAME` writes the networks of that name alone, `--full` those of full size too.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from . import models
from .case import export
from .families import FAMILIES

SUITE = Path(__file__).resolve().parent.parent


def write_families(folder: Path) -> int:
    index: dict = {"torch": torch.__version__, "families": {}}
    count = 0
    for family, list_cases in FAMILIES.items():
        entries, arrays = [], {}
        for case in list_cases():
            entry, own = export(case)
            entries.append(entry)
            arrays |= own
        names = [entry["name"] for entry in entries]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"{family}: cases with the same name: {', '.join(repeated)}")
        broken = [n for n, x in arrays.items() if "/in/" not in n and not np.isfinite(x).all()]
        if broken:
            raise ValueError(f"{family}: results that are not finite: {', '.join(broken)}")
        save_file(arrays, folder / f"{family}.safetensors")
        index["families"][family] = entries
        count += len(entries)
    (folder / "index.json").write_text(json.dumps(index, indent=0, ensure_ascii=False) + "\n")
    return count


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=SUITE / "references")
    parser.add_argument("--only", default="", help="the networks whose names hold this, and nothing else")
    parser.add_argument("--full", action="store_true", help="networks of full size too, into full/")
    arguments = parser.parse_args()
    folder = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if not arguments.only:
        print(f"{write_families(folder)} cases")
        models.write_list(folder / "full.json")
    print(f"{models.write(folder / 'models', 'small', arguments.only)} networks")
    if arguments.full:
        torch.set_num_threads(torch.multiprocessing.cpu_count())
        print(f"{models.write(folder / 'full', 'full', arguments.only)} networks of full size")


if __name__ == "__main__":
    main()
