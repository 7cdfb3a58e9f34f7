"""What can go wrong at the border."""


class BorderError(Exception):
    """No further message can be trusted or sent."""


class Closed(BorderError):
    """The other side died or closed its end."""


class TimedOut(BorderError):
    """The other side did not answer in time."""


class TooLarge(BorderError):
    """A message is over the limit."""


class Malformed(BorderError):
    """A message is not what the protocol allows."""


class StudentLost(Exception):
    """The student's process cannot answer any more: it hung, died or broke the protocol."""


class Refused(TypeError):
    """An operation on a student's object would prove nothing, so S is not asked."""


class NotPlain(TypeError):
    """A value cannot cross the border."""
