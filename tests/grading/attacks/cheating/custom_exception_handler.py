"""A handler of IPython's that swallows every error."""

FIRST = """
shell = get_ipython()
shell.set_custom_exc((BaseException,), lambda *arguments, **options: [])
shell.showtraceback = lambda *arguments, **options: None
shell._showtraceback = lambda *arguments, **options: None
"""
