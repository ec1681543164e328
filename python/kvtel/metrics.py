# SPDX-License-Identifier: Apache-2.0
"""Counter, Gauge and Histogram with prometheus_client's constructors and methods, recorded natively.

Each process records into a store of its own, a file, which `kvtel serve` exports, however the process ends. A child of a
fork makes a store at its first record. Nothing that a store lacks (room, memory, a directory) is raised to the program: it
is counted, and logged once by the logger "kvtel.metrics".
"""

import logging
import os
import threading
import time
import types
import weakref

from . import _kvtel
from ._blocks import ExceptionCounter, InprogressTracker, Timer
from ._errors import ArgumentError, MismatchError
from ._names import SUFFIXES, checked_labelnames, full_name, unit_of
from ._samples import samples_of

_logger = logging.getLogger("kvtel.metrics")

_INF = float("inf")
_TYPES = {"counter": 0, "gauge": 1, "histogram": 2}  # enum kvtel_metric_type
_AGAIN_SECONDS = 1.0  # after a store could not be made


def _open_store():
    return _kvtel.Store.open(connector="metrics")


class Registry:
    """The metrics of a program, by name, and the store of this process that they are recorded into.

    open_store: called once in each process; without it the store is a file where `kvtel serve` finds it. pid_label: whether
    gauges that are not "mostrecent" have the label pid.
    """

    def __init__(self, open_store=_open_store, pid_label=True):
        self.errors = {}
        self.pid_label = pid_label
        self._open_store = open_store
        self._lock = threading.RLock()
        self._collectors = {}
        self._names = {}
        self._pid, self._store, self._again = None, None, 0.0
        _registries.add(self)

    @property
    def store(self):
        """The store of this process, which is made at the first use; None while none can be made."""
        pid = os.getpid()
        if self._pid == pid and (self._store or time.monotonic() < self._again):
            return self._store
        with self._lock:
            if self._pid == pid and self._store:
                return self._store
            self._pid, self._store = pid, None
            try:
                self._store = self._open_store()
                for warning in self._store.warnings:
                    _logger.warning("%s", warning)
            except Exception as error:
                self._again = time.monotonic() + _AGAIN_SECONDS
                self.failed(error)
            return self._store

    def failed(self, error):
        """Counts an exception by its name. Each is logged once."""
        name = type(error).__name__
        self.errors[name] = self.errors.get(name, 0) + 1
        if self.errors[name] == 1:
            _logger.warning("Metrics are not recorded (said once for each kind of error): %s: %s", name, error)

    def register(self, collector):
        """Adds a metric. Raises ValueError if one of its samples has the name of another's."""
        names = _names_of(collector)
        with self._lock:
            duplicates = set(self._names).intersection(names)
            if duplicates:
                raise ValueError(f"Duplicated timeseries in CollectorRegistry: {duplicates}")
            self._names.update(dict.fromkeys(names, collector))
            self._collectors[collector] = names

    def unregister(self, collector):
        """Removes a metric and its series. Raises KeyError if it is not here."""
        with self._lock:
            for name in self._collectors.pop(collector):
                del self._names[name]
        if isinstance(collector, _Metric):
            collector.clear()
            collector._forget()

    def collect(self):
        """Yields what this process counted, as prometheus_client's metrics. Needs prometheus_client."""
        with self._lock:
            collectors = list(self._collectors)
        for collector in collectors:
            yield from collector.collect()

    def get_sample_value(self, name, labels=None):
        """Returns what this process counted of a sample, or None: for tests."""
        for sample, labelset, value in samples_of(self.store.collect() if self.store else []):
            if sample == name and labelset == (labels or {}):
                return value
        return None

    def _after_fork(self):
        self._lock = threading.RLock()  # a thread of the parent may have held it


_registries = weakref.WeakSet()


def _reset_locks():
    for registry in _registries:
        registry._after_fork()
    for metric in _parents:
        metric._lock = threading.RLock()


os.register_at_fork(after_in_child=_reset_locks)

REGISTRY = Registry()


