"""A notebook that the browser renamed."""

KEPT = {"mean_of": 2, "double": 2, "answer": 1}


def submit(folder):
    (folder / "tensors.ipynb").rename(folder / "tensors (1).ipynb")
