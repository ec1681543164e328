# SPDX-License-Identifier: Apache-2.0
"""Hooks into other packages: each is set when the package is imported, guarded, and set once.

Nothing here imports another package: importing NIXL early changes what vLLM does, and vLLM's scheduler is of no use in a
frontend.
"""

import functools
import importlib.abc
import logging
import sys

_logger = logging.getLogger("kvtel.hooks")
_waiting = {}  # {module: [function]}
_said = set()


def say_once(text, *arguments):
    """Logs a warning, the first time that it is given."""
    message = text % arguments
    if message not in _said:
        _said.add(message)
        _logger.warning("%s", message)


def _run(function, module):
    try:
        function(module)
    except Exception as error:
        say_once("%s is left alone: %s: %s", module.__name__, type(error).__name__, error)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds as the other finders do, and runs the waiting functions behind the module's own code."""

    def find_spec(self, name, path=None, target=None):
        if name not in _waiting:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None) if finder is not self else None
            spec = find(name, path, target) if find else None
            if spec is not None:
                self._extend(spec)
                return spec
        return None

    @staticmethod
    def _extend(spec):
        try:
            exec_module = spec.loader.exec_module

            def exec_and_run(module):
                exec_module(module)
                for function in _waiting.pop(module.__name__, ()):  # a zip file has one loader for all its modules
                    _run(function, module)

            spec.loader.exec_module = exec_and_run
        except Exception as error:
            say_once("%s is left alone: %s: %s", spec.name, type(error).__name__, error)


_finder = _Finder()


def when_imported(name, function):
    """Calls function(module) once the module is imported: now, if it is. What the function raises is said once."""
    module = sys.modules.get(name)
    if module is not None:
        _run(function, module)
        return
    functions = _waiting.setdefault(name, [])
    if function not in functions:
        functions.append(function)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def is_free(owner):
    """Whether a class was not hooked before; marks it."""
    if vars(owner).get("_kvtel_watches"):
        return False
    owner._kvtel_watches = True
    return True


def guarded(function):
    """A function that raises no Exception: what it raises is said once for each kind."""

    @functools.wraps(function)
    def call(*arguments, **options):
        try:
            return function(*arguments, **options)
        except Exception as error:
            try:
                say_once("%s: %s", function.__qualname__, type(error).__name__)
            except Exception:  # at the end of the interpreter
                pass
            return None

    return call
