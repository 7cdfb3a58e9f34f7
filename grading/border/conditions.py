"""The settings of torch that hold during a call: grad mode, default dtype, autocast."""

import contextlib
import sys
from collections.abc import Iterator


def current() -> list | None:
    """The settings of this process; None without torch."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    autocast = torch.is_autocast_enabled("cpu")
    return [
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        str(torch.get_default_dtype()).removeprefix("torch."),
        str(torch.get_autocast_dtype("cpu")).removeprefix("torch.") if autocast else "",
    ]


USUAL = [True, False, "float32", ""]


@contextlib.contextmanager
def applied(settings: list) -> Iterator[None]:
    """Let the settings hold; for S."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    grad, inference, dtype, autocast = settings
    before = torch.get_default_dtype()
    with contextlib.ExitStack() as stack:
        torch.set_default_dtype(getattr(torch, dtype))
        stack.callback(torch.set_default_dtype, before)
        if inference:
            stack.enter_context(torch.inference_mode())
        if torch.is_grad_enabled() != grad:
            stack.enter_context(torch.set_grad_enabled(grad))
        if autocast:
            stack.enter_context(torch.autocast("cpu", getattr(torch, autocast)))
        yield
