"""A notebook in UTF-16."""

KEPT = {"softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    path = folder / "numbers.ipynb"
    path.write_bytes(path.read_text(encoding="utf-8").encode("utf-16"))
