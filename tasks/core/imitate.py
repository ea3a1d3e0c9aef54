"""Learning from another network's soft predictions.

Hinton, Vinyals & Dean, *Distilling the Knowledge in a Neural Network*, 2015 (arXiv:1503.02531).
Shapes: N = batch, C = classes.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from tasks.core.committee import Combine, soft_targets
from tasks.core.contract import Data, Facts, Network
from tasks.core.device import best_device, place
from tasks.core.fit import Batch, Loss, fit
from tasks.core.recipe import RecoverParams


def imitation_loss(student_NC: Tensor, parent_NC: Tensor, *, temperature: float) -> Tensor:
    """KL(parent || student) at `temperature`, in nats a row; zero when they agree.

    Scaled by temperature**2, so that its gradient keeps its size as the temperature grows (paper, section 2).

    Args:
        student_NC: raw student logits.
        parent_NC: raw parent logits, no gradient.
        temperature: above 0; 1 is the plain softmax.
    """
    student = nn.functional.log_softmax(student_NC.float() / temperature, dim=1)
    parent = nn.functional.log_softmax(parent_NC.float() / temperature, dim=1)
    return nn.functional.kl_div(student, parent, reduction="batchmean", log_target=True) * temperature**2


def frozen(network: Network) -> nn.Module:
    """A copy of the network's module to learn from: in eval mode, without gradients, where training runs."""
    module = copy.deepcopy(network.module).eval().requires_grad_(False)
    place(module, best_device())
    return module


def mixed_loss(teacher: nn.Module, params: RecoverParams, mean: Combine = "probabilities") -> Loss:
    """alpha x imitation of `teacher` + (1 - alpha) x cross-entropy to the labels.

    A teacher of several members is imitated by the mean of their soft predictions (`mean`: tasks.core.committee). The
    mean of the losses towards each would have the same gradient as that towards the arithmetic mean.
    """

    def loss(model: nn.Module, inputs: Batch, labels: Tensor) -> Tensor:
        with torch.no_grad():
            parent_NC = soft_targets(teacher, inputs.values(), params.temperature, mean)
        return blend(model(*inputs.values()), parent_NC, labels, params)

    return loss


def blend(student_NC: Tensor, parent_NC: Tensor, labels_N: Tensor, params: RecoverParams) -> Tensor:
    """The scalar that `mixed_loss` lowers, from logits alone."""
    imitation = imitation_loss(student_NC, parent_NC, temperature=params.temperature)
    hard = nn.functional.cross_entropy(student_NC.float(), labels_N, label_smoothing=params.label_smoothing)
    return params.alpha * imitation + (1 - params.alpha) * hard


def recover(network: Network, teacher: Network, data: Data, params: RecoverParams) -> Facts:
    """Train `network` in place to imitate `teacher`, which is only read; returns the facts of the training."""
    return fit(network.module, data, mixed_loss(frozen(teacher), params), params)
