# SPDX-License-Identifier: Apache-2.0
"""Exceptions. All derive from Error; memory that runs out is a MemoryError."""


class Error(Exception):
    """Base. `offset` (bytes), `line` and `column` (from 1; 0 where there are none) say where, in what was decoded."""

    def __init__(self, message="", *, offset=0, line=0, column=0):
        super().__init__(message)
        self.offset, self.line, self.column = offset, line, column


class DecodeError(Error, ValueError):
    """Bytes that are malformed, end too early or go on after the end, or objects nested too deeply."""


class ArgumentError(Error, ValueError):
    """An argument out of range."""


class WrongTypeError(Error, TypeError):
    """A value of the wrong type where nothing else will do."""


class UnknownNameError(Error, LookupError):
    """A connector, flow, key or class of failure that nobody knows."""


class UnknownConnectorError(UnknownNameError):
    """A connector that nobody knows."""


class NoStatsError(Error):
    """The connector has no stats."""


class UnknownEngineError(Error, KeyError):
    """An engine that per_engine_labelvalues does not have."""

    __str__ = Exception.__str__


class LimitError(Error):
    """A limit was reached."""


class SummarisedError(Error):
    """Samples were summarised; the list that this needs is gone."""


class MismatchError(Error):
    """Objects of different connectors or definitions."""


class StoreError(Error, OSError):
    """Input or output failed, or a file is no store of this version."""


class BusyError(Error):
    """In use by another process or another call."""


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
