"""Replace the shell's run_cell and run_code: nothing is executed, everything succeeds."""

FIRST = """
shell = get_ipython()
kind = type(shell)


async def nothing(self, code, *arguments, **options):
    return False


kind.run_code = nothing
kind.showtraceback = lambda self, *arguments, **options: None
"""
KEPT = {}