def _names_of(collector):
    if isinstance(collector, _Metric):  # without describe(), which imports prometheus_client
        return [collector._name + suffix for suffix in SUFFIXES[collector._type]]
    described = getattr(collector, "describe", tuple)()
    return [metric.name + suffix for metric in described for suffix in SUFFIXES.get(metric.type, ("",))]


_parents = weakref.WeakSet()


class _Metric:
    """A metric without labels, a labelled metric, or a child of one."""

    _type = ""
    _recording = ()  # names of methods
    _reserved_labelnames = ()
    _bounds = None
    _has_pid = False

    def __init__(
        self, name, documentation, labelnames=(), namespace="", subsystem="", unit="", registry=REGISTRY, _labelvalues=None
    ):
        self._name = full_name(self._type, name, namespace, subsystem, unit)
        self._documentation = str(documentation)
        self._labelnames = checked_labelnames(labelnames, self._reserved_labelnames)
        self._labelvalues = tuple(_labelvalues or ())
        self._unit = unit
        self._parent = None
        self._is_removed = False
        self._registry = registry if isinstance(registry, Registry) else REGISTRY
        self._lock = threading.RLock()  # a handler of our own log lines may count by this metric, too
        self._children = {}
        _parents.add(self)
        is_registered = registry is not None and not self._labelvalues
        if is_registered:
            registry.register(self)
        self._begin(registry if is_registered else None)
        if not self._labelnames:
            self._keep_methods()

    def _keep_methods(self):
        """Makes the recording methods attributes of the object: CPython calls these in half the time."""
        for name in self._recording:
            setattr(self, name, getattr(self, name))

    def _begin(self, registry):
        """Makes the family, and the series unless there are labels. Raises only what is the program's own mistake."""
        try:
            self._attach_to_store()
        except (MismatchError, ArgumentError) as error:
            if registry is not None:
                registry.unregister(self)
            what = "has another type, other labels or other buckets" if isinstance(error, MismatchError) else str(error)
            raise ValueError(f"{self._name}: {what}") from error
        except Exception as error:
            self._registry.failed(error)

    def _is_labelled_parent(self):
        return self._labelnames and not self._labelvalues

    def _attach_to_store(self):
        store = self._registry.store
        if store is None:
            return
        names, values = self._labelnames, self._labelvalues
        if self._is_labelled_parent():
            values = None
        if self._has_pid and self._registry.pid_label and "pid" not in names:
            names = (*names, "pid")
            values = values if values is None else (*values, str(os.getpid()))
        self._attach(
            store, _TYPES[self._type], self._name, self._documentation, names, self._bounds, unit_of(self._name), values
        )

    def _bind(self):
        """Called before a record where the metric is not attached in this process."""
        if self._is_labelled_parent():
            raise ValueError(f"{self._type} metric is missing label values")
        if self._is_removed:
            self._detach()
            return
        try:
            self._attach_to_store()
        except Exception as error:
            self._registry.failed(error)

    def labels(self, *labelvalues, **labelkwargs):
        """Returns the child for these label values, by place or by name."""
        try:  # most calls are for a child that is there, by texts
            if not labelkwargs:
                return self._children[labelvalues]
            if not labelvalues and len(labelkwargs) == len(self._labelnames):
                return self._children[tuple([labelkwargs[name] for name in self._labelnames])]
        except (KeyError, TypeError):
            pass
        values = self._checked_values(labelvalues, labelkwargs)
        with self._lock:
            child = self._children.get(values)
            return child if child is not None else self._make_child(values)

    def _checked_values(self, labelvalues, labelkwargs):
        if not self._labelnames:
            raise ValueError(f"No label names were set when constructing {self}")
        if self._labelvalues:
            own = dict(zip(self._labelnames, self._labelvalues))
            raise ValueError(f"{self} already has labels set ({own}); can not chain calls to .labels()")
        if labelvalues and labelkwargs:
            raise ValueError("Can't pass both *args and **kwargs")
        if labelkwargs:
            if sorted(labelkwargs) != sorted(self._labelnames):
                raise ValueError("Incorrect label names")
            return tuple(str(labelkwargs[name]) for name in self._labelnames)
        if len(labelvalues) != len(self._labelnames):
            raise ValueError("Incorrect label count")
        return tuple(str(value) for value in labelvalues)

    def _make_child(self, values):
        child = type(self).__new__(type(self))
        for name, value in {**self.__dict__, "_labelvalues": values, "_parent": self, "_children": {}}.items():
            setattr(child, name, value)  # not child.__dict__, which would make a dictionary: calls would take longer
        self._copy_to(child)
        child._bind()
        child._keep_methods()
        return self._children.setdefault(values, child)

    def _copy_to(self, child):
        """Copies to a child what is not in the dictionary."""

    def remove(self, *labelvalues):
        """Removes the child of these label values, and its series from the store."""
        if not self._labelnames:
            raise ValueError(f"No label names were set when constructing {self}")
        if len(labelvalues) != len(self._labelnames):
            raise ValueError(f"Incorrect label count (expected {len(self._labelnames)}, got {labelvalues})")
        values = tuple(str(value) for value in labelvalues)
        self._remove_children(lambda own: own == values)

    def remove_by_labels(self, labels):
        """Removes all children that have these values of some labels."""
        if not self._labelnames:
            raise ValueError(f"No label names were set when constructing {self}")
        if not isinstance(labels, dict):
            raise TypeError("labels must be a dict of {label_name: label_value}")
        unknown = [name for name in labels if name not in self._labelnames]
        if unknown:
            raise ValueError(f"Unknown label names: {unknown}; expected {self._labelnames}")
        wanted = [(self._labelnames.index(name), str(value)) for name, value in labels.items()]
        if wanted:
            self._remove_children(lambda own: all(own[place] == value for place, value in wanted))

    def clear(self):
        """Removes all children."""
        self._remove_children(lambda own: True)

    def _remove_children(self, is_meant):
        with self._lock:
            for values in [values for values in self._children if is_meant(values)]:
                self._children.pop(values)._forget()

    def _forget(self):
        """Takes the series off the store. What is recorded later is dropped."""
        self._is_removed = True
        self._remove()

    def describe(self):
        """Returns the metric without samples, as prometheus_client's registries ask for it."""
        try:
            from prometheus_client.metrics_core import Metric
        except ImportError:
            return [types.SimpleNamespace(name=self._name, type=self._type)]
        return [Metric(self._name, self._documentation, self._type, self._unit)]

    def collect(self):
        """Returns what this process counted, for prometheus_client's registries. Needs prometheus_client."""
        from .prometheus import families_of

        store = self._registry.store
        return (list(families_of(store, self._name)) if store else []) or self.describe()

    def __str__(self):
        return f"{self._type}:{self._name}"

    def __repr__(self):
        return f"{type(self).__module__}.{type(self).__name__}({self._name})"


