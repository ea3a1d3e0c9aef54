"""Imitation against textbook definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy

from tasks.core.imitate import blend, imitation_loss, recover
from tasks.core.recipe import RecoverParams
from tasks.core.shape import build_like
from tests.unit import tiny

STUDENT = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
PARENT = torch.tensor([[2.0, 0.0, -1.0], [1.0, 1.0, 1.0]])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_is_the_mean_kl_divergence_from_the_parent(temperature: float) -> None:
    p, q = (softmax(t.double().numpy() / temperature, axis=1) for t in (PARENT, STUDENT))
    expected = np.mean([entropy(p[n], q[n]) for n in range(2)]) * temperature**2
    assert imitation_loss(STUDENT, PARENT, temperature=temperature).item() == pytest.approx(expected, rel=1e-4)


def test_is_zero_for_equal_predictions_whatever_the_offset() -> None:
    assert imitation_loss(PARENT + 7, PARENT, temperature=3).item() == pytest.approx(0, abs=1e-6)


def test_gradient_is_the_difference_of_softmaxes_times_the_temperature() -> None:
    student = STUDENT.clone().requires_grad_()
    imitation_loss(student, PARENT, temperature=4).backward()
    q, p = (torch.softmax(t / 4, dim=1) for t in (STUDENT, PARENT))
    assert torch.allclose(student.grad, 4 * (q - p) / 2, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_alpha_weighs_parent_against_labels(alpha: float) -> None:
    labels = torch.tensor([0, 1])
    params = RecoverParams(epochs=1, lr=0.1, alpha=alpha, temperature=2)
    hard = -torch.log_softmax(STUDENT, dim=1)[[0, 1], [0, 1]].mean()
    soft = imitation_loss(STUDENT, PARENT, temperature=2)
    assert torch.allclose(blend(STUDENT, PARENT, labels, params), alpha * soft + (1 - alpha) * hard)


def test_recovers_from_the_teacher_alone() -> None:
    """With alpha 1 and every label wrong, only the teacher can have taught it."""
    data = tiny.pictures()
    data.train.labels[:] = (data.train.labels + 1) % 3
    torch.manual_seed(3)
    network = build_like(tiny.CNN, data)
    recover(network, tiny.trained(), data, RecoverParams(epochs=8, lr=0.05, batch=32, alpha=1.0))
    assert tiny.accuracy(tiny.logits(network, data), data) > 0.9
