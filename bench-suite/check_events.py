"""Reads the events of a training run with TensorBoard's own reader and holds them against `metrics.jsonl`.

The run is killed and resumed on the way: what it wrote before of steps that were done again must not count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing import event_accumulator

from dlc import Dlc

MODEL = """model M(x: f32[batch, 6]) -> (y: f32[batch, 1]) {
    y = x |> dense(16) |> relu |> dropout(0.5) |> dense(1)
}

train M {
    data       = synthetic(400, x: normal(0, 1), target: uniform(0, 1))
    loss       = mse(y, target)
    metrics    = { mae: mae(y, target) }
    optimizer  = adam(lr: cosine_decay(1e-2))
    batch      = 16
    epochs     = 40
    log_every  = 1
    checkpoint = { every: 7 }
}
"""
WAIT_SECONDS = 60.0

Series = dict[str, dict[int, float]]


def logged(run: Path) -> Series:
    series: Series = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        values = {"loss": record["loss"], **record["metrics"]}
        if record["lr"] is not None:
            values["lr"] = record["lr"]
        for name, value in values.items():
            series.setdefault(f"{record['split']}/{name}", {})[record["step"]] = value
    return series


def read_by_tensorboard(run: Path) -> tuple[Series, int]:
    """Series by tag, and how many steps stand twice."""
    accumulator = event_accumulator.EventAccumulator(str(run), size_guidance={event_accumulator.SCALARS: 0})
    accumulator.Reload()
    series: Series = {}
    twice = 0
    for tag in accumulator.Tags()["scalars"]:
        for event in accumulator.Scalars(tag):
            steps = series.setdefault(tag, {})
            twice += event.step in steps
            steps[event.step] = event.value
    return series, twice


def kill_in_the_middle(binary: Path, folder: Path) -> int:
    """Lines in the log when the run was killed."""
    log = folder / "run" / "metrics.jsonl"
    command = [str(binary), "train", "m.model", "--out", "run", "--quiet"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as child:
        started = time.monotonic()
        while not log.exists() or log.read_text().count("\n") < 100:
            if child.poll() is not None or time.monotonic() - started > WAIT_SECONDS:
                raise SystemExit("the run ended before it could be killed")
            time.sleep(0.001)
        child.kill()
    return log.read_text().count("\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dlc", help="the binary")
    arguments = parser.parse_args()
    dlc = Dlc.find(arguments.dlc)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "m.model").write_text(MODEL)
        lines = kill_in_the_middle(dlc.binary, folder)
        resume = [str(dlc.binary), "train", "m.model", "--resume", "run", "--quiet"]
        subprocess.run(resume, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        expected = logged(folder / "run")
        found, twice = read_by_tensorboard(folder / "run")
    if expected.keys() != found.keys():
        print(f"tags differ: {sorted(expected)} in the log, {sorted(found)} by TensorBoard")
        return 1
    count = 0
    for tag, values in expected.items():
        if values.keys() != found[tag].keys():
            print(f"{tag}: steps differ")
            return 1
        for step, value in values.items():
            count += 1
            if np.float32(value) != np.float32(found[tag][step]):
                print(f"{tag} at {step}: {value} in the log, {found[tag][step]} by TensorBoard")
                return 1
    print(
        f"{count} values of {len(expected)} series agree; killed after {lines} lines; "
        f"{twice} steps stand twice"
    )
    return 1 if twice else 0


if __name__ == "__main__":
    sys.exit(main())
