"""A notebook file without content."""

EARNED = {"softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    (folder / "numbers.ipynb").write_bytes(b"")
