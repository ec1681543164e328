# SPDX-License-Identifier: Apache-2.0
"""libkvtel_nixl.so under a driver that calls it as NIXL does."""

import os
import subprocess

import pytest
from exporter import Exporter, wait_for
from nixl_driver import PLUGIN, Driver, agent, metrics

SANITIZED = "KVTEL_SANITIZED" in os.environ
DONE, ACTIVE, DISCONNECT, REPOST_ACTIVE = 0, 1, -10, -7


@pytest.fixture
def driver(tmp_path):
    with Driver(tmp_path) as running:
        yield running


def test_it_needs_libc_alone_and_shows_nothing_else():
    needed = subprocess.run(["readelf", "-d", PLUGIN], check=True, capture_output=True, text=True).stdout
    libraries = {line.split("[")[1].rstrip("]") for line in needed.splitlines() if "(NEEDED)" in line}
    if any("san" in library for library in libraries):
        pytest.skip("a sanitizer's runtime is linked")
    assert {library.split(".")[0] for library in libraries} <= {"libc", "libm", "ld-linux-x86-64", "ld-linux-aarch64"}
    assert "NODELETE" in needed
    names = subprocess.run(["nm", "-D", "--defined-only", PLUGIN], check=True, capture_output=True, text=True).stdout
    assert {line.split()[-1] for line in names.splitlines()} == {
        "kvtel_nixl_is_recording",
        "kvtel_nixl_outcome",
        "kvtel_nixl_peer",
        "kvtel_nixl_post",
        "kvtel_nixl_released",
        "nixl_telemetry_plugin_fini",
        "nixl_telemetry_plugin_init",
        "nixl_trace_plugin_fini",
        "nixl_trace_plugin_init",
    }


def test_both_halves_are_one_library_with_nixls_versions(driver):
    assert driver.loaded == "exporter 2 trace 1 one"
    assert agent(driver) == 0
    assert driver("recording") == "1"
    assert driver.said() == []


def test_a_transfer_that_a_look_finds_done(driver):
    one = agent(driver)
    driver("create", one, "peer")
    driver("post", one, "a0", "read", "peer", 65536)
    driver("post", one, "b0", "write", "peer", 4096)
    assert driver.transfers() == {}
    driver("mark", one, "a0")
    driver("mark", one, "b0")
    stored = driver.stored()
    for direction, size in (("rx", 65536), ("tx", 4096)):
        labels = f'direction="{direction}",outcome="completed"'
        assert stored[f'nixl_posts_total{{direction="{direction}"}}'] == 1
        assert stored[f'nixl_post_seconds{{direction="{direction}"}}'] == 1
        assert stored[f"nixl_transfers_total{{{labels}}}"] == 1
        assert stored[f"nixl_transfer_bytes_total{{{labels}}}"] == size
        assert stored[f"nixl_transfer_seconds{{{labels}}}"] == 1
        assert stored[f"nixl_transfer_size_bytes{{{labels}}}"] == 1
        assert stored[f'nixl_peer_transfers_total{{direction="{direction}",peer="peer",outcome="completed"}}'] == 1
        assert stored[f'nixl_peer_transfer_bytes_total{{direction="{direction}",peer="peer"}}'] == size
    assert stored["kvtel_nixl_unmatched_total"] == stored["kvtel_nixl_untracked_total"] == 0


def test_events_tell_of_transfers_that_were_done_in_their_posts(driver):
    one = agent(driver)
    for handle in ("a0", "b0", "c0"):
        driver("post", one, handle, "read", "peer", 64)
    driver("mark", one, "b0")
    driver("batch", one)
    driver("finish", one, "read", 64, 7, 7)
    driver("finish", one, "read", 64, 7, 9)  # of the one that was looked at
    driver("finish", one, "write", 64, 7, 7)  # of nobody: another direction
    driver("finish", one, "read", 65, 7, 7)  # and another size
    driver("finish", one, "read", 64, 7, 7)
    driver("batch_end", one)
    assert driver.transfers() == {"completed": 1, "completed_in_post": 2}
    stored = driver.stored()
    assert stored['nixl_requests_total{direction="rx"}'] == 4
    assert stored['kvtel_nixl_outcome_source{source="exporter"}'] == 1
    assert stored['nixl_transfer_seconds{direction="rx",outcome="completed_in_post"}'] == 2


