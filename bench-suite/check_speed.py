"""How long `dlc check` takes for a file of a thousand lines: forty small models, or a deep one in training.

Writes the file to a temporary folder, runs the program several times and prints the median and all times.
"""

import argparse
import pathlib
import statistics
import subprocess
import tempfile
import time

from dlc import Dlc

PLAIN = """/// Classifier {i}: rows of {width} numbers.
layer head{i}(width: dim, classes: dim)(x: float[b, n]) -> float[b, classes] {{
    h = x |> dense(width) |> layer_norm |> gelu
    g = h |> dense(width)
    y = relu(h + g)
    y |> dense(classes)
}}

fn scale{i}(x: float[..s], by: float = 1.0) -> float[..s] = x * by + {i}

model Net{i}(x: f32[batch, {width}], mask: f32[batch, 1]) -> (score: f32[batch, 4], best: i32[batch]) {{
    h = x * mask
    a = h |> dense(32)
    b = a |> repeat(2) as block {{ dense(32) |> tanh }}
    c = scale{i}(b, by: 0.5)
    score = c |> head{i}(64, 4)
    best = argmax(score, axis: -1)
}}

test "scale {i}" {{
    assert scale{i}([1.0, 2.0]) ~= [{one}.0, {two}.0]
}}


"""

DEEP = """/// Block {i}.
layer block{i}(c: dim)(x: float[n, cin, h, w]) -> float[n, c, h, w] {{
    y = x |> conv2d(c, kernel: 3) |> batch_norm |> relu
    z = y |> conv2d(c, kernel: 1) |> batch_norm
    g = sigmoid(mean(z, axis: [2, 3], keep: true))
    y + g * z
}}

fn act{i}(x: float[..s]) -> float[..s] = x * sigmoid({i} * x) + 1

"""


def plain() -> str:
    """Forty models, forty layers, forty functions, forty tests."""
    return "".join(PLAIN.format(i=i, width=16 + i, one=1 + i, two=2 + i) for i in range(40))


def deep() -> str:
    """Eighty-eight layers in a row, trained, so that all of them are differentiated."""
    blocks = "".join(DEEP.format(i=i) for i in range(88))
    stages = "".join(f"          |> block{i}(16) |> act{i}\n" for i in range(88))
    return (
        f"{blocks}model Deep(image: f32[batch, 3, 32, 32]) -> (logits: f32[batch, 10]) {{\n"
        f"    h = image\n{stages}    logits = h |> global_avg_pool |> dense(10)\n}}\n\n"
        "train Deep { loss = cross_entropy(logits, label); optimizer = adam(lr: 1e-3) }\n"
    )


def main() -> None:
    """Times both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dlc", help="the binary; else $DLC, else target/release/dlc")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    dlc = str(Dlc.find(arguments.dlc).binary)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in [("plain", plain()), ("deep", deep())]:
            path = pathlib.Path(folder) / f"{name}.model"
            path.write_text(text, encoding="utf-8")
            times = []
            for _ in range(arguments.rounds):
                begin = time.perf_counter()
                subprocess.run([dlc, "check", str(path)], check=True, capture_output=True)
                times.append(1000 * (time.perf_counter() - begin))
            shown = " ".join(f"{milliseconds:.0f}" for milliseconds in sorted(times))
            lines = text.count("\n")
            print(f"{name}: {lines} lines, median {statistics.median(times):.0f} ms of {shown}")


if __name__ == "__main__":
    main()
