"""Known bugs of tutorials, by the number of their erratum: encoderlib has none of them.

Each check runs twice: on encoderlib, where it must pass, and on the bug, where it must fail;
otherwise the check would prove nothing. The checks stand in `test_known_bugs_positions` (positions
and names), `test_known_bugs` (masks, attention, heads) and `test_known_bugs_models` (layers,
classifiers, training, labels), which also looks whether a number is missing.
"""

import pytest
import torch

NUMBERS = []  # of the errata that have a test, in all three files


def known_bug(number, ours, bug, error=AssertionError):
    """Make a test of ``check``: passes on ``ours``, raises ``error`` on ``bug``."""

    def decorate(check):
        NUMBERS.append(number)

        @pytest.mark.parametrize("version", ["encoderlib", "bug"], ids=lambda v: f"{number}-{v}")
        def test(version):
            if version == "encoderlib":
                check(ours)
            else:
                with pytest.raises(error):
                    check(bug)

        test.__doc__ = check.__doc__
        return test

    return decorate


def close(actual, expected, tolerance=1e-5):
    """Equal but for rounding."""
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=tolerance)
