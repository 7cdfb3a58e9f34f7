"""A helper class, a base class of one's own, a decorator and a dataclass."""

ANSWERS = {
    "scale": """
from dataclasses import dataclass
from functools import wraps


@dataclass
class Options:
    width: int


def logged(function):
    @wraps(function)
    def inner(*arguments):
        return function(*arguments)

    return inner


class Base(nn.Module):
    def __init__(self, options):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(options.width))


class Scale(Base):
    def __init__(self, width):
        super().__init__(Options(width))

    @logged
    def forward(self, values):
        return values * self.factor
"""
}
