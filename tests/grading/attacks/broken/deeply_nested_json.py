"""A hundred thousand brackets."""

EARNED = {"softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    (folder / "numbers.ipynb").write_text("[" * 100_000 + "]" * 100_000)
