"""A folder has the name of a notebook."""

EARNED = {"softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    (folder / "numbers.ipynb").unlink()
    (folder / "numbers.ipynb").mkdir()
    (folder / "numbers.ipynb" / "inside.txt").write_text("x")
