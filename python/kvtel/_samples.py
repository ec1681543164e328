# SPDX-License-Identifier: Apache-2.0
"""What a store has, as samples of a page."""


def bound_text(bound):
    if bound == float("inf"):
        return "+Inf"
    text = repr(float(bound))
    dot = text.find(".")
    if bound > 0 and dot > 6:  # as Go writes it, and prometheus_client
        mantissa = f"{text[0]}.{text[1:dot]}{text[dot + 1:]}".rstrip("0.")
        return f"{mantissa}e+0{dot - 1}"
    return text


def samples_of(families):
    """Yields (name, labels, value) of what Store.collect() returns."""
    for name, kind, _, labelnames, series in families:
        for labelvalues, value in series:
            labels = dict(zip(labelnames, labelvalues))
            if kind != "histogram":
                yield name + ("_total" if kind == "counter" else ""), labels, value
                continue
            buckets, total = value
            for bound, count in buckets:
                yield name + "_bucket", {**labels, "le": bound_text(bound)}, float(count)
            yield name + "_count", labels, float(buckets[-1][1])
            yield name + "_sum", labels, total
