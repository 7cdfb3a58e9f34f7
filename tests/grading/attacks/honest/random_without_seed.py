"""Draws random numbers without a seed, and seeds the generators for itself."""

ANSWERS = {
    "double": """
noise = np.random.normal(size=3)
np.random.seed(1)


def double(array):
    np.random.seed(2)
    return 2 * array + 0 * np.random.normal(size=array.shape)
""",
    "softmax": """
def softmax(scores):
    torch.manual_seed(5)
    powers = (scores - scores.amax(-1, keepdim=True)).exp()
    return powers / powers.sum(-1, keepdim=True) + 0 * torch.rand(())
""",
}
