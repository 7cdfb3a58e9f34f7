"""A widget; where the library is missing the cell fails with an ImportError of its own."""

ANSWERS = {
    "double": """
def double(array):
    return 2 * array


try:
    import ipywidgets
    from IPython.display import display

    slider = ipywidgets.IntSlider(3)
    display(slider)
except ImportError:
    pass
"""
}
