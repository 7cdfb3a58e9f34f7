"""Plots with matplotlib, inline."""

ANSWERS = {
    "double": """
import matplotlib.pyplot as plt


def double(array):
    return 2 * array


plt.plot([1, 2, 3], double(np.array([1.0, 2.0, 3.0])))
plt.title("twice")
plt.show()
"""
}
