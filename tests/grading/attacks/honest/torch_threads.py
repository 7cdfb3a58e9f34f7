"""Asks for two threads in torch and multiplies matrices large enough to use them."""

ANSWERS = {
    "softmax": """
torch.set_num_threads(2)
product = torch.randn(300, 300) @ torch.randn(300, 300)


def softmax(scores):
    powers = (scores - scores.amax(-1, keepdim=True)).exp()
    torch.randn(300, 300) @ product
    return powers / powers.sum(-1, keepdim=True)
"""
}
