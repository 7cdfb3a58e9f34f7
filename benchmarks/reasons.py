"""Why a bar is missed, where the reason is known: shown on the page beside the bars missed."""

WHY = {
    "fp32, full: best peer": (
        "Tiny models spend their time in calls; torch.nn's inference path makes one call in C++ "
        "for a whole layer."
    ),
    "bf16, full, training": (
        "At the base size three quarters of the time are matrix products (torch's profiler), "
        "which are the same calls for everyone; what we save is in attention."
    ),
    "fill 0.5, forward: nested fast path": (
        "torch's nested path packs the linear maps too, and float32 products take most of the "
        "time; what is left to save is padding in attention, which is less the wider the model."
    ),
    "fill 0.5, training: best peer": (
        "At D=64 a call costs as much as the tokens it saves, so the packed groups are coarse, "
        "and in bfloat16 nothing is packed."
    ),
}


def reasons(missed: list[str]) -> list[str]:
    """Lines that explain the missed bars, each once, in the order in which they came."""
    known = [bar for bar in dict.fromkeys(missed) if bar in WHY]
    return ["Why bars are missed:", "", *(f"- *{bar}*: {WHY[bar]}" for bar in known), ""] * bool(
        known
    )
