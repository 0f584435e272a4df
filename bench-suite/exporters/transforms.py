"""Exports what JAX computes for nested transforms: `python -m exporters.transforms` in `bench-suite` rewrites
`references/transforms.safetensors` and `transforms.json`.

Of three small functions, each one example's cost, from inputs that f32 holds: gradients of every example,
`vmap(grad(f))`; gradients of their sum, `grad(vmap(f))`, and of what the former are, squared; the Hessian
by the example and by a weight.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save

REFERENCES = Path(__file__).resolve().parent.parent / "references"
ROWS = 4

MLP = """fn cost(x: float[3], w_1: float[3, 6], b_1: float[6], w_2: float[6, 2]) -> float {
    h = tanh(x @ w_1 + b_1)
    mean((h @ w_2 - 0.5) ^ 2)
}
"""
LSTM = """fn cost(x: float[t, n], w_x: float[n, m], w_h: float[hidden, m], b: float[m]) -> float {
    fn step(now: float[n], h: float[hidden], c: float[hidden]) {
        i, f, g, o = split(now @ w_x + h @ w_h + b, 4, axis: -1)
        next = sigmoid(f) * c + sigmoid(i) * tanh(g)
        y = sigmoid(o) * tanh(next)
        (y, y, next)
    }
    ys, h, c = scan(step, x, zeros([hidden]), zeros([hidden]), axis: 0)
    mean(ys ^ 2) + sum(h * c)
}
"""
ATTENTION = """fn cost(x: float[s, d], w_q: float[d, d], w_k: float[d, d], w_v: float[d, d]) -> float {
    q = x @ w_q
    k = x @ w_k
    v = x @ w_v
    p = softmax(q @ transpose(k, [1, 0]) / sqrt(d), axis: -1)
    mean((p @ v) ^ 2)
}
"""


@dataclass
class Function:
    name: str
    source: str
    # Shapes of one example and of the weights.
    example: tuple[int, ...]
    weights: dict[str, tuple[int, ...]]
    cost: Callable[..., jax.Array]


def mlp(x: jax.Array, w_1: jax.Array, b_1: jax.Array, w_2: jax.Array) -> jax.Array:
    return jnp.mean((jnp.tanh(x @ w_1 + b_1) @ w_2 - 0.5) ** 2)


def lstm(x: jax.Array, w_x: jax.Array, w_h: jax.Array, b: jax.Array) -> jax.Array:
    def step(carry: tuple[jax.Array, jax.Array], now: jax.Array) -> tuple[tuple, jax.Array]:
        h, c = carry
        i, f, g, o = jnp.split(now @ w_x + h @ w_h + b, 4)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    nothing = jnp.zeros(w_h.shape[0], x.dtype)
    (h, c), ys = jax.lax.scan(step, (nothing, nothing), x)
    return jnp.mean(ys**2) + jnp.sum(h * c)


def attention(x: jax.Array, w_q: jax.Array, w_k: jax.Array, w_v: jax.Array) -> jax.Array:
    scores = (x @ w_q) @ (x @ w_k).T / np.sqrt(x.shape[-1])
    return jnp.mean((jax.nn.softmax(scores, axis=-1) @ (x @ w_v)) ** 2)


FUNCTIONS = (
    Function("mlp", MLP, (3,), {"w_1": (3, 6), "b_1": (6,), "w_2": (6, 2)}, mlp),
    Function("lstm", LSTM, (5, 3), {"w_x": (3, 8), "w_h": (2, 8), "b": (8,)}, lstm),
    Function("attention", ATTENTION, (5, 4), {"w_q": (4, 4), "w_k": (4, 4), "w_v": (4, 4)}, attention),
)


@dataclass
class Case:
    name: str
    source: str
    inputs: dict[str, np.ndarray]
    compute: Callable[..., dict[str, jax.Array]]


def cases(function: Function) -> list[Case]:
    of_weights = tuple(range(1, len(function.weights) + 1))
    arguments = ", ".join(function.weights)
    weights = list(function.weights)
    first = weights[0]

    def per_example(xs: jax.Array, *w: jax.Array) -> dict[str, jax.Array]:
        slopes = jax.vmap(jax.grad(function.cost, of_weights), (0, *[None] * len(w)))(xs, *w)
        return {f"d_{n}": slope for n, slope in zip(weights, slopes, strict=True)}

    def total(xs: jax.Array, *w: jax.Array) -> jax.Array:
        return jnp.sum(jax.vmap(function.cost, (0, *[None] * len(w)))(xs, *w))

    def summed(xs: jax.Array, *w: jax.Array) -> dict[str, jax.Array]:
        slopes = jax.grad(total, (0, *of_weights))(xs, *w)
        return {f"d_{n}": slope for n, slope in zip(["xs", *weights], slopes, strict=True)}

    def penalty(xs: jax.Array, *w: jax.Array) -> jax.Array:
        return jnp.sum(jax.vmap(jax.grad(function.cost), (0, *[None] * len(w)))(xs, *w) ** 2)

    def penalised(xs: jax.Array, *w: jax.Array) -> dict[str, jax.Array]:
        slopes = jax.grad(penalty, of_weights)(xs, *w)
        return {f"d_{n}": slope for n, slope in zip(weights, slopes, strict=True)}

    def hessians(xs: jax.Array, *w: jax.Array) -> dict[str, jax.Array]:
        of_x = jax.vmap(jax.hessian(function.cost), (0, *[None] * len(w)))(xs, *w)
        return {"of_x": of_x, "of_w": jax.hessian(total, 1)(xs, *w)}

    example, rest = sizes(function.example), ", ".join(["w", *weights[1:]])
    slopes = ", ".join(f"grad(c, wrt: {n})" for n in weights)
    one = [f"fn one(x: float[{example}]) = cost(x, {arguments})"]
    bodies = {
        "vmap_grad": [
            f"fn slopes(x: float[{example}]) {{",
            f"    c = cost(x, {arguments})",
            f"    ({slopes})",
            "}",
            f"{', '.join(f'd_{n}' for n in weights)} = vmap(slopes)(xs)",
        ],
        "grad_vmap": [
            *one,
            "total = sum(vmap(one)(xs))",
            *(f"d_{n} = grad(total, wrt: {n})" for n in ["xs", *weights]),
        ],
        "grad_vmap_grad": [
            f"fn slope(x: float[{example}]) {{",
            f"    c = cost(x, {arguments})",
            "    grad(c, wrt: x)",
            "}",
            "penalty = sum(vmap(slope)(xs) ^ 2)",
            *(f"d_{n} = grad(penalty, wrt: {n})" for n in weights),
        ],
        "hessian": [
            *one,
            f"fn bend(x: float[{example}]) = hessian(one, x)",
            "of_x = vmap(bend)(xs)",
            f"fn of_weight(w: float[{sizes(function.weights[first])}]) {{",
            f"    fn other(x: float[{example}]) = cost(x, {rest})",
            "    sum(vmap(other)(xs))",
            "}",
            f"of_w = hessian(of_weight, {first})",
        ],
    }
    computed = {
        "vmap_grad": per_example,
        "grad_vmap": summed,
        "grad_vmap_grad": penalised,
        "hessian": hessians,
    }
    generator = np.random.default_rng(zlib.crc32(function.name.encode()))
    shapes = {"xs": (ROWS, *function.example), **function.weights}
    inputs = {n: generator.normal(size=shape).astype(np.float32) for n, shape in shapes.items()}
    found = []
    for kind, body in bodies.items():
        results = computed[kind](*(jnp.asarray(x, jnp.float64) for x in inputs.values()))
        head = ", ".join(f"{n}: float[{sizes(x.shape)}]" for n, x in inputs.items())
        out = ", ".join(f"{n}: float[{sizes(x.shape)}]" for n, x in results.items())
        text = "".join(f"    {line}\n" for line in body)
        source = f"{function.source}\nmodel Case({head}) -> ({out}) {{\n{text}}}\n"
        found.append(Case(f"{kind}_{function.name}", source, inputs, computed[kind]))
    return found


def sizes(shape: tuple[int, ...]) -> str:
    return ", ".join(str(n) for n in shape)


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    entries, arrays = [], {}
    for function in FUNCTIONS:
        for case in cases(function):
            results = case.compute(*(jnp.asarray(x, jnp.float64) for x in case.inputs.values()))
            if not all(np.isfinite(x).all() and np.abs(x).max() > 1e-3 for x in results.values()):
                raise ValueError(f"{case.name}: a result that is not finite, or shows nothing")
            arrays |= {f"{case.name}/in/{n}": x for n, x in case.inputs.items()}
            arrays |= {f"{case.name}/f64/{n}": np.asarray(x) for n, x in results.items()}
            entries.append(
                {
                    "name": case.name,
                    "kind": "run",
                    "source": case.source,
                    "inputs": list(case.inputs),
                    "weights": [],
                    "outputs": list(results),
                }
            )
    (REFERENCES / "transforms.safetensors").write_bytes(save(arrays))
    index = {"jax": jax.__version__, "families": {"transforms": entries}}
    (REFERENCES / "transforms.json").write_text(json.dumps(index, indent=0, ensure_ascii=False) + "\n")
    print(f"{len(entries)} cases")


if __name__ == "__main__":
    main()
