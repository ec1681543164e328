# SPDX-License-Identifier: Apache-2.0
"""The peers of libkvtel_nixl.so's transfers: their names, and where they show."""

import json
import re

import pytest
from exporter import Exporter, wait_for
from nixl_driver import Driver, agent, metrics


@pytest.fixture
def driver(tmp_path):
    with Driver(tmp_path) as running:
        yield running


def test_peers_past_the_table_are_other(driver):
    one = agent(driver)  # worker itself and peer are the first two
    for i in range(70):
        driver("peer", one, f"p{i}")
        driver("post", one, "a0", "read", f"p{i}", 1)
        driver("mark", one, "a0")
    driver("peer", one, "-")  # a call that failed
    driver("post", one, "a0", "read", "-", 1)
    driver("mark", one, "a0")
    driver("post", one, "a0", "read", "never-named", 1)
    driver("mark", one, "a0")
    counts = {
        name.split('peer="')[1].split('"')[0]: value
        for name, value in driver.stored().items()
        if name.startswith("nixl_peer_transfers_total") and value > 0
    }
    assert counts == {**{f"p{i}": 1 for i in range(62)}, "other": 10}


def test_the_application_names_peers(driver):
    one = agent(driver)
    driver("peer", one, "5f1c-uuid")
    driver("name", "5f1c-uuid", "engine-1/0")
    driver("post", one, "a0", "read", "5f1c-uuid", 1)
    driver("mark", one, "a0")
    driver("name", "never-loaded", "engine-1/0")
    driver("post", one, "a0", "read", "never-loaded", 1)
    driver("mark", one, "a0")
    driver("name", "5f1c-uuid", "engine-2/0")  # later: from then on
    driver("post", one, "a0", "read", "5f1c-uuid", 1)
    driver("mark", one, "a0")
    stored = driver.stored()
    name = 'nixl_peer_transfers_total{{direction="rx",peer="{}",outcome="completed"}}'
    assert stored[name.format("engine-1/0")] == 2
    assert stored[name.format("engine-2/0")] == 1
    assert name.format("5f1c-uuid") not in stored


def by_peer(driver):
    return {
        name.split('peer="')[1].split('"')[0]: value
        for name, value in driver.stored().items()
        if name.startswith("nixl_peer_transfers_total") and value > 0
    }


def test_threads_that_name_peers_at_once_lose_none(driver):
    one = agent(driver)
    driver("name_peers", one, 8, 7)
    names = [f"t{thread}-{i}" for thread in range(8) for i in range(7)]
    for name in names:
        driver("post", one, "a0", "read", name, 1)
        driver("mark", one, "a0")
    assert by_peer(driver) == dict.fromkeys(names, 1)


def test_a_peer_that_agents_share_stays_when_one_is_renamed(driver):
    one = agent(driver)
    for uuid in ("5f1c", "77aa"):
        driver("name", uuid, "engine-1/0")
    driver("name", "77aa", "engine-2/0")
    for uuid in ("5f1c", "77aa"):
        driver("post", one, "a0", "read", uuid, 1)
        driver("mark", one, "a0")
    assert by_peer(driver) == {"engine-1/0": 1, "engine-2/0": 1}


def test_a_peer_is_renamed_while_a_post_is_open(driver):
    one = agent(driver)
    driver("peer", one, "5f1c")
    driver("post", one, "a0", "read", "5f1c", 1)
    driver("name", "5f1c", "engine-1/0")
    driver("mark", one, "a0")
    driver("post", one, "a0", "read", "5f1c", 1)
    driver("mark", one, "a0")
    assert by_peer(driver) == {"5f1c": 1, "engine-1/0": 1}


def test_an_agent_past_the_table_can_get_a_name_that_is_there(driver):
    one = agent(driver)
    for i in range(70):
        driver("peer", one, f"p{i}")
    driver("name", "p69", "p0")
    driver("post", one, "a0", "read", "p69", 1)
    driver("mark", one, "a0")
    assert by_peer(driver) == {"p0": 1}


def test_slow_transfers_leave_their_peer_as_an_exemplar(driver, tmp_path):
    one = agent(driver)
    driver("peer", one, "second")
    driver("post", one, "b0", "read", "second", 64)
    driver("post", one, "a0", "read", "peer", 64)
    driver("mark", one, "a0")
    driver("mark", one, "b0")  # the slower one, perhaps in the same bucket
    with Exporter(tmp_path / "stores") as exporter:
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        pattern = r'^nixl_transfer_seconds_bucket\{.*outcome="completed".* # \{peer="(\w+)"\}'

        def peers():
            return re.findall(pattern, exporter.text("/metrics", headers=accept), re.M)

        wait_for(peers)
        assert peers() in (["second"], ["peer", "second"])


def test_serve_shows_peers_on_the_page_only_if_asked(driver, tmp_path):
    one = agent(driver)
    driver("post", one, "a0", "read", "peer", 64)
    driver("mark", one, "a0")
    name = 'nixl_peer_transfers_total{direction="rx",outcome="completed",peer="peer"}'
    with Exporter(tmp_path / "stores", "--nixl.peer-label") as exporter:
        wait_for(lambda: metrics(exporter).get(name) == 1)
    with Exporter(tmp_path / "stores") as exporter:
        wait_for(lambda: 'nixl_transfers_total{direction="rx",outcome="completed"}' in metrics(exporter))
        assert name not in metrics(exporter)
        assert metrics(exporter)['kvtel_nixl_outcome_source{source="exporter"}'] == 1
        before = summary_of_peers(exporter)
        driver("post", one, "a0", "read", "peer", 64)
        driver("mark", one, "a0")
        wait_for(lambda: summary_of_peers(exporter) != before)
        driver("post", one, "b0", "read", "peer", 64)  # under way

        def told():
            return json.loads(exporter.text("/api/v1/summary"))["peers"]

        wait_for(lambda: [(peer["peer"], peer["open"]) for peer in told()] == [("peer", 1)])
        [peer] = told()
        assert (peer["transfers"], peer["failed"], peer["unseen"], peer["bytes"]) == (2, 0, 0, 128)


def summary_of_peers(exporter):
    """What grew by peer, since the summary's first look."""
    found = json.loads(exporter.text("/api/v1/summary"))["connectors"]
    return [other for one in found for other in one["others"] if other["name"] == "nixl_peer_transfers"]
