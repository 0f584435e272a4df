from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import Network, filled
from .digits import table
from .philox import Dropout, set_step
from .schedule import cosine


class Autoencoder(nn.Module):
    def __init__(self, width: int, code: int, noise: float) -> None:
        super().__init__()
        self.noise = Dropout(noise, "dropout")
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * width, code),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, 8 * width),
            nn.ReLU(),
            nn.Unflatten(1, (2 * width, 2, 2)),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, 2, 1),
            nn.Sigmoid(),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encoder(self.noise(image))
        return self.decoder(z), z


def autoencoder(width: int, code: int) -> Network:
    images, _ = table()
    pictures = images[:, None] / 16
    return Network(
        name="autoencoder",
        file="autoencoder.model",
        module=filled(Autoencoder(width, code, 0.1), "autoencoder"),
        layers={
            "encoder.0": "encoder.conv2d",
            "encoder.2": "encoder.conv2d_1",
            "encoder.5": "encoder.dense",
            "decoder.0": "decoder.dense",
            "decoder.3": "decoder.conv_transpose2d",
            "decoder.5": "decoder.conv_transpose2d_1",
        },
        inputs=("image",),
        outputs=("again", "z"),
        batches=[{"image": pictures[16 * i : 16 * (i + 1)].clone()} for i in range(3)],
        loss=lambda found, given: F.binary_cross_entropy(found["again"], given["image"]),
        optimizer=lambda weights: optim.Adam(weights, 3e-3),
        schedule=cosine(),
        before=set_step,
        settings={"width": str(width), "code": str(code)},
    )


def small() -> list[Network]:
    return [autoencoder(4, 3)]


def full() -> list[Network]:
    return [autoencoder(16, 8)]
