"""Layers that hold several networks: each is the layer torch has, and nothing passes between them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import ModelError
from bench.models import stacked

E, CALLS, N = 3, 2, 5


def drawn(layer: nn.Module) -> nn.Module:
    for index, parameter in enumerate(layer.parameters()):
        nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(index))
    return layer


def test_linear_maps_are_torchs() -> None:
    layer, x = drawn(stacked.Linear(E, 4, 6)), torch.randn(E, CALLS, N, 4)
    for index in range(E):
        torch.testing.assert_close(layer(x)[index], F.linear(x[index], layer.weight[index].T, layer.bias[index, 0]))
    assert stacked.Linear(E, 4, 6, bias=False).bias is None
    torch.testing.assert_close(layer(x[:, 0]), layer(x)[:, 0])


def test_maxout_takes_the_largest_of_its_pieces() -> None:
    layer, x = drawn(stacked.Maxout(E, 4, 3, 5)), torch.randn(E, N, 4)
    torch.testing.assert_close(layer(x), layer.linear(x).reshape(E, N, 3, 5).amax(3))


@pytest.mark.parametrize("side", [(), (3, 4)])
def test_batch_norm_is_torchs_call_by_call(side) -> None:
    layer = drawn(stacked.BatchNorm(E, 6, decay=0.9))
    x = torch.randn(E, CALLS, N, 6, *side) * 3 + 1
    out = layer(x)
    means, variances = torch.zeros(E, CALLS, 6), torch.zeros(E, CALLS, 6)
    for index in range(E):
        for call in range(CALLS):
            batch = x[index, call]
            expected = F.batch_norm(batch, None, None, layer.scale[index], layer.shift[index], training=True)
            torch.testing.assert_close(out[index, call], expected)
            over = [0, *range(2, batch.ndim)]
            means[index, call], variances[index, call] = batch.mean(over), batch.var(over, correction=0)
    torch.testing.assert_close(layer.running_mean, 0.1 * means.mean(1))
    torch.testing.assert_close(layer.running_variance, 0.9 + 0.1 * variances.mean(1))
    mean, variance = layer.running_mean.clone(), layer.running_variance.clone()
    evaluated = layer.eval()(x)
    expected = F.batch_norm(x[1, 0], mean[1], variance[1], layer.scale[1], layer.shift[1])
    torch.testing.assert_close(evaluated[1, 0], expected)
    assert torch.equal(layer.running_mean, mean), "evaluation leaves the running statistics"


def test_convolutions_are_torchs() -> None:
    layer = drawn(stacked.Convolution(E, 2, 4, 5, stride=2, padding=(1, 2, 1, 2)))
    x = torch.randn(E, CALLS, N, 2, 14, 14)
    out = layer(x)
    assert out.shape == (E, CALLS, N, 4, 7, 7)
    for index in range(E):
        for call in range(CALLS):
            padded = F.pad(x[index, call], (1, 2, 1, 2))
            expected = F.conv2d(padded, layer.weight[index], layer.bias[index], 2)
            torch.testing.assert_close(out[index, call], expected, atol=1e-4, rtol=1e-4)


def test_transposed_convolutions_are_torchs() -> None:
    layer = drawn(stacked.TransposedConvolution(E, 4, 2, 5, stride=2, crop=(1, 2, 1, 2)))
    x = torch.randn(E, CALLS, N, 4, 7, 7)
    out = layer(x)
    assert out.shape == (E, CALLS, N, 2, 14, 14)
    for index in range(E):
        whole = F.conv_transpose2d(x[index, 1], layer.weight[index], layer.bias[index], 2)
        torch.testing.assert_close(out[index, 1], whole[..., 1:-2, 1:-2], atol=1e-4, rtol=1e-4)


class Net(nn.Module):
    def __init__(self, seed: int, networks: int = 1) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(
            stacked.Linear(networks, 3, 8, bias=False),
            stacked.BatchNorm(networks, 8),
            nn.ReLU(),
            stacked.Linear(networks, 8, 2),
        )
        stacked.initialise(self, 0.3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # type: ignore[no-any-return]


def test_a_stack_is_its_networks_and_they_get_its_weights_back() -> None:
    alone = [Net(seed) for seed in range(E)]
    whole = stacked.stack(alone)
    x = torch.randn(E, CALLS, N, 3)
    for index, net in enumerate(alone):
        torch.testing.assert_close(whole(x)[index], net(x[index : index + 1])[0])
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter.add_(torch.arange(E).reshape(-1, *[1] * (parameter.ndim - 1)))
    before = [net.layers[0].weight.clone() for net in alone]
    stacked.unstack(whole, alone)
    for index, net in enumerate(alone):
        torch.testing.assert_close(net.layers[0].weight, before[index] + index)
        assert torch.equal(net.layers[1].running_mean[0], whole.layers[1].running_mean[index])


def test_no_gradient_passes_from_one_network_to_another() -> None:
    whole = stacked.stack([Net(seed) for seed in range(E)])
    whole(torch.randn(E, CALLS, N, 3))[1].sum().backward()
    for parameter in whole.parameters():
        assert parameter.grad is not None
        assert not bool(parameter.grad[0].any() | parameter.grad[2].any())


def test_other_networks_go_alone() -> None:
    net = nn.Linear(3, 2)
    with pytest.raises(ModelError, match="a Linear cannot be stacked"):
        stacked.stack([net, nn.Linear(3, 2)])
    whole, x = stacked.stack([net]), torch.randn(1, CALLS, N, 3)
    torch.testing.assert_close(whole(x)[0], net(x[0]))
    assert all(mine is theirs for mine, theirs in zip(whole.parameters(), net.parameters(), strict=True))
    stacked.unstack(whole, [net])


def test_weights_are_drawn_with_their_deviation() -> None:
    layer = stacked.Linear(2, 200, 300)
    stacked.initialise(layer, 0.02)
    assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.02)
    assert not bool(layer.bias.any())
