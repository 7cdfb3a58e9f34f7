"""Warns in every call; stock nbgrader takes anything on stderr in a test cell for an error."""

ANSWERS = {
    "double": """
import warnings


def double(array):
    warnings.warn("this is slow")
    return 2 * array
"""
}
