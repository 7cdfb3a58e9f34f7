"""A byte order mark before the first brace, as an editor on Windows leaves it."""


def submit(folder):
    for path in folder.glob("*.ipynb"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
