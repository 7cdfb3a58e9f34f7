"""%matplotlib, %timeit, %%time and %config, as lectures do."""

ANSWERS = {
    "double": """
%matplotlib inline
%config InlineBackend.figure_format = "png"


def double(array):
    return 2 * array


%timeit -n 2 -r 2 double(np.ones(3))
%time twice = double(np.ones(3))
"""
}
