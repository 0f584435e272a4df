"""One step of the recurrent cells. PyTorch's weights are `[gates, in]`; ours are `[in, gates]`."""

from __future__ import annotations

import torch
from torch import Tensor

from ..case import Case, Draws, run_case

HIDDEN = 3


def cases() -> list[Case]:
    draws = Draws("recurrent")
    x, h, c = draws.normal(2, 4), draws.normal(2, HIDDEN), draws.normal(2, HIDDEN)

    def weights(gates: int, *biases: str) -> dict[str, Tensor]:
        n = gates * HIDDEN
        return {
            "w_x": draws.normal(4, n),
            "w_h": draws.normal(HIDDEN, n),
            **{b: draws.normal(n) for b in biases},
        }

    return [
        run_case(
            "rnn_cell",
            "unit(x, h)",
            lambda x, h, w_x, w_h, b: torch.rnn_tanh_cell(x, h, w_x.T, w_h.T, b, torch.zeros_like(b)),
            {"x": x, "h": h},
            weights=weights(1, "b"),
            lines=(f"unit = rnn_cell({HIDDEN})",),
        ),
        run_case(
            "gru_cell",
            "unit(x, h)",
            lambda x, h, w_x, w_h, b_x, b_h: torch.gru_cell(x, h, w_x.T, w_h.T, b_x, b_h),
            {"x": x, "h": h},
            weights=weights(3, "b_x", "b_h"),
            lines=(f"unit = gru_cell({HIDDEN})",),
        ),
        run_case(
            "lstm_cell",
            "concat([next_h, next_c], axis: 1)",
            lambda x, h, c, w_x, w_h, b: torch.cat(
                torch.lstm_cell(x, (h, c), w_x.T, w_h.T, b, torch.zeros_like(b)), 1
            ),
            {"x": x, "h": h, "c": c},
            weights=weights(4, "b"),
            lines=(f"unit = lstm_cell({HIDDEN})", "next_h, next_c = unit(x, h, c)"),
        ),
    ]
