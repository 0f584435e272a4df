from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import Network, filled
from .digits import table
from .philox import Drawing, set_bits, set_step


class Generator(nn.Module):
    def __init__(self, width: int, latent: int, side: int) -> None:
        super().__init__()
        self.project = nn.Linear(latent, 2 * width * (side // 4) ** 2, bias=False)
        self.grow = nn.Sequential(
            nn.Unflatten(1, (2 * width, side // 4, side // 4)),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.grow(self.project(z))


class Critic(nn.Sequential):
    def __init__(self, width: int, side: int) -> None:
        super().__init__(
            nn.Conv2d(1, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(2 * width * (side // 4) ** 2, 1),
            nn.Flatten(0),
        )


class DCGAN(nn.Module):
    """The generator is judged by a copy of the critic whose weights are constants, so that of the sum of all
    losses each side feels its own.
    """

    def __init__(self, width: int, latent: int, side: int) -> None:
        super().__init__()
        self.latent = latent
        self.generator, self.critic = Generator(width, latent, side), Critic(width, side)
        self.noise = Drawing()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        fake = self.generator(self.noise.normal(len(image), self.latent).to(image.dtype))
        fixed = {n: x.detach().clone() for n, x in self.critic.state_dict().items()}
        fooled = F.softplus(-torch.func.functional_call(self.critic, fixed, (fake,))).mean()
        return fake, self.critic(image), self.critic(fake.detach()), fooled


def dcgan(name: str, bits: int, precision: str, width: int, latent: int, rows: int) -> Network:
    images, _ = table()
    pictures = images[:, None] / 8 - 1
    return Network(
        name=name,
        file="dcgan.model",
        module=set_bits(filled(DCGAN(width, latent, 8), "dcgan"), bits),
        layers={
            "generator.project": "generator.dense",
            "generator.grow.1": "generator.batch_norm",
            "generator.grow.3": "generator.conv_transpose2d",
            "generator.grow.4": "generator.batch_norm_1",
            "generator.grow.6": "generator.conv_transpose2d_1",
            "critic.0": "judge.conv2d",
            "critic.2": "judge.conv2d_1",
            "critic.3": "judge.batch_norm",
            "critic.6": "judge.dense",
        },
        inputs=("image",),
        outputs=("fake", "of_real", "of_fake", "fooled"),
        batches=[{"image": pictures[rows * i : rows * (i + 1)].clone()} for i in range(3)],
        loss=lambda found, _: (
            F.softplus(-found["of_real"]).mean() + F.softplus(found["of_fake"]).mean() + found["fooled"]
        ),
        optimizer=lambda weights: optim.Adam(weights, 2e-4, (0.5, 0.999)),
        before=set_step,
        precisions=(precision,),
        settings={"width": str(width), "latent": str(latent)},
    )


def small() -> list[Network]:
    return [dcgan("dcgan_f64", 53, "f64", 4, 6, 12), dcgan("dcgan_f32", 24, "f32", 4, 6, 12)]


def full() -> list[Network]:
    return [dcgan("dcgan_f64", 53, "f64", 32, 32, 64), dcgan("dcgan_f32", 24, "f32", 32, 32, 64)]
