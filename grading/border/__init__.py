"""The border between a trusted examiner and an untrusted student's process.

The examiner E runs the instructor's cells. The student's functions, classes and variables live in
the student's process S; in E stand proxies. Test code works as it is written, with these rules.

**What comes from S.** Plain data arrive as fresh objects: None, bool, int, float, complex, str,
bytes, the containers of Python, named tuples, range, slice, Decimal, Fraction, dates, paths,
regular expressions, numpy arrays and scalars (no object arrays), torch tensors, dtypes, devices
and sizes. An instance of a subclass arrives as its plain base: a student's ``Stack(list)`` is a
list here and has no ``push``. Numbers, depth, entries and bytes are limited. Everything else
arrives as a proxy: functions, classes, generators, objects. No pickle ever comes from S.

**Variables.** Before each test cell the names that the source says are the student's are fetched.
A name that the test binds anew or deletes changes in S as well. A list that is changed in place
does not: it is a copy. A variable that a call changes is seen after the next fetch.

**Arguments.** The same data, and proxies, which go back as what they stand for. Functions and
classes of libraries go by name. Modules, optimisers and other objects made only of library
classes go as a copy that S keeps; its tensors stay in step with E's, its other attributes only
from E to S. Functions and objects of the test's own stay in E: S gets a number and asks back.
Neither their source nor their names nor what they raise is told. If the student's code lets such
an exception through, the test sees the original. What a call does to a list, dictionary, set,
array, tensor or generator that it was given is done to E's own object, and a result that is one
of the arguments is that very object. Two arguments that share memory are two copies.

**Forbidden names** of the assignment are forbidden to what the test hands over as well: a test that
passes ``nn.MultiheadAttention`` to a function of the student's, in an assignment that forbids it,
sees the refusal.

**Comparisons.** ``==``, ``!=``, ``<`` and so on between a student's object and anything of the
test's are refused with a TypeError and never sent: the expected value would be told, and an
object that equals everything would be right. Between two objects of the student's, they are
computed in S if the class of the left one is a name of the assignment. Such a class can be used
in full: indexing, ``len``, ``in``, iteration, calls, attributes, ``with``, arithmetic. Arithmetic
and ``in`` with the test's own data need an object that the test has made (``Vector(1, 2) + 3``,
not ``answer() + 3``), and must give an object of the student's, not a number. A difference or
quotient of the two cannot be turned into a number or a bool. ``bool`` of an object whose class is
no name of the assignment is refused if the class defines it. Compare plain data instead, such as
``list(answer())``.

**Exceptions** of built-in and library classes arrive as such, the student's own as mirrored
classes. ``str``, ``args`` (scalars only) and public attributes are kept; ``student_traceback``
holds the student's own lines and tells them from the test's exceptions. What would end a loop or
a program (StopIteration, SystemExit, KeyboardInterrupt) arrives as RuntimeError. A student's
context manager cannot swallow a failed assertion or comparison.

**Gradients** cross: ``backward`` and ``torch.autograd.grad`` work through student's functions,
methods and modules and through functions that the test passes, also several times with
``retain_graph``. Second derivatives (``create_graph=True``) are refused. The student's own leaf
tensors, bound by name, get their ``grad`` here. Grad mode, inference mode, autocast on the CPU and
the default dtype of E hold in S.

**Modules** of the student's are real modules here, with real parameters and buffers under the same
names; optimisers, ``state_dict``, ``train``, ``apply``, ``to`` work, and changes go both ways with
each call. torch's own methods run here, ``forward`` and all that the student has written run in S.
Forward hooks of the test fire on the module that the test calls, not on the ones inside. A
student's class cannot be derived from.

**Random numbers.** The state of ``random``, ``numpy.random`` and torch in E holds in S during a
call. If the call draws, E's generators move on by one draw, whatever S says.

**Async** functions run in S from beginning to end when they are awaited.

**Loss.** After a time-out, a crash or a message that is none, StudentLost is raised, at once for
every further call, and ``Border.broken`` says why.
"""

from grading.border import builtin, plain  # noqa: F401  their types are learnt on import
from grading.border.border import Border
from grading.border.channel import Channel
from grading.border.errors import (
    BorderError,
    Closed,
    Malformed,
    NotPlain,
    StudentLost,
    TimedOut,
    TooLarge,
)
from grading.border.servant import Servant

__all__ = [
    "Border",
    "BorderError",
    "Channel",
    "Closed",
    "Malformed",
    "NotPlain",
    "Servant",
    "StudentLost",
    "TimedOut",
    "TooLarge",
]
