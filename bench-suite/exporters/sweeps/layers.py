"""Layers and losses, over single, odd and prime sizes; blocks of layers against PyTorch's own modules."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from ..families.attention import heads_of, rotated
from .configuration import Configuration, Input

# expression of x and target, PyTorch's unreduced loss, the ranges of both
LOSSES: dict[str, tuple[str, Callable[..., Tensor], tuple[float, float], tuple[float, float]]] = {
    "mse": ("mse(x, target", F.mse_loss, (-2, 2), (-2, 2)),
    "mae": ("mae(x, target", F.l1_loss, (-2, 2), (-2, 2)),
    "huber": (
        "huber(x, target, delta: 0.7",
        lambda *a, **k: F.huber_loss(*a, **k, delta=0.7),
        (-2, 2),
        (-2, 2),
    ),
    "probabilities": ("binary_cross_entropy(x, target", F.binary_cross_entropy, (0.05, 0.95), (0, 1)),
    "logits": (
        "binary_cross_entropy_logits(x, target",
        F.binary_cross_entropy_with_logits,
        (-3, 3),
        (0, 1),
    ),
}


def configurations() -> list[Configuration]:
    return _norms() + _losses() + _attention() + _blocks() + _cells() + _replaced() + _quantised()


def _norms() -> list[Configuration]:
    found = []
    for shape in ((1, 1), (3, 7), (2, 3, 5), (0, 4)):
        n = shape[-1]
        scaled = {"scale": Input((n,)), "bias": Input((n,))}
        x = {"x": Input(shape, -2, 2)}
        found += [
            Configuration(
                "unit(x)",
                lambda x, s, b, n=n: F.layer_norm(x, (n,), s, b, 1e-3),
                x,
                "layer_norm(eps: 1e-3)",
                scaled,
            ),
            Configuration(
                "unit(x)",
                lambda x, s, n=n: F.rms_norm(x, (n,), s, 1e-6),
                x,
                "rms_norm()",
                {"scale": Input((n,))},
            ),
        ]
    for shape in ((1, 2, 1), (3, 4, 5), (2, 6, 3, 1), (1, 2, 2, 3, 1)):
        c = shape[1]
        scaled = {"scale": Input((c,)), "bias": Input((c,))}
        moments = {"mean": Input((c,)), "var": Input((c,), 0.5, 2)}
        x = {"x": Input(shape, -2, 2)}
        found += [
            Configuration(
                "unit(x)",
                lambda x, s, b, c=c: F.group_norm(x, c // 2, s, b, 1e-3),
                x,
                f"group_norm({c // 2}, eps: 1e-3)",
                scaled,
            ),
            Configuration(
                "unit(x)",
                _batch_norm,
                x,
                "batch_norm()",
                {**scaled, **moments},
            ),
        ]
        if shape[2:] != (1,):
            found.append(
                Configuration(
                    "unit(x)",
                    lambda x, s, b: F.instance_norm(x, weight=s, bias=b, eps=1e-3),
                    x,
                    "instance_norm(eps: 1e-3)",
                    scaled,
                )
            )
    return found


def _batch_norm(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    """Written out: PyTorch's own has no derivative by the running moments."""
    across = (1, -1, *(1,) * (x.dim() - 2))
    scale, bias, mean, var = (v.reshape(across) for v in (scale, bias, mean, var))
    return (x - mean) / torch.sqrt(var + 1e-5) * scale + bias


def _losses() -> list[Configuration]:
    found = []
    for expr, compute, x, target in LOSSES.values():
        for shape in ((1,), (13,), (3, 5)):
            for how in ("mean", "sum", "none"):
                said = "" if how == "mean" else f', reduce: "{how}"'
                found.append(
                    Configuration(
                        f"{expr}{said})",
                        lambda x, target, compute=compute, how=how: compute(x, target, reduction=how),
                        {"x": Input(shape, *x), "target": Input(shape, *target)},
                    )
                )
    for rows, classes in ((1, 2), (7, 3), (3, 13)):
        given = {"x": Input((rows, classes), -3, 3), "label": Input((rows,), below=classes)}
        found += [
            Configuration(
                "cross_entropy(x, label)", lambda x, label: F.cross_entropy(x, label.long()), given
            ),
            Configuration(
                'cross_entropy(x, label, smoothing: 0.2, reduce: "sum")',
                lambda x, label: F.cross_entropy(x, label.long(), label_smoothing=0.2, reduction="sum"),
                given,
            ),
            Configuration(
                'nll(log_softmax(x), label, reduce: "none")',
                lambda x, label: F.nll_loss(F.log_softmax(x, -1), label.long(), reduction="none"),
                given,
            ),
        ]
    return found


