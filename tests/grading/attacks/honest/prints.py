"""Prints while cells run and while tests call."""

ANSWERS = {
    "double": """
def double(array):
    print("doubling", array.shape)
    return 2 * array


print(double(np.ones(2)))
"""
}
