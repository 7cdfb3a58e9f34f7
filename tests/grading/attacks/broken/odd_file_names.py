"""Files with spaces, Chinese characters, a leading dash, a newline and a very long name."""

FILES = {
    "my notes.txt": "x",
    "作业 一.txt": "x",
    "-rf": "x",
    "line\nbreak.txt": "x",
    "n" * 200 + ".txt": "x",
    "deep/er/and/deeper/file.txt": "x",
}
