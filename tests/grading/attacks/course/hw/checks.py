"""Visible checks of the assignment; students get this file."""

import torch


def check_softmax(softmax):
    """Each row of the result sums to one."""
    rows = softmax(torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]))
    total = rows.sum(-1)
    assert torch.allclose(total, torch.ones(2)), f"each row must sum to 1, got {total}"


def check_join(join):
    """Join two short vectors."""
    got = join(torch.tensor([1.0, 2.0]), torch.tensor([3.0]))
    expected = torch.cat([torch.tensor([1.0, 2.0]), torch.tensor([3.0])])
    assert torch.equal(got, expected), f"expected {expected}, got {got}"
