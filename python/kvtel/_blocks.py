# SPDX-License-Identifier: Apache-2.0
"""What metrics measure of a block of code or of each call of a function: context managers and decorators."""

import functools
import timeit


def _decorated(self, function):
    @functools.wraps(function)
    def wrapped(*arguments, **options):
        with self._again():
            return function(*arguments, **options)

    return wrapped


class Timer:
    """Times a block, or each call of a function, and passes the seconds on. A context manager and a decorator."""

    def __init__(self, metric, method):
        self._metric, self._method = metric, method
        self.duration = None

    def _again(self):
        return Timer(self._metric, self._method)

    def labels(self, *labelvalues, **labelkwargs):
        self._metric = self._metric.labels(*labelvalues, **labelkwargs)

    def __enter__(self):
        self._began = timeit.default_timer()
        return self

    def __exit__(self, kind, error, traceback):
        self.duration = max(timeit.default_timer() - self._began, 0)
        getattr(self._metric, self._method)(self.duration)

    __call__ = _decorated


class ExceptionCounter:
    """Counts exceptions of a block or a function."""

    def __init__(self, counter, exception):
        self._counter, self._exception = counter, exception

    def _again(self):
        return self

    def __enter__(self):
        pass

    def __exit__(self, kind, error, traceback):
        if isinstance(error, self._exception):
            self._counter.inc()
        return False

    __call__ = _decorated


class InprogressTracker:
    """Counts up at the begin of a block or function, and down at its end."""

    def __init__(self, gauge):
        self._gauge = gauge

    def _again(self):
        return self

    def __enter__(self):
        self._gauge.inc()

    def __exit__(self, kind, error, traceback):
        self._gauge.dec()

    __call__ = _decorated