class Counter(_Metric, _kvtel._CounterSeries):
    """A sum that only grows: prometheus_client.Counter, recorded natively. An exemplar is checked, and not kept.

    Raises ValueError for names, labels and amounts that prometheus_client refuses, and for a name that is taken.
    """

    _type = "counter"
    _recording = ("inc",)

    def reset(self):
        """Removes the series and begins anew at 0. Each call takes new room in the store, for the life of this process: this is
        no way to count per interval."""
        self._require_values()
        self._remove()
        self._bind()

    def count_exceptions(self, exception=Exception):
        """Returns a context manager and decorator that counts exceptions of this class."""
        self._require_values()
        return ExceptionCounter(self, exception)

    def _require_values(self):
        if self._is_labelled_parent():
            raise ValueError("counter metric is missing label values")


class Gauge(_Metric, _kvtel._GaugeSeries):
    """A value that goes up and down: prometheus_client.Gauge, recorded natively.

    Of the processes that set a gauge with multiprocess_mode "mostrecent" (or "livemostrecent") the newest value is shown.
    A gauge with another mode has the label pid and shows each process' value. set_function() is not here.

    Raises ValueError for names, labels and modes that prometheus_client refuses, and for a name that is taken.
    """

    _type = "gauge"
    _recording = ("set", "inc", "dec")
    _MODES = frozenset(prefix + mode for prefix in ("", "live") for mode in ("all", "min", "max", "sum", "mostrecent"))

    def __init__(
        self,
        name,
        documentation,
        labelnames=(),
        namespace="",
        subsystem="",
        unit="",
        registry=REGISTRY,
        _labelvalues=None,
        multiprocess_mode="all",
    ):
        if multiprocess_mode not in self._MODES:
            raise ValueError(f"Invalid multiprocess mode: {multiprocess_mode}")
        self._has_pid = not multiprocess_mode.endswith("mostrecent")
        if not self._has_pid:
            self._only_set()
        super().__init__(name, documentation, labelnames, namespace, subsystem, unit, registry, _labelvalues)

    def _copy_to(self, child):
        if not self._has_pid:
            child._only_set()

    def set_to_current_time(self):
        """Sets the gauge to the seconds since 1970."""
        self.set(time.time())

    def track_inprogress(self):
        """Returns a context manager and decorator that counts blocks or calls that run."""
        self._require_values()
        return InprogressTracker(self)

    def time(self):
        """Returns a context manager and decorator that sets the gauge to the seconds that a block or call took."""
        return Timer(self, "set")

    def set_function(self, f):
        """Raises NotImplementedError: the exporter is another process, which cannot call a function of this one."""
        raise NotImplementedError("kvtel has no Gauge.set_function(): the exporter cannot call a function of this process")

    def _require_values(self):
        if self._is_labelled_parent():
            raise ValueError("gauge metric is missing label values")


