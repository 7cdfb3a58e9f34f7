"""A folder without a notebook."""

EARNED = {}


def submit(folder):
    for path in folder.glob("*"):
        path.unlink()
    (folder / "readme.txt").write_text("It is on my other computer.")
