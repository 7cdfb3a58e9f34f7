"""A notebook of 200 MB, nearly all of it in one output."""

KEPT = {"softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    path = folder / "numbers.ipynb"
    text = path.read_text(encoding="utf-8")
    filler = '"metadata": {\n  "filler": "%s",' % ("x" * 200_000_000)
    head, middle, tail = text.rpartition('"metadata": {')
    path.write_text(head + filler + tail if middle else text, encoding="utf-8")