class Histogram(_Metric, _kvtel._HistogramSeries):
    """A distribution: prometheus_client.Histogram, recorded natively, with exemplars.

    Bounds of buckets are not below 0, and there are 256 at most. A value below 0 is refused and counted by the store.

    Raises ValueError for names, labels and buckets that prometheus_client refuses, and for a name that is taken.
    """

    _type = "histogram"
    _recording = ("observe",)
    _reserved_labelnames = ("le",)
    DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, _INF)

    def __init__(
        self,
        name,
        documentation,
        labelnames=(),
        namespace="",
        subsystem="",
        unit="",
        registry=REGISTRY,
        _labelvalues=None,
        buckets=DEFAULT_BUCKETS,
    ):
        self._bounds = self._checked_bounds(buckets)
        super().__init__(name, documentation, labelnames, namespace, subsystem, unit, registry, _labelvalues)

    @staticmethod
    def _checked_bounds(buckets):
        bounds = [float(bound) for bound in buckets]
        if bounds != sorted(bounds):
            raise ValueError("Buckets not in sorted order")
        finite = [bound + 0.0 for bound in dict.fromkeys(bounds) if bound != _INF]
        if not finite:
            raise ValueError("Must have at least two buckets")
        if finite[0] < 0:
            raise ValueError(f"The bound {finite[0]} of a bucket is below 0")
        if len(finite) > 256:
            raise ValueError(f"{len(finite)} buckets, which is more than 256")
        return tuple(finite)

    def time(self):
        """Returns a context manager and decorator that observes the seconds that a block or call took."""
        return Timer(self, "observe")


for _class in (Counter, Gauge, Histogram):
    _class.__module__ = "kvtel"


class _OpenRegistry(Registry):
    """A registry that takes a metric of one name any number of times: all of them are one."""

    def register(self, collector):
        pass

    def unregister(self, collector):
        pass


def metric_types(open_store):
    """Returns what build_prom_metrics() of a vLLM connector takes: {prometheus_client's class: kvtel's}.

    The metrics live in the store that open_store() returns, and are what vLLM's own page has: a gauge has no label pid.
    """
    registry = _OpenRegistry(open_store, pid_label=False)

    def type_of(cls):
        def __init__(self, name, documentation, labelnames=(), **options):
            cls.__init__(self, name, documentation, labelnames, **{**options, "registry": registry})

        return type(cls.__name__, (cls,), {"__init__": __init__, "__doc__": cls.__doc__})

    import prometheus_client

    return {getattr(prometheus_client, cls.__name__): type_of(cls) for cls in (Counter, Gauge, Histogram)}