def test_a_handle_may_be_posted_again_before_its_event_comes(driver):
    one = agent(driver)
    for _ in range(5):
        driver("post", one, "a0", "read", "peer", 64)
    driver("batch", one)
    for _ in range(5):
        driver("finish", one, "read", 64, 7, 7)
    driver("batch_end", one)
    assert driver.transfers() == {"completed_in_post": 5}


@pytest.mark.parametrize("batched", [True, False])
def test_an_event_may_come_before_its_post_returns(driver, batched):
    one = agent(driver)
    driver("finish", one, "read", 64, 7, 7)
    driver("post", one, "a0", "read", "peer", 64)
    assert driver.transfers() == {}
    if batched:
        driver("batch", one)
        driver("batch_end", one)
    else:
        driver("finish", one, "write", 64, 7, 9)
    assert driver.transfers() == {"completed_in_post": 1}


@pytest.mark.parametrize("done", ["a0", "b0"])
def test_a_look_corrects_of_which_post_an_event_told(driver, done):
    one = agent(driver)
    for handle in ("a0", "b0"):  # one is done in its post, the other later: an event does not say which
        driver("post", one, handle, "read", "peer", 64)
    driver("finish", one, "read", 64, 7, 7)
    driver("mark", one, done)
    assert driver.transfers() == {"completed": 1, "completed_in_post": 1}
    stored = driver.stored()
    assert stored["kvtel_nixl_unmatched_total"] == 0
    for handle in ("a0", "b0", "a0", "b0"):
        driver("post", one, handle, "read", "peer", 65)
        driver("mark", one, handle)
    driver("destroy", one)
    assert driver.transfers() == {"completed": 5, "completed_in_post": 1}


def test_events_count_by_type_and_without_batches(driver):
    one = agent(driver)
    for event in ((4, 1000), (5, 400), (9, 1), (11, 1), (11, 1), (20, 17), (21, 1), (4294967295, 1), (0, 2**63)):
        assert driver("event", one, *event) == "0"
    stored = driver.stored()
    assert stored["nixl_memory_registered_bytes_total"] == 1000
    assert stored["nixl_memory_deregistered_bytes_total"] == 400
    assert stored['nixl_errors_total{status="invalid_param"}'] == 1
    assert stored['nixl_errors_total{status="not_found"}'] == 2
    assert stored["nixl_events_dropped_total"] == 17
    assert stored['nixl_bytes_total{direction="tx"}'] == 0
    assert not any("kvtel_nixl_rings" in name for name in stored)


def test_the_application_tells_outcomes(driver):
    one = agent(driver)
    for handle in ("a0", "b0", "c0", "d0", "e0"):
        driver("post", one, handle, "write", "peer", 10)
    driver("told", "a0", DONE)
    driver("told", "b0", ACTIVE)
    driver("mark", one, "b0")
    driver("told", "b0", DONE)
    driver("told", "c0", DISCONNECT)
    driver("told", "c0", DISCONNECT)
    driver("released", "d0", driver("number", "d0"))
    assert [driver("number", handle) for handle in ("a0", "d0", "ffff0", "0")] == ["0"] * 4
    for number in (0, 1, 4):
        driver("released", "e0", number)  # others' numbers
    driver("released", "ffff0", 1)
    driver("told", "0", DONE)
    driver("told", "ffffffffffffffff", DISCONNECT)
    assert driver.transfers("tx") == {"completed_in_post": 1, "completed": 1, "failed": 1, "released": 1}
    driver("destroy", one)
    assert driver.transfers("tx")["abandoned"] == 1
    stored = driver.stored()
    assert stored['nixl_transfer_failures_total{direction="tx",status="remote_disconnect"}'] == 1
    assert stored['kvtel_nixl_outcome_source{source="application"}'] == 1
    assert stored['nixl_peer_transfers_total{direction="tx",peer="peer",outcome="failed"}'] == 1


def test_once_the_application_tells_events_close_nothing(driver):
    one = agent(driver)
    driver("post", one, "a0", "read", "peer", 64)
    driver("told", "a0", ACTIVE)
    driver("finish", one, "read", 64, 7, 7)
    assert driver.transfers() == {}
    driver("told", "a0", DONE)
    assert driver.transfers() == {"completed_in_post": 1}


