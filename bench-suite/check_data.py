"""Data larger than memory: how much a training takes of it, and how fast rows come from the file.

Memory: a csv of `--gigabytes` is written, and a model with `standardize` trained on it for `--steps` updates
and an evaluation of part of it; the highest memory use of the process is told. Speed: the same table of
`--rows` rows is trained from memory and from its file, one after the other several times; the log's times
between the first and the last update are compared, and the weights have to be the same bits. On a busy
machine the reading thread has to wait for a processor; the seconds of processors tell what its work costs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from safetensors.numpy import load_file

from dlc import Dlc

COLUMNS = 20
BLOCK_ROWS = 200_000
MODEL = """model Rows(x: f32[batch, {columns}]) -> (p: f32[batch, 1]) {{
    p = x |> {first}dense({width}) |> relu |> dense({width}) |> relu |> dense(1) |> sigmoid
}}

train Rows {{
    data       = csv("rows.csv", x: columns("v0".."v{last}"), target: columns("label"))
    split      = {split}
    loss       = binary_cross_entropy(p, target)
    optimizer  = adam(lr: 1e-3)
    batch      = 32
    steps      = {steps}
    log_every  = {log_every}
    eval_every = {steps}
    checkpoint = {{ every: {steps} }}
}}
"""


def write_rows(path: Path, *, rows: int | None = None, size: int = 0) -> int:
    """Lines of 20 numbers and a label; beyond the first 200,000 they repeat in the same order."""
    draws = random.Random(1)
    lines = []
    for _ in range(min(rows or BLOCK_ROWS, BLOCK_ROWS)):
        numbers = [draws.gauss(3, 2) for _ in range(COLUMNS)]
        label = int(sum(numbers[:5]) > 15)
        lines.append(",".join(f"{number:.6f}" for number in numbers) + f",{label}\n")
    block = "".join(lines).encode()
    written = 0
    with path.open("wb") as file:
        file.write((",".join(f"v{column}" for column in range(COLUMNS)) + ",label\n").encode())
        while (rows is not None and written < rows) or file.tell() < size:
            left = len(lines) if rows is None else min(rows - written, len(lines))
            file.write(block if left == len(lines) else "".join(lines[:left]).encode())
            written += left
    return written


def train(dlc: Dlc, model: Path, out: Path, *options: str) -> tuple[float, float, float]:
    """The highest memory use in MB, the seconds that the program took, and those of processors."""
    shutil.rmtree(out, ignore_errors=True)
    command = [str(dlc.binary), "train", str(model), "--out", str(out), "--quiet", *options]
    started = time.monotonic()
    child = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise SystemExit(f"{subprocess.list2cmdline(command)} ended with {status}")
    return usage.ru_maxrss * 1024 / 1e6, time.monotonic() - started, usage.ru_utime + usage.ru_stime


def steps_per_second(out: Path) -> float:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    times = [(line["step"], line["seconds"]) for line in lines if line["split"] == "train"]
    (first, begin), (last, end) = times[0], times[-1]
    return (last - first) / (end - begin)


def weights_hash(out: Path) -> str:
    tensors = load_file(out / "checkpoints" / "last.safetensors")
    return hashlib.sha256(
        b"".join(name.encode() + tensors[name].tobytes() for name in sorted(tensors))
    ).hexdigest()


def memory(dlc: Dlc, folder: Path, gigabytes: float, steps: int) -> None:
    rows = write_rows(folder / "rows.csv", size=int(gigabytes * 1e9))
    size = (folder / "rows.csv").stat().st_size
    model = folder / "rows.model"
    for name, first in [("plain", ""), ("standardize", "standardize() |> ")]:
        text = MODEL.format(
            columns=COLUMNS,
            last=COLUMNS - 1,
            width=64,
            steps=steps,
            log_every=steps // 10,
            first=first,
            split="[0.99, 0.01]",
        )
        model.write_text(text)
        peak, seconds, _ = train(dlc, model, folder / "run")
        speed = steps_per_second(folder / "run")
        print(
            f"{name}: csv of {size / 1e9:.2f} GB, {rows} rows: at most {peak:.0f} MB of memory, "
            f"{seconds:.0f} s for {steps} updates, {speed:.0f} updates/s",
            flush=True,
        )


def speed(dlc: Dlc, folder: Path, rows: int, width: int, steps: int, repeats: int, threads: str) -> None:
    write_rows(folder / "rows.csv", rows=rows)
    model = folder / "rows.model"
    text = MODEL.format(
        columns=COLUMNS,
        last=COLUMNS - 1,
        width=width,
        steps=steps,
        log_every=steps // 20,
        first="",
        split="[0.99, 0.01]",
    )
    model.write_text(text)
    found: dict[str, list[float]] = {"memory": [], "file": []}
    processor: dict[str, list[float]] = {"memory": [], "file": []}
    hashes = set()
    for _ in range(repeats):
        for name, options in [("memory", ["--data-memory", "64GiB"]), ("file", ["--data-memory", "0"])]:
            processor[name].append(train(dlc, model, folder / name, "--threads", threads, *options)[2])
            found[name].append(steps_per_second(folder / name))
            hashes.add(weights_hash(folder / name))
    held, streamed = statistics.median(found["memory"]), statistics.median(found["file"])
    same = "equal" if len(hashes) == 1 else "DIFFER"
    print(
        f"{threads} thread(s), batches of 32: {held:.0f} updates/s from memory, "
        f"{streamed:.0f} from the file, ratio {streamed / held:.3f}; "
        "seconds of processors, reading the table included: "
        f"{min(processor['memory']):.2f} and {min(processor['file']):.2f}; weights {same}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dlc")
    parser.add_argument("--folder", type=Path, help="where the csv is written; else a temporary folder")
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", default="1")
    parser.add_argument("--only", choices=["memory", "speed"])
    given = parser.parse_args()
    dlc = Dlc.find(given.dlc)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        if given.only != "speed":
            memory(dlc, folder, given.gigabytes, given.steps)
        if given.only != "memory":
            speed(dlc, folder, given.rows, given.width, given.steps, given.repeats, given.threads)


if __name__ == "__main__":
    main()