def _attention() -> list[Configuration]:
    found = []
    for b, s, t, heads, width in ((1, 1, 1, 1, 2), (2, 3, 5, 1, 3), (1, 5, 3, 2, 4), (1, 2, 7, 3, 3)):
        given = {
            "q": Input((b, s, width)),
            "k": Input((b, t, width)),
            "v": Input((b, t, width)),
        }
        found.append(
            Configuration(
                f"attention(q, k, v, heads: {heads})",
                lambda q, k, v, heads=heads: heads_of(q, k, v, heads),
                given,
            )
        )
        own = {**given, "k": Input((b, s, width)), "v": Input((b, s, width))}
        found.append(
            Configuration(
                f"attention(q, k, v, heads: {heads}, causal: true, scale: 0.7)",
                lambda q, k, v, heads=heads: heads_of(q, k, v, heads, causal=True, scale=0.7),
                own,
            )
        )
        found.append(
            Configuration(
                f"attention(q, k, v, heads: {heads}, bias: alibi({heads}, {s}, {t}))",
                lambda q, k, v, heads=heads: heads_of(
                    q, k, v, heads, mask=_alibi(heads, q.shape[1], k.shape[1], q)
                ),
                given,
            )
        )
    for s, d in ((1, 2), (5, 4), (7, 6)):
        found.append(Configuration("rope(x, at: 2)", lambda x: rotated(x, 2), {"x": Input((1, s, d))}))
    return found


def _alibi(heads: int, queries: int, keys: int, like: Tensor) -> Tensor:
    """As the authors' code takes its slopes."""

    def powers(n: int) -> list[float]:
        return [2 ** (-8 * (i + 1) / n) for i in range(n)]

    below = 1 << (heads.bit_length() - 1)
    slopes = powers(below) + powers(2 * below)[0::2][: heads - below]
    place = torch.arange(queries)[:, None] - torch.arange(keys)
    return -torch.tensor(slopes, dtype=like.dtype)[:, None, None] * place.abs().to(like.dtype)


def _blocks() -> list[Configuration]:
    """Weights of PyTorch's modules are `[out, in]`, those of query, key and value one matrix."""
    found = []
    for s, t, heads, d, wide in ((1, 1, 1, 2, 3), (3, 2, 2, 4, 5)):

        def parts(attention: str, d: int = d) -> dict[str, Input]:
            names = [f"{attention}.{part}" for part in ("query", "key", "value", "out")]
            return {f"{n}.{w}": Input((d, d) if w == "w" else (d,)) for n in names for w in ("w", "b")}

        def norm(name: str, d: int = d) -> dict[str, Input]:
            return {f"{name}.scale": Input((d,)), f"{name}.bias": Input((d,))}

        ends = {
            "wide.w": Input((d, wide)),
            "wide.b": Input((wide,)),
            "narrow.w": Input((wide, d)),
            "narrow.b": Input((d,)),
        }
        encoder = {**norm("norm"), **parts("attention"), **norm("norm_1"), **ends}
        decoder = {
            **norm("norm"),
            **parts("attention"),
            **norm("norm_1"),
            **parts("cross"),
            **norm("norm_2"),
            **ends,
        }

        def encoded(
            x: Tensor, *given: Tensor, names: tuple = tuple(encoder), config: tuple = (d, heads, wide)
        ) -> Tensor:
            theirs = _their_names(dict(zip(names, given, strict=True)), {"attention": "self_attn"})
            layer = nn.TransformerEncoderLayer(*config, 0.0, "gelu", batch_first=True, norm_first=True)
            return functional_call(layer.to(x.dtype), theirs, (x,))

        def decoded(
            x: Tensor,
            memory: Tensor,
            *given: Tensor,
            names: tuple = tuple(decoder),
            config: tuple = (d, heads, wide),
        ) -> Tensor:
            own = {"attention": "self_attn", "cross": "multihead_attn"}
            theirs = _their_names(dict(zip(names, given, strict=True)), own)
            layer = nn.TransformerDecoderLayer(*config, 0.0, "gelu", batch_first=True, norm_first=True)
            seen = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
            return functional_call(layer.to(x.dtype), theirs, (x, memory, seen))

        x = Input((1, s, d))
        unit = f"transformer_encoder_block({heads}, {wide})"
        found.append(Configuration("unit(x)", encoded, {"x": x}, unit, encoder))
        unit = f"transformer_decoder_block({heads}, {wide})"
        found.append(
            Configuration("unit(x, memory)", decoded, {"x": x, "memory": Input((1, t, d))}, unit, decoder)
        )
    return found


