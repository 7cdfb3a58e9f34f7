"""One way to seed every generator of this folder."""

import torch

__all__ = ["as_generator"]


def as_generator(seed: int | torch.Generator) -> torch.Generator:
    """A whole number to a new CPU generator; a generator goes through as it is.

    The same number gives the same data each time. A generator moves on with each draw, so two
    calls that share one give different data.

    Raises:
        ValueError: if the generator is not on the CPU: the data would depend on the device.

    scikit-learn's ``check_random_state`` does this for NumPy; None is not taken here, because
    data without a seed cannot be made again.
    """
    if not isinstance(seed, torch.Generator):
        return torch.Generator().manual_seed(seed)
    if seed.device.type != "cpu":
        raise ValueError(
            f"the generator is on {seed.device}, expected one on the CPU; give a whole number, or "
            "torch.Generator() and move the data to the device afterwards"
        )
    return seed
