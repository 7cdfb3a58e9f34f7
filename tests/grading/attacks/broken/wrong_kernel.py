"""The notebook asks for a kernel of another name, and of another language."""

from tests.grading.attacks.classroom import edit


def submit(folder):
    for path in folder.glob("*.ipynb"):
        edit(path, change)


def change(notebook, cells):
    notebook.metadata["kernelspec"] = {
        "name": "conda-env-mine-py",
        "display_name": "Mine",
        "language": "R",
    }
