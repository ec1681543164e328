# SPDX-License-Identifier: Apache-2.0
"""Exceptions. All derive from Error, except that running out of memory raises MemoryError."""


class Error(Exception):
    """Base class.

    For input that was decoded, `offset` (bytes), `line` and `column` (from 1; 0: not known) give the place.
    """

    def __init__(self, message="", *, offset=0, line=0, column=0):
        super().__init__(message)
        self.offset, self.line, self.column = offset, line, column


class DecodeError(Error, ValueError):
    """The bytes are malformed, end too early or continue after the end, or objects are nested too deeply."""


class ArgumentError(Error, ValueError):
    """An argument is out of range."""


class WrongTypeError(Error, TypeError):
    """A required value is of the wrong type."""


class UnknownNameError(Error, LookupError):
    """A connector, flow, key or class of failure is unknown."""


class UnknownConnectorError(UnknownNameError):
    """A connector is unknown."""


class NoStatsError(Error):
    """The connector does not report stats."""


class UnknownEngineError(Error, KeyError):
    """An engine is not in per_engine_labelvalues."""

    __str__ = Exception.__str__


class LimitError(Error):
    """A limit was reached."""


class SummarisedError(Error):
    """The samples were summarised, so the list of samples that the call needs does not exist any more."""


class MismatchError(Error):
    """Objects belong to different connectors, or have different definitions."""


class StoreError(Error, OSError):
    """Input or output failed, or a file is not a store of this version."""


class BusyError(Error):
    """The object or file is in use by another process or another call."""


BY_STATUS = {
    1: UnknownConnectorError,
    -2: ArgumentError,
    -3: DecodeError,
    -4: DecodeError,
    -5: DecodeError,
    -6: DecodeError,
    -7: WrongTypeError,
    -8: UnknownNameError,
    -9: NoStatsError,
    -10: UnknownEngineError,
    -11: LimitError,
    -12: SummarisedError,
    -13: MismatchError,
    -14: StoreError,
    -15: StoreError,
    -16: BusyError,
}
