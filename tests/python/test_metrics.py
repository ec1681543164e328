# SPDX-License-Identifier: Apache-2.0
"""kvtel.Counter, Gauge and Histogram against prometheus_client's: what each call answers or raises, and what is counted then."""

import asyncio
import inspect
import math
import os
import threading
from types import SimpleNamespace

import kvtel
import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest

disable_created_metrics()


class Side:
    """One of the two libraries, with a registry of its own."""

    def __init__(self, library, registry):
        self.library, self.registry = library, registry

    def make(self, name, *arguments, **options):
        return getattr(self.library, name)(*arguments, registry=self.registry, **options)

    def samples(self):
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
        }


def sides():
    return (
        Side(kvtel, kvtel.Registry(open_store=kvtel.Store, pid_label=False)),
        Side(prometheus_client, CollectorRegistry()),
    )


def outcome(side, program):
    """What a program returned or raised, and what was counted then."""
    try:
        told = program(side)
    except Exception as error:
        told = (
            "ValueError" if isinstance(error, ValueError) else type(error).__name__,
            "" if isinstance(error, TypeError) else sorted(str(error)),  # a set has no order
        )
    return told, side.samples()


def counter(side, *labels, **options):
    return side.make("Counter", "jobs_total", "Jobs.", labels, **options)


def gauge(side, *labels, **options):
    return side.make("Gauge", "queue", "Queue.", labels, **options)


def histogram(side, *labels, **options):
    return side.make("Histogram", "wait_seconds", "Waits.", labels, **options)


def twice(make, **options):
    def program(side):
        make(side)
        make(side, **options)

    return program


def each(*calls):
    """A program of several calls, of which each may raise."""

    def program(side):
        told = []
        metric = calls[0](side)
        for call in calls[1:]:
            try:
                told.append(str(call(metric)))
            except Exception as error:
                told.append((type(error).__name__, "" if isinstance(error, TypeError) else str(error)))
        return told

    return program


def labelled(make):
    return lambda side: make(side, "a", "b")


def raise_inside(manager, error):
    with manager:
        raise error


def decorate(decorator):
    @decorator
    def add(a, *, b=1):
        """Adds."""
        return a + b

    return add(1, b=2), add.__name__, add.__doc__, str(inspect.signature(add))


def fail_decorated(decorator):
    @decorator
    def fail():
        raise ValueError("inside")

    fail()


