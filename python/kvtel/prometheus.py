# SPDX-License-Identifier: Apache-2.0
"""A Store on prometheus_client's page."""

from prometheus_client.core import CounterMetricFamily, Exemplar, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

_FAMILIES = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}


class StoreCollector:
    """Exports a Store's metrics; pass it to CollectorRegistry.register(). `_created` series are not exported.

    The `_name` begins like those of vLLM's collectors, so vLLM removes this collector when it clears its registry.
    """

    _name = "vllm:kvtel"

    def __init__(self, store):
        self._store = store

    def collect(self):
        for family in families_of(self._store):
            yield family


def families_of(store, name=None):
    """Yields what a store has, or only the family of a name, as prometheus_client's metrics."""
    exemplars = {
        (family, labels, bound): Exemplar(exemplar, value, time / 1e9)
        for family, labels, bound, value, time, exemplar in store.exemplars()
    }
    for family, kind, documentation, labelnames, series in store.collect():
        if name not in (None, family):
            continue
        made = _FAMILIES[kind](family, documentation, labels=labelnames)
        for labels, value in series:
            if kind == "histogram":
                buckets, total = value
                shown = [
                    (floatToGoString(bound), count, exemplars.get((family, labels, bound))) for bound, count in buckets
                ]
                made.add_metric(labels, shown, total)
            else:
                made.add_metric(labels, value)
        yield made
