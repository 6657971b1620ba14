"""A classifier with something before or behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from bench.catalogue import is_import_name
from bench.defenses.catalogue import DEFENSES
from bench.defenses.stage import Stage
from bench.errors import BenchError, ModelError
from bench.manifest.running import user_code

Network = Callable[[Tensor], Tensor]
"""Inputs (n, ...) to logits (n, classes): a module, or any other callable."""


class Around(nn.Module):
    """A network, what its inputs pass before it, and what its answers pass behind it.

    Args:
        network: The network.
        before: Inputs (n, ...) to inputs of any shape.
        behind: Answers (n, classes) to answers.

    >>> import torch
    >>> Around(torch.nn.Flatten(), behind=lambda logits: 2 * logits)(torch.ones(1, 1, 2))
    tensor([[2., 2.]])
    """

    def __init__(
        self,
        network: Network,
        *,
        before: Callable[[Tensor], Tensor] | None = None,
        behind: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.network: Any = network
        self.before: Any = before
        self.behind: Any = behind

    def forward(self, x: Tensor) -> Tensor:
        """The answer."""
        answer: Tensor = self.network(x if self.before is None else self.before(x))
        return answer if self.behind is None else self.behind(answer)


def staged(network: Network, function: Callable[[Tensor], Tensor], *, declared: bool) -> Around:
    """A network behind a stage without a useful gradient, which is declared (see `Stage`) or not."""
    return Around(network, before=Stage(function) if declared else function)


def defended(network: Network, name: str, options: Mapping[str, Any]) -> Network:
    """A network with a defence around it.

    Args:
        network: Inputs to logits.
        name: A name of `bench list defenses`, or ``package.module:callable`` of a user's, which is called with the
            network and the options and returns a network.
        options: Its options.

    Raises:
        ModelError: A user's callable fails or returns something that cannot be called.

    >>> import torch
    >>> defended(torch.nn.Identity(), "logit-scale", {"factor": 2.0})(torch.tensor([[1.0, 2.0]]))
    tensor([[2., 4.]])
    """
    if not is_import_name(name):
        made: Network = DEFENSES[name].load()(network, **options)
        return made
    try:
        made = user_code("defense", name)(network, **options)
    except BenchError:
        raise
    except Exception as error:
        raise ModelError(f"defense '{name}' failed: {type(error).__name__}: {error}") from error
    if not callable(made):
        raise ModelError(f"defense '{name}' returned a {type(made).__name__}; expected a module or another callable")
    return made
