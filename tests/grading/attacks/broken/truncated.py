"""A notebook that was cut off in the middle of an upload."""

EARNED = {"softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    path = folder / "numbers.ipynb"
    path.write_bytes(path.read_bytes()[:700])
