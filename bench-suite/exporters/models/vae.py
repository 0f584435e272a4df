from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import Network, Tensors, filled
from .digits import table
from .philox import Drawing, set_bits, set_step

NAMES = {
    "encoder.0": "dense",
    "mean": "dense_1",
    "log_variance": "dense_2",
    "decoder.0": "dense_3",
    "decoder.2": "dense_4",
}


class VAE(nn.Module):
    """Without `noisy` training decodes the mean."""

    def __init__(self, wide: int, latent: int, noisy: bool = True) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, wide), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(wide, latent), nn.Linear(wide, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, wide), nn.ReLU(), nn.Linear(wide, 64), nn.Sigmoid())
        self.noise, self.noisy = Drawing(), noisy

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean
        if self.training and self.noisy:
            z = mean + torch.exp(log_variance / 2) * self.noise.normal(*mean.shape).to(x.dtype)
        return self.decoder(z), mean, log_variance


def loss(found: Tensors, given: Tensors) -> Tensor:
    """The evidence lower bound, negated. (Kingma and Welling, 2013.)"""
    mean, log_variance = found["mu"], found["logvar"]
    seen = F.binary_cross_entropy(found["again"], given["x"], reduction="none").sum(1).mean()
    prior = torch.distributions.Normal(torch.zeros_like(mean), 1.0)
    posterior = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    return seen + torch.distributions.kl_divergence(posterior, prior).sum(1).mean()


def vae(name: str, bits: int, precision: str, wide: int, latent: int) -> Network:
    images, _ = table()
    rows = images.reshape(-1, 64) / 16
    return Network(
        name=name,
        file="vae.model",
        module=set_bits(filled(VAE(wide, latent), "vae"), bits),
        layers=NAMES,
        inputs=("x",),
        outputs=("again", "mu", "logvar"),
        batches=[{"x": rows[16 * i : 16 * (i + 1)].clone()} for i in range(3)],
        loss=loss,
        optimizer=lambda weights: optim.Adam(weights, 1e-3),
        before=set_step,
        precisions=(precision,),
        settings={"latent": str(latent)},
        replace={"dense(128)": f"dense({wide})"},
    )


def small() -> list[Network]:
    return [vae("vae_f64", 53, "f64", 16, 4), vae("vae_f32", 24, "f32", 16, 4)]


def full() -> list[Network]:
    return [vae("vae_f64", 53, "f64", 128, 16), vae("vae_f32", 24, "f32", 128, 16)]
