"""A notebook in the format of 2013; its cells can be converted, so its points count."""

import nbformat

KEPT = {"softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    path = folder / "numbers.ipynb"
    old = nbformat.convert(nbformat.read(path, as_version=4), 3)
    path.write_text(nbformat.v3.writes_json(old))