def test_a_refused_second_post_leaves_the_first_one_open(driver):
    one = agent(driver)
    driver("post", one, "a0", "read", "peer", 64)
    driver("told", "a0", ACTIVE)
    driver("post", one, "a0", "read", "peer", 64)
    driver("told", "a0", REPOST_ACTIVE)
    assert driver.transfers() == {"failed": 1}
    driver("mark", one, "a0")
    driver("told", "a0", DONE)
    assert driver.transfers() == {"failed": 1, "completed": 1}
    assert driver.stored()['nixl_transfer_failures_total{direction="rx",status="repost_active"}'] == 1


def test_a_release_means_a_post_although_its_handle_is_another_ones_by_now(driver):
    one = agent(driver)
    driver("post", one, "a0", "read", "peer", 64)
    driver("told", "a0", ACTIVE)
    first = driver("number", "a0")
    driver("post", one, "a0", "write", "peer", 100)  # NIXL gave the address to a handle of another thread
    driver("released", "a0", first)
    driver("released", "a0", first)
    assert driver.transfers() == {"released": 1} and driver.transfers("tx") == {}
    driver("told", "a0", DONE)
    assert driver.transfers("tx") == {"completed_in_post": 1} and driver.transfers() == {"released": 1}


def test_without_a_source_a_post_is_unknown_when_its_handle_is_posted_twice_more(tmp_path):
    with Driver(tmp_path, exporter=False) as driver:
        assert driver.loaded == "exporter 0 trace 1"
        one = int(driver("agent", "worker").split()[0])
        for _ in range(4):
            driver("post", one, "a0", "read", "peer", 64)
        assert driver.transfers() == {"unknown": 2}
        driver("mark", one, "a0")
        assert driver.transfers() == {"unknown": 3, "completed": 1}
        assert driver.stored()['kvtel_nixl_outcome_source{source="none"}'] == 1


def test_the_exporter_half_works_alone(tmp_path):
    with Driver(tmp_path, trace=False) as driver:
        assert driver.loaded == "exporter 2 trace 0"
        one = int(driver("agent", "worker").split()[0])
        driver("finish", one, "read", 64, 7, 7)
        stored = driver.stored()
        assert stored['nixl_requests_total{direction="rx"}'] == 1
        assert driver.transfers() == {}


def test_a_post_of_which_no_event_comes_is_unknown_after_a_while(driver):
    one = agent(driver)
    driver("post", one, "a0", "read", "peer", 64)
    driver("post", one, "a0", "read", "peer", 64)

    def is_told():
        driver("batch", one)
        driver("batch_end", one)
        return driver.transfers() == {"unknown": 1}

    wait_for(is_told)


def test_an_agent_that_goes_leaves_its_posts_abandoned_and_others_alone(driver):
    one, two = agent(driver), agent(driver, "second")
    driver("post", one, "a0", "read", "peer", 64)
    driver("post", two, "b0", "read", "peer", 64)
    driver("destroy", one)
    assert driver.transfers() == {"abandoned": 1}
    driver("mark", two, "b0")
    assert driver.transfers() == {"abandoned": 1, "completed": 1}
    three = agent(driver)  # takes the first one's place
    driver("post", three, "a0", "read", "peer", 64)
    driver("mark", three, "a0")
    assert driver.transfers() == {"abandoned": 1, "completed": 2}


def test_two_agents_of_one_name(driver):
    one, two = agent(driver), agent(driver)
    driver("post", one, "a0", "read", "peer", 64)
    driver("post", two, "b0", "read", "peer", 64)
    driver("finish", two, "read", 64, 3, 3)
    driver("destroy", one)
    assert driver.transfers() == {"abandoned": 1, "completed_in_post": 1}


def test_events_of_a_batch_that_does_not_end_are_counted(driver):
    one = agent(driver)
    driver("batch", one)
    driver("event", one, 9, 1)
    driver("destroy", one)
    assert driver.stored()['nixl_errors_total{status="invalid_param"}'] == 1


def test_an_event_between_batches_is_counted_at_once(driver):
    one = agent(driver)
    driver("batch", one)
    driver("batch_end", one)
    driver("event", one, 9, 1)
    assert driver.stored()['nixl_errors_total{status="invalid_param"}'] == 1


@pytest.mark.skipif(SANITIZED, reason="sanitizers know no threads in a child of a process with threads")
def test_forks_while_agents_come_and_go(driver):
    agent(driver)
    count = 5
    assert driver("fork_while_agents_change", count) == "0"
    assert driver.transfers() == {"completed": 4 * count}


