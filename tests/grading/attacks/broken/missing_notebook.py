"""One of the two notebooks was not handed in."""

EARNED = {"mean_of": 2, "double": 2, "answer": 1}


def submit(folder):
    (folder / "tensors.ipynb").unlink()
