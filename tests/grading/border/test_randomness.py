"""The global random generators on both sides."""

import random

import numpy as np
import torch

SOURCE = """
    import random
    import numpy as np
    import torch

    def draw(kind):
        if kind == "python":
            return random.random()
        if kind == "numpy":
            return float(np.random.random())
        if kind == "torch":
            return torch.rand(1).item()

    def seed(n):
        random.seed(n), np.random.seed(n), torch.manual_seed(n)
"""
HERE = {
    "python": random.random,
    "numpy": lambda: float(np.random.random()),
    "torch": lambda: torch.rand(1).item(),
}


def seed_all(n):
    random.seed(n)
    np.random.seed(n)
    torch.manual_seed(n)


def test_a_seed_set_here_holds_there(student):
    s = student(SOURCE, "draw seed")
    draw = s.namespace["draw"]
    for kind, here in HERE.items():
        for n in (0, 5):
            seed_all(n)
            expected = here()
            seed_all(n)
            assert draw(kind) == expected
            assert draw(kind) != expected
            seed_all(n)
            assert draw(kind) == expected


def test_a_call_that_draws_nothing_moves_nothing(student):
    s = student(SOURCE, "draw seed")
    for here in HERE.values():
        seed_all(1)
        expected = here(), here()
        seed_all(1)
        first = here()
        s.namespace["draw"]("nothing")
        assert (first, here()) == expected


def test_a_student_cannot_choose_what_is_drawn_here(student):
    s = student(SOURCE, "draw seed")
    for here in HERE.values():
        drawn = []
        for n in (1, 2, 3):
            seed_all(7)
            s.namespace["seed"](n)
            drawn.append(here())
        assert len(set(drawn)) == 1
        seed_all(1)
        assert here() != drawn[0]
