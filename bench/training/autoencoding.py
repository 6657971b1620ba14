"""Training of autoencoders and variational autoencoders."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from bench.models.autoencoders import Autoencoder, VariationalAutoencoder, kl_from_standard_normal
from bench.randomness import derive_seed
from bench.training.common import Report, TrainingData, TrainingLog, batches


def autoencoding(
    model: Autoencoder,
    data: TrainingData,
    *,
    seed: int,
    report: Report,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    beta: float,
) -> TrainingLog:
    """Adam on the Bernoulli reconstruction loss, plus beta times the KL term where the code is a distribution.

    Source: Kingma and Welling 2014, eq. 10; Tabacof, Tavares, Valle 2016 for sizes and rate.
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    noise = torch.Generator().manual_seed(derive_seed(seed, "codes"))
    log, a_round = TrainingLog(), math.ceil(len(data.x) / batch_size)
    loss_sum = seen = 0.0
    model.train()
    order = batches(len(data.x), batch_size, epochs=epochs, seed=seed)
    for done, (_, index) in enumerate(order, 1):
        x = data.x[index.to(data.x.device)]
        if isinstance(model, VariationalAutoencoder):
            mean, log_variance = model.encode_distribution(x)
            draws = torch.randn(mean.shape, generator=noise).to(x.device)
            code = mean + draws * (0.5 * log_variance).exp()
            divergence = beta * kl_from_standard_normal(mean, log_variance).sum()
        else:
            code, divergence = model.encode(x), x.new_zeros(())
        error = F.binary_cross_entropy_with_logits(model.decode_logits(code), x, reduction="sum")
        loss = (error + divergence) / len(x)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        loss_sum += loss.item() * len(x)
        seen += len(x)
        if done % a_round == 0:
            log.add(loss=loss_sum / seen)
            loss_sum = seen = 0.0
        report(done / (epochs * a_round))
    model.eval()
    return log
