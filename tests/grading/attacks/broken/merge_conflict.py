"""Conflict markers of git in the file."""

EARNED = {"softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    path = folder / "numbers.ipynb"
    lines = path.read_text(encoding="utf-8").split("\n")
    path.write_text("\n".join([*lines[:9], "<<<<<<< HEAD", *lines[9:], ">>>>>>> mine"]))
