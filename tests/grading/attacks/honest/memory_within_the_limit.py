"""Uses 200 MB for a moment, where 512 are allowed."""

ANSWERS = {
    "double": """
def double(array):
    room = np.ones(25_000_000)
    return 2 * array * room[0]
"""
}
