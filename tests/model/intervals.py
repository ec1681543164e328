# SPDX-License-Identifier: Apache-2.0
"""Where the logging intervals of a real engine's recording ended: the recording does not say, but the engine's log lines do."""

from .connectors import class_name, stats_of
from .recording import Logging


def with_log_marks(objects, lines):
    """Recordings, one for each engine that logged (vLLM logs engine by engine, without saying which), of the payloads that make
    up `lines`, intervals marked: a list of (objects, the engine's lines). Raises ValueError when no runs of payloads give them."""
    header, *rest = objects
    if any("log" in item for item in rest):
        return [(objects, lines)]  # it does say where they ended
    streams = {engine: [item for item in rest if item["engine"] == engine] for engine in header["engines"]}
    runs = find_runs(class_name(header["kv_transfer_config"]["kv_connector"]), streams, lines, {})
    if runs is None:
        raise ValueError("no runs of payloads give these log lines")
    marked = {}
    for (engine, start, end), line in zip(runs, lines):
        taken, own_lines = marked.setdefault(engine, ([header], []))
        taken += [*streams[engine][start:end], {"log": True}]
        own_lines.append(line)
    return list(marked.values())


def find_runs(name, streams, lines, at):
    """For each line the (engine, start, end) of payloads that give it, or None. A run starts where its engine's last one ended
    (`at`) if that will do, or later: logs were saved without the lines of the warm-up, and one lost a line on the way."""
    if not lines:
        return []
    for engine, items in streams.items():
        for start in range(at.get(engine, 0), len(items)):
            for end in ends_of_run(name, items, start, lines[0]):
                rest = find_runs(name, streams, lines[1:], at | {engine: end})
                if rest is not None:
                    return [(engine, start, end), *rest]
    return None


def ends_of_run(name, items, start, line):
    logging = Logging(name)
    for end in range(start, len(items)):
        logging.observe(stats_of(name, items[end]["payload"]))
        if logging.line() == line:
            yield end + 1
