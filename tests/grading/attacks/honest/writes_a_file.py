"""Writes a temporary file and reads it back, in the work folder and by tempfile."""

ANSWERS = {
    "mean_of": """
import json
import tempfile


def mean_of(numbers):
    if not numbers:
        raise ValueError("empty")
    with open("numbers.json", "w") as file:
        json.dump(numbers, file)
    with tempfile.TemporaryFile("w+") as file:
        file.write("kept")
    with open("numbers.json") as file:
        return sum(json.load(file)) / len(numbers)
"""
}
