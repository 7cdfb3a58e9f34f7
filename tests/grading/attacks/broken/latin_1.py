"""A notebook that was saved in Latin-1, with an umlaut in a comment."""

ANSWERS = {"answer": "# größer\nanswer = 16\n"}
KEPT = {"softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    path = folder / "numbers.ipynb"
    text = path.read_text(encoding="utf-8").replace("\\u00f6", "ö").replace("\\u00df", "ß")
    path.write_bytes(text.encode("latin-1"))
