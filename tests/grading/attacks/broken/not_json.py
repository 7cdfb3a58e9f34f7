"""A notebook that is not JSON; the other notebook keeps its points."""

EARNED = {"softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    (folder / "numbers.ipynb").write_text("This is my homework.")
