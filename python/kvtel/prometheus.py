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

    def _exemplars(self):
        return {
            (name, labels, bound): Exemplar(exemplar, value, time / 1e9)
            for name, labels, bound, value, time, exemplar in self._store.exemplars()
        }

    def collect(self):
        exemplars = self._exemplars()
        for name, kind, documentation, labelnames, series in self._store.collect():
            family = _FAMILIES[kind](name, documentation, labels=labelnames)
            for labels, value in series:
                if kind == "histogram":
                    buckets, total = value
                    shown = [
                        (floatToGoString(bound), count, exemplars.get((name, labels, bound))) for bound, count in buckets
                    ]
                    family.add_metric(labels, shown, total)
                else:
                    family.add_metric(labels, value)
            yield family