def _their_names(given: dict[str, Tensor], attentions: dict[str, str]) -> dict[str, Tensor]:
    found = {}
    for number, name in enumerate(("norm", "norm_1", "norm_2"), 1):
        if f"{name}.scale" in given:
            found[f"norm{number}.weight"] = given[f"{name}.scale"]
            found[f"norm{number}.bias"] = given[f"{name}.bias"]
    for number, name in enumerate(("wide", "narrow"), 1):
        found[f"linear{number}.weight"] = given[f"{name}.w"].T
        found[f"linear{number}.bias"] = given[f"{name}.b"]
    for ours, theirs in attentions.items():
        inner = [f"{ours}.{part}" for part in ("query", "key", "value")]
        found[f"{theirs}.in_proj_weight"] = torch.cat([given[f"{n}.w"].T for n in inner])
        found[f"{theirs}.in_proj_bias"] = torch.cat([given[f"{n}.b"] for n in inner])
        found[f"{theirs}.out_proj.weight"] = given[f"{ours}.out.w"].T
        found[f"{theirs}.out_proj.bias"] = given[f"{ours}.out.b"]
    return found


def _cells() -> list[Configuration]:
    found = []
    for rows, n, hidden in ((1, 1, 1), (3, 2, 5), (0, 3, 2)):
        given = {"x": Input((rows, n)), "h": Input((rows, hidden))}

        def weights(gates: int, *biases: str, n: int = n, hidden: int = hidden) -> dict[str, Input]:
            sizes = {"w_x": (n, gates * hidden), "w_h": (hidden, gates * hidden)}
            sizes |= {name: (gates * hidden,) for name in biases}
            return {name: Input(shape) for name, shape in sizes.items()}

        found += [
            Configuration(
                "unit(x, h)",
                lambda x, h, w_x, w_h, b: torch.rnn_tanh_cell(x, h, w_x.T, w_h.T, b, torch.zeros_like(b)),
                given,
                f"rnn_cell({hidden})",
                weights(1, "b"),
            ),
            Configuration(
                "unit(x, h)",
                lambda x, h, w_x, w_h, b_x, b_h: torch.gru_cell(x, h, w_x.T, w_h.T, b_x, b_h),
                given,
                f"gru_cell({hidden})",
                weights(3, "b_x", "b_h"),
            ),
        ]
    return found


def _replaced() -> list[Configuration]:
    found = []
    for rows, n, units in ((1, 1, 1), (3, 5, 2), (2, 2, 7)):
        weights = {"inner.w": Input((n, units)), "inner.b": Input((units,))}

        def normed(x: Tensor, w: Tensor, b: Tensor, scale: Tensor) -> Tensor:
            return F.linear(x, torch._weight_norm(w.T, scale[:, None], 0), b)

        def spectral(x: Tensor, w: Tensor, b: Tensor, u: Tensor) -> Tensor:
            return F.linear(x, (w / _largest(w.T, u)).T, b)

        x = {"x": Input((rows, n))}
        found.append(
            Configuration(
                "unit(x)", normed, x, f"weight_norm(dense({units}))", {**weights, "scale": Input((units,))}
            )
        )
        found.append(
            Configuration(
                "unit(x)", spectral, x, f"spectral_norm(dense({units}))", {**weights, "u": Input((units,))}
            )
        )
    kernel = {"inner.w": Input((3, 2, 2, 2)), "inner.b": Input((3,))}
    found.append(
        Configuration(
            "unit(x)",
            lambda x, w, b, u: F.conv2d(x, w / _largest(w.flatten(1), u), b),
            {"x": Input((1, 2, 3, 3))},
            'spectral_norm(conv2d(3, 2, padding: "valid"))',
            {**kernel, "u": Input((3,))},
        )
    )
    found.append(
        Configuration(
            "unit(x)",
            lambda x, w, b, scale: F.conv2d(x, torch._weight_norm(w, scale[:, None, None, None], 0), b),
            {"x": Input((1, 2, 3, 3))},
            'weight_norm(conv2d(3, 2, padding: "valid"))',
            {**kernel, "scale": Input((3,))},
        )
    )
    return found


def _largest(w: Tensor, u: Tensor) -> Tensor:
    """A step of `torch.nn.utils.spectral_norm`; its two vectors are constants for the derivative."""
    with torch.no_grad():
        v = F.normalize(w.T @ u, dim=0, eps=1e-12)
        left = F.normalize(w @ v, dim=0, eps=1e-12)
    return left @ w @ v


def _quantised() -> list[Configuration]:
    found = []
    for shape in ((0,), (1,), (13,), (3, 7)):
        x = {"x": Input(shape, -3, 3)}
        for scale, zero, bits in ((0.125, 0, 8), (0.25, 3, 4), (0.5, -1, 2)):
            low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
            said = f"x, {scale}, zero: {zero}, bits: {bits}"
            found.append(
                Configuration(
                    f"fake_quant({said})",
                    lambda x, given=(scale, zero, low, high): torch.fake_quantize_per_tensor_affine(
                        x, *given
                    ),
                    x,
                )
            )
            found.append(
                Configuration(
                    f"cast(quantize({said}), i32)",
                    lambda x, given=(scale, zero, low, high): (
                        torch.round(x / given[0]).add(given[1]).clamp(given[2], given[3]).to(torch.int32)
                    ),
                    x,
                )
            )
    return found
