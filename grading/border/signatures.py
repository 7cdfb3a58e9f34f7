"""Signatures of the student's functions, from what S states."""

import inspect


def build(stated: object) -> inspect.Signature:
    """An ``inspect.Signature``.

    Raises:
        ValueError: S has stated nonsense.
    """
    try:
        parameters, has_return, returned = stated
        empty = inspect.Parameter.empty
        return inspect.Signature(
            [
                inspect.Parameter(
                    name,
                    inspect._ParameterKind(kind),
                    default=default if has_default else empty,
                    annotation=annotation if has_annotation else empty,
                )
                for name, kind, has_default, default, has_annotation, annotation in parameters
            ],
            return_annotation=returned if has_return is True else inspect.Signature.empty,
        )
    except TypeError as error:
        raise ValueError(f"the student's function has no signature: {error}") from None