PROGRAMS = {
    "a counter": each(counter, lambda c: c.inc(), lambda c: c.inc(2.5), lambda c: c.inc(amount=3), lambda c: c.inc(0)),
    "a counter at zero": lambda side: str(counter(side)),
    "a counter's wrong amounts": each(
        counter, lambda c: c.inc(-1), lambda c: c.inc("1"), lambda c: c.inc(None), lambda c: c.inc(1, 2, 3), lambda c: c.inc(x=1)
    ),
    "a counter's reset": each(counter, lambda c: c.inc(5), lambda c: c.reset(), lambda c: c.inc()),
    "a counter that is a gauge": each(counter, lambda c: c.set(1), lambda c: c.dec(), lambda c: c.observe(1)),
    "a name without _total": lambda side: side.make("Counter", "jobs", "J.").inc(),
    "parts of a name": lambda side: side.make("Counter", "jobs_total", "J.", namespace="n", subsystem="s", unit="bytes").inc(),
    "a unit that is there": lambda side: side.make("Gauge", "size_bytes", "S.", unit="bytes").set(2),
    "no name": lambda side: side.make("Counter", "", "J."),
    "arguments by name": lambda side: side.make(
        "Counter", name="jobs", documentation="J.", labelnames=["a"], namespace="", subsystem="", unit=""
    )
    .labels("x")
    .inc(),
    "labels as a generator": lambda side: str(side.make("Counter", "jobs", "J.", (name for name in "ab")).labels("x", "y")),
    "a reserved label": lambda side: side.make("Gauge", "g", "G.", ["__a"]),
    "le in a counter": lambda side: side.make("Counter", "jobs", "J.", ["le"]).labels("1").inc(),
    "labels by place and by name": each(
        labelled(counter),
        lambda c: c.labels("x", "y").inc(),
        lambda c: c.labels(b="y", a="x").inc(),
        lambda c: c.labels(1, True).inc(),
        lambda c: c.labels(a=1, b=None).inc(),
        lambda c: c.labels("x", "y") is c.labels(a="x", b="y"),
        lambda c: c.labels("é", 'q"\\\n').inc(),
    ),
    "labels that are wrong": each(
        labelled(counter),
        lambda c: c.inc(),
        lambda c: c.labels(),
        lambda c: c.labels("x"),
        lambda c: c.labels("x", "y", "z"),
        lambda c: c.labels("x", b="y"),
        lambda c: c.labels(a="x"),
        lambda c: c.labels(a="x", c="y"),
        lambda c: c.labels("x", "y").labels("x", "y"),
        lambda c: c.count_exceptions(),
    ),
    "labels of a metric without": each(
        counter, lambda c: c.labels("x"), lambda c: c.labels(a="x"), lambda c: c.remove("x"), lambda c: c.clear()
    ),
    "gauges without label values": each(
        labelled(gauge), lambda g: g.set(1), lambda g: g.inc(), lambda g: g.dec(), lambda g: g.track_inprogress()
    ),
    "a histogram without label values": each(labelled(histogram), lambda h: h.observe(1)),
    "a child at zero": each(labelled(histogram), lambda h: str(h.labels("x", "y"))),
    "remove": each(
        labelled(counter),
        lambda c: c.labels("x", "y").inc(5),
        lambda c: c.labels("x", "z").inc(5),
        lambda c: c.remove("x", "y"),
        lambda c: c.remove("never", "there"),
        lambda c: c.remove("x"),
        lambda c: c.labels("x", "y").inc(),
    ),
    "remove_by_labels": each(
        labelled(gauge),
        lambda g: [g.labels(a, b).set(1) for a in (1, 2) for b in (1, 2)] and None,
        lambda g: g.remove_by_labels({"a": 1}),
        lambda g: g.remove_by_labels({}),
        lambda g: g.remove_by_labels("a"),
        lambda g: g.remove_by_labels({"c": 1}),
    ),
    "clear": each(
        labelled(histogram),
        lambda h: h.labels("x", "y").observe(1),
        lambda h: h.clear(),
        lambda h: h.labels("x", "z").observe(1),
    ),
    "a child after clear": each(
        lambda side: (lambda c: (c.labels("x", "y"), c))(counter(side, "a", "b")),
        lambda pair: pair[0].inc(),
        lambda pair: pair[1].clear(),
        lambda pair: pair[0].inc(),
    ),
    "a gauge": each(gauge, lambda g: g.set(5), lambda g: g.inc(), lambda g: g.inc(amount=2), lambda g: g.dec(0.5), lambda g: g.dec()),
    "a gauge below zero": each(gauge, lambda g: g.dec(3), lambda g: g.inc(-1)),
    "a gauge's texts": each(gauge, lambda g: g.set("2.5"), lambda g: g.set("x"), lambda g: g.set(None), lambda g: g.set()),
    "a gauge's modes": each(
        lambda side: gauge(side, multiprocess_mode="mostrecent"), lambda g: g.set(value=4), lambda g: g.inc(), lambda g: g.dec()
    ),
    "a child's mode": each(
        lambda side: gauge(side, "a", multiprocess_mode="livemostrecent").labels("x"), lambda g: g.set(4), lambda g: g.inc()
    ),
    "a mode that is none": lambda side: gauge(side, multiprocess_mode="newest"),
    "track_inprogress": each(
        gauge,
        lambda g: g.inc(10),
        lambda g: decorate(g.track_inprogress()),
        lambda g: raise_inside(g.track_inprogress(), ValueError("x")),
    ),
    "a histogram": each(histogram, *(lambda h, v=v: h.observe(v) for v in (0, 0.25, 0.250000001, 1, 10, 11, True, 2**30))),
    "a histogram's arguments": each(
        histogram, lambda h: h.observe(), lambda h: h.observe("1"), lambda h: h.observe(amount=1), lambda h: h.observe(None)
    ),
    "own buckets": lambda side: histogram(side, buckets=[1, "2.5", 4, math.inf]).observe(3),
    "large bounds": lambda side: histogram(side, buckets=[1024, 1048576, 8589934592]).observe(1048577),
    "unsorted buckets": lambda side: histogram(side, buckets=[2, 1]),
    "no buckets": lambda side: histogram(side, buckets=[]),
    "one infinite bucket": lambda side: histogram(side, buckets=[math.inf]),
    "a duplicate": twice(counter),
    "a duplicate of another type": lambda side: (counter(side), side.make("Gauge", "jobs", "J.")) and None,
    "a sample's name that is taken": lambda side: (histogram(side), side.make("Gauge", "wait_seconds_sum", "S.")) and None,
    "count_exceptions": each(
        counter,
        lambda c: raise_inside(c.count_exceptions(), ValueError("x")),
        lambda c: raise_inside(c.count_exceptions(KeyError), ValueError("x")),
        lambda c: raise_inside(c.count_exceptions((KeyError, ValueError)), ValueError("x")),
        lambda c: decorate(c.count_exceptions()),
        lambda c: fail_decorated(c.count_exceptions()),
    ),
    "wrong exemplars": each(
        counter,
        lambda c: c.inc(1, {"__a": "x"}),
        lambda c: c.inc(1, {"a": "x" * 127}),
        lambda c: c.inc(1, {}),
        lambda c: c.inc(1, None),
    ),
    "texts": each(counter, str, lambda c: repr(c).split(".")[-1]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_prometheus_client(name):
    ours, theirs = (outcome(side, PROGRAMS[name]) for side in sides())
    assert ours == theirs


@pytest.mark.parametrize("side", sides(), ids=["kvtel", "prometheus_client"])
def test_time(side):
    waits, last = histogram(side, "a"), gauge(side)
    with waits.labels("x").time() as timer:
        pass
    assert decorate(waits.labels("x").time())[0] == 3
    with waits.time() as later:
        later.labels("y")
    with last.time():
        threading.Event().wait(0.001)
    samples = side.samples()
    assert samples["wait_seconds_count", (("a", "x"),)] == 2 and samples["wait_seconds_count", (("a", "y"),)] == 1
    assert 0 <= timer.duration <= samples["wait_seconds_sum", (("a", "x"),)] and samples["queue", ()] > 0.0005
    last.set_to_current_time()
    assert side.samples()["queue", ()] > 1.6e9


def test_what_is_not_here():
    registry = kvtel.Registry(open_store=kvtel.Store)
    with pytest.raises(NotImplementedError):
        kvtel.Gauge("g", "G.", registry=registry).set_function(lambda: 1)
    for name, what in (("a b", "invalid"), ("kvtel_x", "Reserved"), ("process_x", "Reserved")):
        with pytest.raises(ValueError, match=what):
            kvtel.Counter(name, "A.", registry=registry)
    for labels in (["a b"], ["é"], ["a", "a"], ["le"]):
        with pytest.raises(ValueError, match="label"):
            kvtel.Histogram("a", "A.", labels, registry=registry)
    for buckets in ([-1, 1], range(257)):
        with pytest.raises(ValueError, match="below 0|more than 256"):
            kvtel.Histogram("h", "H.", buckets=buckets, registry=registry)
    assert not {"Summary", "Info", "Enum"} & set(vars(kvtel)) and registry.errors == {}


def test_values_that_are_no_measurements():
    registry = kvtel.Registry(open_store=kvtel.Store)
    kvtel.Counter("c", "C.", registry=registry).inc(math.nan)
    kvtel.Counter("d", "C.", registry=registry).inc(math.inf)
    kvtel.Gauge("g", "G.", registry=registry).set(math.inf)
    kvtel.Histogram("h", "H.", registry=registry).observe(-1)
    assert registry.store.info()["values_refused"] == 4 and registry.get_sample_value("h_count") == 0


def test_pid_label():
    registry = kvtel.Registry(open_store=kvtel.Store)
    kvtel.Gauge("all", "G.", ["a"], registry=registry).labels("x").set(1)
    kvtel.Gauge("newest", "G.", ["a"], registry=registry, multiprocess_mode="mostrecent").labels("x").set(2)
    kvtel.Gauge("own", "G.", ["pid"], registry=registry).labels("x").set(3)
    assert registry.get_sample_value("all", {"a": "x", "pid": str(os.getpid())}) == 1
    assert registry.get_sample_value("newest", {"a": "x"}) == 2 and registry.get_sample_value("own", {"pid": "x"}) == 3


def test_exemplars_are_kept():
    registry = kvtel.Registry(open_store=kvtel.Store)
    waits = kvtel.Histogram("wait_seconds", "W.", ["a"], buckets=[1, 2], registry=registry)
    waits.labels("x").observe(0.5, {"trace_id": "one"})
    waits.labels("x").observe(1.5, exemplar={"trace_id": "two", "peer": "é"})
    waits.labels("x").observe(1.6)
    found = [(bound, value, labels) for *_, bound, value, _, labels in registry.store.exemplars()]
    assert found == [(1.0, 0.5, {"trace_id": "one"}), (2.0, 1.5, {"trace_id": "two", "peer": "é"})]
    with pytest.raises(ValueError):
        waits.labels("x").observe(1, {"a": "x" * 200})
    with pytest.raises(TypeError):
        waits.labels("x").observe(1, {"a": 1})
    assert registry.get_sample_value("wait_seconds_count", {"a": "x"}) == 5
    (shown,) = registry.collect()
    assert [sample.exemplar.labels for sample in shown.samples if sample.exemplar] == [labels for *_, labels in found]


def test_a_registry_of_prometheus_client():
    registry = CollectorRegistry()
    jobs = kvtel.Counter("metrics_test_jobs", "Jobs.", ["a"], registry=registry)
    jobs.labels("x").inc(2)
    assert 'metrics_test_jobs_total{a="x"} 2.0' in generate_latest(registry).decode().splitlines()
    with pytest.raises(ValueError, match="Duplicated"):
        prometheus_client.Gauge("metrics_test_jobs", "Jobs.", registry=registry)
    kvtel.Counter("metrics_test_alone", "In no registry.", registry=None).inc()
    kvtel.Counter("metrics_test_alone", "In no registry.", registry=None).inc()
    assert kvtel.REGISTRY.get_sample_value("metrics_test_alone_total") == 2


def test_unregister():
    registry = kvtel.Registry(open_store=kvtel.Store)
    jobs = kvtel.Counter("jobs", "J.", ["a"], registry=registry)
    jobs.labels("x").inc()
    registry.unregister(jobs)
    assert registry.get_sample_value("jobs_total", {"a": "x"}) is None
    jobs.labels("x").inc()
    kvtel.Counter("jobs", "J.", ["a"], registry=registry).labels("x").inc(3)
    assert registry.get_sample_value("jobs_total", {"a": "x"}) == 3
    with pytest.raises(KeyError):
        registry.unregister(jobs)


def test_a_name_keeps_its_form():
    registry = kvtel.Registry(open_store=kvtel.Store)
    registry.unregister(kvtel.Counter("jobs", "J.", ["a"], registry=registry))
    with pytest.raises(ValueError, match="jobs: has another type"):
        kvtel.Gauge("jobs", "J.", registry=registry)


def test_what_a_store_cannot_take_is_said_once(caplog):
    registry = kvtel.Registry(open_store=lambda: kvtel.Store(max_series=2))
    jobs = kvtel.Counter("jobs", "J.", ["a"], registry=registry)
    for value in range(5):
        jobs.labels(value).inc()
    jobs.labels("x" * 2000).inc()
    jobs.labels("a\0b").inc()
    kvtel.Counter("many", "M.", [f"l{i}" for i in range(20)], registry=registry).labels(*range(20)).inc()
    jobs.labels(0).inc()
    assert registry.get_sample_value("jobs_total", {"a": "0"}) == 2
    assert set(registry.errors) == {"LimitError", "ArgumentError", "ValueError"} and len(caplog.records) == 3


def test_where_no_store_can_be(caplog, monkeypatch):
    there = []
    monkeypatch.setattr("kvtel.metrics._AGAIN_SECONDS", 3600.0)  # this machine may be slow

    def open_store():
        if not there:
            raise MemoryError
        return kvtel.Store()

    registry = kvtel.Registry(open_store=open_store)
    jobs = kvtel.Counter("jobs", "J.", registry=registry)
    for _ in range(100):
        jobs.inc()
    assert registry.errors == {"MemoryError": 1} and len(caplog.records) == 1
    there.append(True)
    monkeypatch.setattr(registry, "_again", 0.0)
    jobs.inc(3)
    assert registry.get_sample_value("jobs_total") == 3


def test_threads():
    registry = kvtel.Registry(open_store=kvtel.Store)
    jobs = kvtel.Counter("jobs", "J.", ["a"], registry=registry)
    running = kvtel.Gauge("running", "R.", registry=registry, multiprocess_mode="livesum")

    def work():
        for i in range(2000):
            with running.track_inprogress():
                jobs.labels(i % 7).inc()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(registry.get_sample_value("jobs_total", {"a": str(a)}) for a in range(7)) == 16000
    assert registry.get_sample_value("running", {"pid": str(os.getpid())}) == 0


def test_coroutines_are_timed_where_they_run():
    registry = kvtel.Registry(open_store=kvtel.Store)
    waits = kvtel.Histogram("wait_seconds", "W.", registry=registry)

    async def work():
        with waits.time():
            await asyncio.sleep(0)

    asyncio.run(work())
    assert registry.get_sample_value("wait_seconds_count") == 1


def test_a_collector_of_another_library_may_have_any_type():
    class Collector:
        def describe(self):
            return [SimpleNamespace(name="app", type="info"), SimpleNamespace(name="took", type="summary")]

        def collect(self):
            return []

    registry = kvtel.Registry()
    registry.register(Collector())
    with pytest.raises(ValueError, match="took"):
        registry.register(Collector())


def test_a_name_that_a_sample_of_another_librarys_collector_has_is_taken():
    registry = kvtel.Registry(open_store=kvtel.Store)
    registry.register(prometheus_client.Summary("took", "T.", registry=None))
    for cls, name in ((kvtel.Gauge, "took_sum"), (kvtel.Counter, "took"), (kvtel.Histogram, "took")):
        with pytest.raises(ValueError, match="took"):
            cls(name, "T.", registry=registry)