def test_a_million_open_posts(driver):
    one, count = agent(driver), 200000 if SANITIZED else 1000000
    driver("flood", one, count)
    stored = driver.stored()
    untracked = stored["kvtel_nixl_untracked_total"]
    assert stored['nixl_posts_total{direction="rx"}'] == count
    assert untracked == stored['nixl_transfers_total{direction="rx",outcome="unknown"}'] >= count - 65536
    assert untracked <= count - 60000  # what it has room for is followed
    driver("flood_end", one, count)
    stored = driver.stored()
    assert stored['nixl_transfers_total{direction="rx",outcome="completed"}'] == count - untracked
    assert stored["kvtel_nixl_unmatched_total"] == untracked


def test_threads_post_and_others_look(driver):
    one = agent(driver)
    driver("threads", one, 3000, 8)
    stored = driver.stored()
    for direction in ("rx", "tx"):
        assert stored[f'nixl_posts_total{{direction="{direction}"}}'] == 4 * 3000
        assert driver.transfers(direction) == {"completed": 4 * 2000, "completed_in_post": 4 * 1000}
    assert stored["kvtel_nixl_unmatched_total"] == 0


def test_a_child_of_a_fork_records_nothing_for_its_parents_agent(driver):
    one = agent(driver)
    driver("post", one, "1110", "read", "peer", 64)
    assert driver("fork", one, "-") == "0"
    assert driver.transfers() == {}
    driver("mark", one, "1110")
    assert driver.transfers() == {"completed": 1}
    assert len(list(driver.stores.glob("*.kvtel"))) == 1


def test_a_child_of_a_fork_has_a_store_for_its_own_agent(driver):
    one = agent(driver)
    driver("post", one, "a0", "read", "peer", 64)
    assert driver("fork", one, "childs") == "0"  # which also uses and destroys the inherited one
    assert driver.transfers() == {"completed": 2}
    stored = driver.stored()
    assert stored['nixl_transfer_bytes_total{direction="rx",outcome="completed"}'] == 40
    assert stored['nixl_posts_total{direction="rx"}'] == 3
    assert stored['nixl_bytes_total{direction="rx"}'] == 20
    assert len(list(driver.stores.glob("*.kvtel"))) == 2


@pytest.mark.parametrize("how", ["exit", "_exit", "kill"])
def test_an_end_with_open_posts_and_a_thread_of_nixls_that_goes_on(driver, how):
    one = agent(driver)
    driver("post", one, "a0", "read", "peer", 64)
    driver("mark", one, "a0")
    driver("leak", one)
    driver("fini")
    assert driver.end(how) == (-9 if how == "kill" else 0)
    assert driver.transfers()["completed"] == 1


# What is not NIXL's interface.


def test_no_trace_where_libnixl_is_not_the_one_known(tmp_path):
    with Driver(tmp_path, library="foreign") as driver:
        assert driver.loaded == "exporter 2 trace 0 one"
        assert driver.said() == [
            "kvtel: NIXL plug-in: this process has no libnixl.so with the tracer of NIXL 1.4 or later: no trace is recorded"
        ]
        assert driver("agent", "worker") == "0 exporter 4096 trace -"


def test_no_trace_without_libnixl(tmp_path):
    with Driver(tmp_path, library=None) as driver:
        assert driver.loaded == "exporter 2 trace 0 one"


@pytest.mark.parametrize("span", [("other::postXferReq", 4), ("nixl::" + "x" * 80, 4), ("nixl::postXferReq.read", 9), ("n", 0)])
def test_a_strange_span_turns_it_off_for_good(driver, span):
    one = agent(driver)
    driver("post", one, "a0", "read", "peer", 64)
    assert driver("span", one, *span) == "null"
    assert len(driver.said()) == 1 and "nothing is recorded from now on" in driver.said()[0]
    driver("mark", one, "a0")
    driver("post", one, "a0", "read", "peer", 64)
    driver("finish", one, "read", 64, 7, 7)
    driver("told", "a0", DONE)
    driver("destroy", one)
    assert driver("agent", "next") == "1 exporter 4096 trace -"
    assert driver("recording") == "0"
    assert driver.transfers() == {}
    assert len(driver.said()) == 1


def test_a_name_of_impossible_length_turns_it_off(driver):
    assert driver("huge_agent") == "none"
    assert len(driver.said()) == 1
    assert driver("agent", "worker") == "0 exporter 4096 trace -"


