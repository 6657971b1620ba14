"""Training of packed GANs on points (PacGAN)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from bench.models.gans import PackedDiscriminator
from bench.randomness import derive_seed, forked_torch_seed
from bench.training.common import Report, TrainingData, TrainingLog, batches


def packed_gan(
    model: nn.Module,
    data: TrainingData,
    *,
    seed: int,
    report: Report,
    packing: int,
    iterations: int,
    batch_size: int,
    learning_rate: float,
) -> TrainingLog:
    """Simultaneous Adam steps of a generator and a discriminator that judges `packing` points at once.

    The packed training set is fixed: each slot takes as many rows, with replacement, as the data has. Losses
    are the non-saturating ones; both gradients are taken at the same parameters.

    Source: Lin, Khetan, Fanti, Oh 2018, section 4.1 and the released two-dimensional configuration
    (Adam 1e-4, beta1 0.8; 400,000 iterations in full).
    """
    size, width = data.x.shape
    latent: int = model.latent_size  # type: ignore[assignment]
    device = data.x.device
    random = torch.Generator().manual_seed(derive_seed(seed, "packs"))
    packs = torch.cat([data.x[torch.randint(size, (size,), generator=random).to(device)] for _ in range(packing)], 1)
    with forked_torch_seed(derive_seed(seed, "discriminator")):
        discriminator = PackedDiscriminator(packing=packing, inputs=width).to(device)
    betas = (0.8, 0.999)
    step_g = torch.optim.Adam(model.parameters(), lr=learning_rate, betas=betas)
    step_d = torch.optim.Adam(discriminator.parameters(), lr=learning_rate, betas=betas)
    g_parameters, d_parameters = list(model.parameters()), list(discriminator.parameters())
    log, every = TrainingLog(), max(1, iterations // 100)
    order = (index for _, index in batches(size, batch_size, epochs=iterations, seed=seed))
    model.train()
    for iteration in range(iterations):
        real = packs[next(order).to(device)]
        noise = torch.randn(packing, len(real), latent, generator=random).to(device)
        fake = model(noise).transpose(0, 1).reshape(len(real), packing * width)
        real_score, fake_score = discriminator(real), discriminator(fake)
        loss_d = F.softplus(-real_score).mean() + F.softplus(fake_score).mean()
        loss_g = F.softplus(-fake_score).mean()
        d_gradients = torch.autograd.grad(loss_d, d_parameters, retain_graph=True)
        g_gradients = torch.autograd.grad(loss_g, g_parameters)
        for parameter, gradient in zip(d_parameters, d_gradients, strict=True):
            parameter.grad = gradient
        for parameter, gradient in zip(g_parameters, g_gradients, strict=True):
            parameter.grad = gradient
        step_d.step()
        step_g.step()
        if (iteration + 1) % every == 0:
            log.add(discriminator=loss_d.item(), generator=loss_g.item())
            report((iteration + 1) / iterations)
    model.eval()
    return log
