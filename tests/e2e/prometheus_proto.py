# SPDX-License-Identifier: Apache-2.0
"""Messages of io.prometheus.client, as Prometheus' protobuf format has them, and what a native histogram says.

The fields are those of github.com/prometheus/client_model, io/prometheus/client/metrics.proto, that kvtel writes or
that a reader looks at."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "io.prometheus.client"
MESSAGES = {
    "LabelPair": [("name", 1, "string"), ("value", 2, "string")],
    "Gauge": [("value", 1, "double")],
    "Counter": [("value", 1, "double"), ("created_timestamp", 3, "Timestamp")],
    "Timestamp": [("seconds", 1, "int64"), ("nanos", 2, "int32")],
    "Exemplar": [("label", 1, "[LabelPair]"), ("value", 2, "double"), ("timestamp", 3, "Timestamp")],
    "Bucket": [("cumulative_count", 1, "uint64"), ("upper_bound", 2, "double"), ("exemplar", 3, "Exemplar")],
    "BucketSpan": [("offset", 1, "sint32"), ("length", 2, "uint32")],
    "Histogram": [
        ("sample_count", 1, "uint64"),
        ("sample_sum", 2, "double"),
        ("bucket", 3, "[Bucket]"),
        ("schema", 5, "sint32"),
        ("zero_threshold", 6, "double"),
        ("zero_count", 7, "uint64"),
        ("negative_span", 9, "[BucketSpan]"),
        ("negative_delta", 10, "[sint64]"),
        ("positive_span", 12, "[BucketSpan]"),
        ("positive_delta", 13, "[sint64]"),
        ("created_timestamp", 15, "Timestamp"),
        ("exemplars", 16, "[Exemplar]"),
    ],
    "Metric": [
        ("label", 1, "[LabelPair]"),
        ("gauge", 2, "Gauge"),
        ("counter", 3, "Counter"),
        ("timestamp_ms", 6, "int64"),
        ("histogram", 7, "Histogram"),
    ],
    "MetricFamily": [
        ("name", 1, "string"),
        ("help", 2, "string"),
        ("type", 3, "int32"),  # an enum: the same bytes
        ("metric", 4, "[Metric]"),
        ("unit", 5, "string"),
    ],
}
TYPES = {0: "counter", 1: "gauge", 4: "histogram"}


def metric_family():
    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package=PACKAGE, syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            repeated = kind.startswith("[")
            kind = kind.strip("[]")
            added = message.field.add(name=field, number=number)
            added.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in MESSAGES:
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                added.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.MetricFamily"))


MetricFamily = metric_family()


def parse(content):
    """The families, each with its size before it. There is no byte that the messages do not know."""
    families, at = [], 0
    while at < len(content):
        size = shift = 0
        while True:
            byte = content[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        family = MetricFamily()
        assert at + size <= len(content)
        family.ParseFromString(content[at : at + size])
        assert family.SerializeToString(deterministic=True) == canonical(family)
        at += size
        families.append(family)
    return families


def canonical(family):
    """The same message, of its known fields alone."""
    copy = MetricFamily()
    copy.CopyFrom(family)
    copy.DiscardUnknownFields()
    return copy.SerializeToString(deterministic=True)


def native_buckets(histogram):
    """Count by index, from spans and deltas."""
    counts, index, deltas, count = {}, 0, iter(histogram.positive_delta), 0
    for span in histogram.positive_span:
        index += span.offset
        for _ in range(span.length):
            count += next(deltas)
            assert index not in counts and count >= 0
            counts[index] = count
            index += 1
    assert next(deltas, None) is None
    return counts
