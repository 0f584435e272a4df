"""Whether the time of compiling stays the same while a model repeats itself more often.

Compiles 12 and 200 blocks of one layer, to run and to train, and scans of 10 and of 1,000 steps with their
gradient; prints the median processor times and each pair's ratio, which is to stay below 1.5; ends with
status 1 where one does not.
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

from dlc import Dlc

BLOCKS = """layer attend(heads: int)(x: float[b, s, d]) -> float[b, s, d] {{
    q, k, v = x |> dense(3 * d) |> split(3, axis: -1)
    attention(q, k, v, heads: heads, causal: true) |> dense(d)
}}

layer block(heads: int)(x: float[b, s, d]) -> float[b, s, d] {{
    y = x + (x |> layer_norm |> attend(heads))
    y + (y |> layer_norm |> dense(4 * d) |> gelu |> dense(d))
}}

model Blocks(x: f32[b, s, 64]) -> (y: f32[b, s, 64]) {{
    y = x |> repeat({count}) as block {{ block(4) }}
}}
"""

TRAINED = """
train Blocks(target: f32[b, s, 64]) {
    loss      = mean((y - target) ^ 2)
    optimizer = adamw(lr: 1e-3)
    clip      = global_norm(1.0)
}
"""

RECURRENT = """model Steps(x: f32[b, {count}, 16]) -> (y: f32[b, {count}, 16]) {{
    y = x |> lstm(16)
}}

train Steps(target: f32[b, {count}, 16]) {{
    loss      = mean((y - target) ^ 2)
    optimizer = sgd(lr: 1e-3)
}}
"""

PAIRS = [
    ("blocks", 12, 200, BLOCKS, "run"),
    ("blocks trained", 12, 200, BLOCKS, "train"),
    ("steps trained", 10, 1000, RECURRENT, "train"),
]

# What compiling the many may take, in times of the few.
LIMIT = 1.5


def seconds(dlc: str, text: str, entry: str) -> float:
    """Processor seconds of one compilation that nothing remembers."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "growing.model"
        path.write_text(text, encoding="utf-8")
        command = [dlc, "compile", str(path), "--output", folder]
        command += ["--with", entry] if entry != "run" else []
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"DLC_NO_CACHE": "1"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Times every pair, the few and the many by turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dlc", help="the binary; else $DLC, else target/release/dlc")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    dlc = str(Dlc.find(arguments.dlc).binary)
    grows = False
    for name, few, many, text, entry in PAIRS:
        extra = TRAINED if text is BLOCKS and entry == "train" else ""
        times: dict[int, list[float]] = {few: [], many: []}
        for _ in range(arguments.rounds):
            for count, measured in times.items():
                measured.append(seconds(dlc, text.format(count=count) + extra, entry))
        of_few, of_many = (statistics.median(measured) for measured in times.values())
        ratio = of_many / of_few
        grows |= ratio > LIMIT
        print(f"{name}: {few} in {of_few:.3f} s, {many} in {of_many:.3f} s, ratio {ratio:.2f}", flush=True)
    sys.exit(int(grows))


if __name__ == "__main__":
    main()
