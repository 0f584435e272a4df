"""Times `dlc` beside PyTorch: matrix products, an epoch of the digits, inference on them.

Every arm runs in a process of its own; arms take turns, in a new order each round; a figure is the
median over rounds of the median within a process. The ratio is PyTorch's time over ours; `best` is the
ratio of the shortest samples and `cpu` that of processor time, which other work on the machine disturbs
less. What differs from PyTorch's result gets no figure.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

import environment
from arms import EPOCHS, Sample, Task
from dlc import Dlc, DlcError

SUITE = Path(__file__).resolve().parent
DIGITS = SUITE.parent / "models" / "digits.model"
GEMM = "model Gemm(a: f32[m, k], b: f32[k, n]) -> (c: f32[m, n]) { c = a @ b }\n"
# m, n, k
SHAPES = [[n, n, n] for n in (64, 128, 256, 512, 1024)]
SHAPES += [[m, n, 768] for n in (768, 3072) for m in (1, 8, 32, 128)] + [[128, 768, 3072]]
BATCHES = [[1], [64]]
# The first steps of two trainings drift apart by rounding; single calls do not.
TOLERANCE = {"gemm": 1e-5, "infer": 1e-5, "epoch": 1e-3}
# Shares of the machine's time above which a row says that it was not alone
STEAL = 0.02
OTHERS = 0.1


@dataclass
class Arm:
    """`pytorch`, `dlc` (any size), `dlc-fixed` (sizes fixed when compiling) or `dlc-train`, the verb."""

    name: str
    builds: list[Path] = field(default_factory=list)


@dataclass
class Timed:
    """The samples of one arm and item, by round."""

    rounds: list[list[Sample]] = field(default_factory=list)

    def seconds(self) -> list[float]:
        return [median(wall for wall, _ in samples) for samples in self.rounds]

    def shortest(self) -> float:
        return min(wall for samples in self.rounds for wall, _ in samples)

    def processor(self) -> float:
        return median(median(busy for _, busy in samples) for samples in self.rounds)

    def figures(self, peer: Timed) -> dict:
        seconds = self.seconds()
        found = {"seconds": median(seconds), "rounds": seconds, "shortest": self.shortest()}
        found["ratio"] = median(peer.seconds()) / median(seconds)
        found["best"] = peer.shortest() / self.shortest()
        if self.processor() > 0:
            found |= {"cpu_seconds": self.processor(), "cpu": peer.processor() / self.processor()}
        return found


class Bench:
    def __init__(self, dlc: Dlc, scratch: Path, rounds: int, samples: int) -> None:
        self.dlc = dlc
        self.scratch = scratch
        self.rounds = rounds
        self.samples = samples
        self.rows: list[dict] = []

    def gemm(self, threads: int, shapes: list[list[int]]) -> None:
        source = self.scratch / "gemm.model"
        source.write_text(GEMM)
        dynamic = self.dlc.compile(source, self.scratch / "gemm", "--quiet")
        fixed = []
        for shape in shapes:
            sizes = [f"--bind={dim}={n}" for dim, n in zip("mnk", shape, strict=True)]
            folder = self.scratch / ("gemm-" + "-".join(map(str, shape)))
            fixed.append(self.dlc.compile(source, folder, "--quiet", *sizes))
        arms = [Arm("pytorch"), Arm("dlc", [dynamic] * len(shapes)), Arm("dlc-fixed", fixed)]
        self.measure("gemm", threads, shapes, arms)

    def infer(self, threads: int) -> None:
        dynamic = self.dlc.compile(DIGITS, self.scratch / "digits", "--quiet")
        fixed = [
            self.dlc.compile(DIGITS, self.scratch / f"digits-{n}", "--quiet", f"--bind=batch={n}")
            for (n,) in BATCHES
        ]
        arms = [Arm("pytorch"), Arm("dlc", [dynamic] * len(BATCHES)), Arm("dlc-fixed", fixed)]
        self.measure("infer", threads, BATCHES, arms)

    def epoch(self, threads: int) -> None:
        steady = self.scratch / "digits.model"
        steady.write_text(DIGITS.read_text().replace("dropout(0.2)", "dropout(0.0)"))
        builds = [
            self.dlc.compile(source, self.scratch / f"epoch-{name}", "--with", "train", "--quiet")
            for name, source in (("steady", steady), ("trained", DIGITS))
        ]
        self.measure("epoch", threads, [[]], [Arm("pytorch"), Arm("dlc", builds), Arm("dlc-train")])

    def measure(self, kind: str, threads: int, items: list[list[int]], arms: list[Arm]) -> None:
        """Runs all arms `rounds` times, and adds a row for each item and arm."""
        timed = {arm.name: [Timed() for _ in items] for arm in arms}
        outputs: dict[str, list[np.ndarray]] = {}
        shares: dict[str, list[dict[str, float]]] = {arm.name: [] for arm in arms}
        for number in range(self.rounds):
            for arm in random.Random(number).sample(arms, len(arms)):
                watch = environment.Shares()
                if arm.name == "dlc-train":
                    samples = [self.train_verb(threads)]
                else:
                    samples, outputs[arm.name] = self.process(kind, threads, items, arm)
                shares[arm.name].append(watch.now())
                for i, found in enumerate(samples):
                    timed[arm.name][i].rounds.append(found)
        for i, item in enumerate(items):
            reference = outputs["pytorch"][i]
            for arm in arms:
                error = relative_error(outputs[arm.name][i], reference) if arm.name in outputs else None
                row = {"task": kind, "size": item, "threads": threads, "arm": arm.name, "error": error}
                row |= {name: max(s[name] for s in shares[arm.name]) for name in ("steal", "others")}
                row["quiet"] = all(quiet(s) for s in shares[arm.name])
                if error is not None and error > TOLERANCE[kind]:
                    row["refused"] = f"differs from PyTorch by {error:.1e}"
                elif threads > 1 and not all(quiet(s) for arm in arms for s in shares[arm.name]):
                    row["refused"] = "threads that wait for each other say nothing on a busy machine"
                else:
                    row |= timed[arm.name][i].figures(timed["pytorch"][i])
                self.rows.append(row)
                print(shown(row), flush=True)

    def process(
        self, kind: str, threads: int, items: list[list[int]], arm: Arm
    ) -> tuple[list[list[Sample]], list[np.ndarray]]:
        output = self.scratch / f"{arm.name}.npz"
        builds = [str(build) for build in arm.builds]
        task = Task(kind, arm.name, threads, items, str(output), builds, self.samples)
        own = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        done = subprocess.run(
            [sys.executable, str(SUITE / "arms.py"), task.text()],
            env=os.environ | own,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DlcError(f"{arm.name}, {kind}: {done.stderr.strip()}")
        with np.load(output) as stored:
            return json.loads(done.stdout), [stored[str(i)] for i in range(len(items))]

    def train_verb(self, threads: int) -> list[Sample]:
        """Epochs by the log of `dlc train`, each with its evaluation; it knows no processor time."""
        folder = self.scratch / "train"
        self.dlc.call("train", DIGITS, "--out", folder, "--overwrite", "--quiet", "--threads", str(threads))
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        ends = [line["seconds"] for line in lines if line["split"] == "val"]
        if len(ends) != EPOCHS:
            raise DlcError(f"`dlc train` logged {len(ends)} evaluations, not {EPOCHS}")
        return [(b - a, 0.0) for a, b in pairwise(ends)]


def quiet(shares: dict[str, float]) -> bool:
    return shares["steal"] <= STEAL and shares["others"] <= OTHERS


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape or not np.isfinite(a).all():
        return float("inf")
    return float(np.abs(a - b).max() / np.abs(b).max())


def shown(row: dict) -> str:
    size = "x".join(map(str, row["size"]))
    head = f"{row['task']:<6} {size:<14} {row['threads']} {row['arm']:<9}"
    if "refused" in row:
        return f"{head} no figure: {row['refused']}"
    spread = (max(row["rounds"]) - min(row["rounds"])) / row["seconds"]
    text = f"{head} {row['seconds'] * 1e6:11.1f} µs {spread:6.1%}"
    text += f" ratio {row['ratio']:5.2f} best {row['best']:5.2f}"
    if "cpu" in row:
        text += f" cpu {row['cpu']:5.2f}"
    if row["task"] == "gemm":
        m, n, k = row["size"]
        text += f" {2 * m * n * k / row['cpu_seconds'] / 1e9:7.1f} GFLOP/s"
    return text if row["quiet"] else f"{text} (busy)"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dlc", help="the binary; else $DLC, else target/release/dlc")
    parser.add_argument("--task", choices=["gemm", "epoch", "infer"], action="append")
    parser.add_argument("--threads", type=int, action="append", help="1 and 2 unless given")
    parser.add_argument("--shape", action="append", help="MxNxK, instead of the usual ones")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=11)
    parser.add_argument("--output", type=Path, help="instead of results/DATE.jsonl")
    arguments = parser.parse_args()
    shapes = [[int(n) for n in shape.split("x")] for shape in arguments.shape or []] or SHAPES
    dlc = Dlc.find(arguments.dlc)
    before = environment.block(dlc.version())
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        bench = Bench(dlc, Path(scratch), arguments.rounds, arguments.samples)
        for threads in arguments.threads or [1, 2]:
            for task in arguments.task or ["gemm", "epoch", "infer"]:
                run = {"gemm": lambda t: bench.gemm(t, shapes), "epoch": bench.epoch, "infer": bench.infer}[
                    task
                ]
                run(threads)
    name = f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}.jsonl"
    output = arguments.output or SUITE / "results" / name
    output.parent.mkdir(parents=True, exist_ok=True)
    lines = [{"environment": before}, *bench.rows]
    output.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
