"""Exit codes: one for each class of error, so that a script can tell them apart."""

from chatstore import errors

OK = 0
PROBLEMS = 1
USAGE = 2
NO_STORE = 3
SYSTEM = 71
BUG = 70
INTERRUPTED = 130
BROKEN_PIPE = 141

MISSING_PACKAGE = 5

OF_ERRORS: dict[type[Exception], int] = {
    errors.KeyNotFoundError: 4,
    errors.InvalidKeyError: 10,
    errors.InvalidMessageError: 11,
    errors.DuplicateMessageError: 12,
    errors.ConflictError: 13,
    errors.TransferError: 14,
    errors.StoreBusyError: 20,
    errors.StoreFullError: 21,
    errors.StoreReadOnlyError: 22,
    errors.StoreCorruptError: 23,
    errors.StoreUnavailableError: 24,
    errors.StoreClosedError: 25,
    errors.SchemaOutdatedError: 30,
    errors.SchemaTooNewError: 31,
    errors.ChatStoreError: 40,
    ImportError: MISSING_PACKAGE,
    ValueError: USAGE,
    OSError: SYSTEM,
}
"""The first that an error is an instance of."""


class CommandError(Exception):
    """A command cannot do what it was asked to; the text says the remedy.

    Args:
        text: What the user reads behind `chatstore: error:`.
        code: The exit code.
    """

    def __init__(self, text: str, code: int = USAGE) -> None:
        super().__init__(text)
        self.code = code


def code_of(error: Exception) -> int:
    """The exit code of an error; `BUG` if nobody foresaw it."""
    if isinstance(error, CommandError):
        return error.code
    found = (code for kind, code in OF_ERRORS.items() if isinstance(error, kind))
    return next(found, BUG)
