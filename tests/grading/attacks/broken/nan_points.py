"""Points that are NaN, infinite and negative in the metadata, written as JavaScript would."""

import re


def submit(folder):
    path = folder / "numbers.ipynb"
    values = iter(("NaN", "Infinity", "-5"))
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'"points": \d', lambda match: '"points": ' + next(values), text))