@pytest.mark.parametrize("name", ["empty", "long", "bytes"])
def test_any_name_of_an_agent(driver, name):
    one = agent(driver, name)
    driver("post", one, "a0", "read", "peer", 64)
    driver("mark", one, "a0")
    assert driver.transfers() == {"completed": 1}


def test_other_spans_and_strange_values(driver):
    one = agent(driver)
    for name in ("nixl::registerMem", "nixl::createXferReq", "nixl::getNotifs", "nixl::unheardOf"):
        assert driver("span", one, name, 3) == "null"
    assert driver("span", one, "nixl::postXferReq.read", 5) == "span"
    driver("post", one, "0", "read", "peer", 64)
    driver("post", one, "ffffffffffffffff", "read", "peer", 64)
    driver("post", one, "a0", "read", "x" * 1000, -5)
    driver("mark", one, "a0")
    driver("mark", one, "b0")
    driver("mark", one, "0")
    stored = driver.stored()
    assert driver.transfers() == {"completed": 1, "unknown": 3}
    assert stored['nixl_posts_total{direction="rx"}'] == 4
    assert stored["kvtel_nixl_untracked_total"] == 3
    assert stored["kvtel_nixl_unmatched_total"] == 2


def test_an_agent_starts_where_no_store_can_be_made(tmp_path):
    (tmp_path / "stores").write_text("a file")
    with Driver(tmp_path) as driver:
        assert driver("agent", "worker") == "0 exporter 4096 trace -"
        driver("finish", 0, "read", 64, 7, 7)
        driver("batch", 0)
        driver("batch_end", 0)
        driver("destroy", 0)
        assert "nothing is recorded from now on" in driver.said()[-1]


def test_more_agents_than_have_room(driver):
    for i in range(64):
        agent(driver, f"a{i}")
    assert driver("agent", "one-more") == "64 exporter 4096 trace -"
    driver("finish", 64, "read", 64, 7, 7)
    driver("destroy", 64)


def test_serve_shows_it(driver, tmp_path):
    one = agent(driver)
    driver("post", one, "a0", "read", "peer", 64)
    driver("mark", one, "a0")
    with Exporter(tmp_path / "stores") as exporter:
        name = 'nixl_transfers_total{direction="rx",outcome="completed"}'
        wait_for(lambda: metrics(exporter).get(name) == 1)
        driver("post", one, "b0", "read", "peer", 64)
        driver("told", "b0", DISCONNECT)
        wait_for(lambda: metrics(exporter)['nixl_transfers_total{direction="rx",outcome="failed"}'] == 1)
        driver.end("kill")
        wait_for(lambda: not list((tmp_path / "stores").glob(f"{driver.process.pid}-*")))
        page = metrics(exporter)
        assert page[name] == 1
        assert page['nixl_posts_total{direction="rx"}'] == 2


def test_a_killed_engine_shows_what_was_on_the_wire(driver, tmp_path):
    one = agent(driver)
    for handle in ("a0", "b0", "c0"):
        driver("post", one, handle, "read", "peer", 64)
    driver("mark", one, "a0")
    driver("finish", one, "read", 64, 7, 7)
    lost = 'kvtel_unfinished_transfers_total{connector="NIXL transfers",operation="rx",outcome="lost"}'
    with Exporter(tmp_path / "stores") as exporter:
        wait_for(lambda: metrics(exporter).get(lost) == 0)
        driver.end("kill")
        wait_for(lambda: metrics(exporter)[lost] == 1)
        assert metrics(exporter)['nixl_transfers_total{direction="rx",outcome="completed_in_post"}'] == 1


def test_without_a_source_nothing_is_shown_as_open(tmp_path):
    with Driver(tmp_path, exporter=False) as driver:
        driver("agent", "worker")
        driver("post", 0, "a0", "read", "peer", 64)  # done in its post, perhaps
        lost = 'kvtel_unfinished_transfers_total{connector="NIXL transfers",operation="rx",outcome="lost"}'
        with Exporter(tmp_path / "stores") as exporter:
            wait_for(lambda: metrics(exporter).get(lost) == 0)
            driver.end("kill")
            wait_for(lambda: not list((tmp_path / "stores").glob(f"{driver.process.pid}-*")))
            assert metrics(exporter)[lost] == 0
