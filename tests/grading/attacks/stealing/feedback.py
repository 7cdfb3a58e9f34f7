"""Put what is found into the own feedback: as print, picture text, error and warning."""

FIRST = """{{TELL}}
import glob
import warnings

for _path in glob.glob("{{VICTIM}}/source/*/*.ipynb"):
    try:
        with open(_path) as _file:
            _found = tell(_file.read())
        warnings.warn(" ".join(_found))
        from IPython.display import HTML, display

        display(HTML("<b>" + " ".join(_found) + "</b>"))
    except OSError:
        pass
"""
