"""What the tools are given: a network, images, a ball; and how what they return is judged, all by the same code."""

from __future__ import annotations

from dataclasses import dataclass, replace

import safetensors.torch
import torch
import torchvision
from torch import Tensor, nn

from bench.attacks.threat import Norm, Threat
from bench.attacks.verify import verify
from bench.data import load_named
from bench.errors import ModelError
from bench.models import classifiers, zoo


@dataclass(frozen=True)
class Problem:
    """One network and the images and the ball it is attacked in."""

    name: str
    model: nn.Module
    x: Tensor
    y: Tensor
    norm: Norm
    epsilon: float

    def at(self, epsilon: float) -> Problem:
        return replace(self, epsilon=epsilon)

    def broken(self, examples: Tensor) -> Tensor:
        """Which images are misclassified, before the attack or by an example inside ball and box; shape (n,)."""
        threat = Threat(self.norm, self.epsilon)
        before = verify(self.model, self.x, self.y, self.x, threat=threat).reached
        return before | verify(self.model, self.x, self.y, examples, threat=threat).reached

    def robust_accuracy(self, examples: Tensor) -> float:
        return 1 - float(self.broken(examples).double().mean())

    def median_distance(self, examples: Tensor) -> float:
        """Median l2 length of the perturbations: 0 where the image was misclassified before, infinite on failure."""
        whole = Threat("l2", float("inf"))
        before = verify(self.model, self.x, self.y, self.x, threat=whole)
        after = verify(self.model, self.x, self.y, examples, threat=whole)
        distance = torch.where(after.reached, after.distance, torch.inf).masked_fill(before.reached, 0.0)
        return float(distance.double().quantile(0.5))


def from_zoo(name: str, images: int, epsilon: float, norm: Norm = "linf") -> Problem:
    """A network of the zoo and the first images of MNIST's test set.

    Raises:
        ModelError: The zoo has no such network.
    """
    file = next((entry["file"] for entry in zoo.index().values() if entry["model"] == name), None)
    if file is None:
        raise ModelError(f"the zoo has no '{name}' yet")
    weights = safetensors.torch.load_file(zoo.FOLDER / file)
    filters = [tensor for tensor in weights.values() if tensor.ndim == 4]
    if filters:
        model = classifiers.cnn_small(shape=(1, 28, 28), classes=10, width=len(filters[0]))
    else:
        hidden = [len(tensor) for key, tensor in weights.items() if tensor.ndim == 2 and key.startswith("trunk")]
        model = classifiers.mlp(shape=(1, 28, 28), classes=10, hidden=hidden)
    model.load_state_dict(weights)
    samples = load_named("mnist", split="test", take=images)
    x, y = torch.from_numpy(samples.inputs()), torch.from_numpy(samples.y)
    return Problem(name, model.eval().requires_grad_(False), x, y, norm, epsilon)


def unbreakable(images: int) -> Problem:
    """A larger network (ResNet-18, random weights, 3x32x32) and a ball too small for any image to be broken.

    So every pass that AutoAttack may need on an image is needed on each.
    """
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=10).eval().requires_grad_(False)
    candidates = torch.rand(16 * images, 3, 32, 32)
    with torch.inference_mode():
        logits = model(candidates)
    gap = logits.topk(2).values.diff(dim=1).abs().squeeze(1)
    chosen = gap.argsort(descending=True)[:images]
    return Problem("resnet-18", model, candidates[chosen].clone(), logits.argmax(1)[chosen].clone(), "linf", 1e-6)
