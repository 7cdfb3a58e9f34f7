"""Null bytes, lone surrogates and control characters in an answer."""

EARNED = {"mean_of": 2, "answer": 1, "softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    path = folder / "numbers.ipynb"
    text = path.read_text(encoding="utf-8")
    assert "def double" in text
    path.write_text(text.replace("def double", "\\u0000\\ud800\\u001b def double", 1))
