# SPDX-License-Identifier: Apache-2.0
"""What would stop an engine that NIXL's plug-in is loaded into, and what NIXL does not tell a plug-in of."""

import subprocess

import pytest
from nixl_driver import PLUGIN, Driver, agent

ACTIVE = 1
STATUSES = {
    -1: "not_posted",
    -2: "invalid_param",
    -3: "backend",
    -4: "not_found",
    -5: "mismatch",
    -6: "not_allowed",
    -8: "unknown",
    -9: "not_supported",
    -10: "remote_disconnect",
    -11: "canceled",
    -12: "no_telemetry",
    -13: "other",
    -1000: "other",
}


@pytest.fixture
def driver(tmp_path):
    with Driver(tmp_path) as running:
        yield running


def test_no_exception_can_leave_it():
    """One out of create, beginSpan or mark fails NIXL's call; out of a destructor or exportEvent it ends the process."""
    names = subprocess.run(["nm", "-D", "--undefined-only", PLUGIN], check=True, capture_output=True, text=True).stdout
    if "san_" in names:
        pytest.skip("a sanitizer's runtime is linked")
    assert not [line for line in names.splitlines() if any(word in line for word in ("__cxa_", "__gxx_", "_Unwind_", "_Zn", "_Zd")) and "__cxa_finalize" not in line]


def test_nixl_gets_its_exporter_where_there_is_no_memory(driver):
    one = agent(driver)
    if (answer := driver("poor_agent", "second")) == "cannot fail":
        pytest.skip("malloc() is a sanitizer's")
    assert answer == "1 exporter 4096 trace -"
    assert driver("poor_agent", "third") == "2 exporter 4096 trace -"  # both have the one that does nothing
    for index in (1, 2):
        driver("finish", index, "read", 64, 7, 7)
        driver("post", index, "b0", "read", "peer", 64)
        driver("mark", index, "b0")
        driver("destroy", index)
    assert any("no memory for an exporter" in line for line in driver.said())
    driver("post", one, "a0", "read", "peer", 64)
    driver("mark", one, "a0")
    assert driver.transfers() == {"completed": 1}
    assert agent(driver, "second") == 3  # there is memory again


def test_an_agent_starts_where_the_first_one_has_no_memory(tmp_path):
    with Driver(tmp_path) as driver:
        if (answer := driver("poor_agent", "worker")) == "cannot fail":
            pytest.skip("malloc() is a sanitizer's")
        assert answer == "0 exporter 4096 trace -"
        driver("finish", 0, "read", 64, 7, 7)
        driver("destroy", 0)
        assert driver.said()


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_that_a_look_or_a_post_may_return(driver, status):
    one = agent(driver)
    driver("post", one, "a0", "read", "peer", 64)
    driver("told", "a0", ACTIVE)
    driver("told", "a0", status)
    driver("told", "a0", status)  # each further look returns it
    driver("released", "a0", driver("number", "a0"))
    assert driver.transfers() == {"failed": 1}
    assert driver.stored()[f'nixl_transfer_failures_total{{direction="rx",status="{STATUSES[status]}"}}'] == 1


def test_done_and_never_looked_at(driver):
    """Its handle, then its agent, goes: NIXL tells nothing of the one."""
    one = agent(driver)
    driver("post", one, "a0", "read", "peer", 64)
    driver("post", one, "b0", "read", "peer", 64)
    driver("told", "a0", ACTIVE)
    driver("released", "a0", driver("number", "a0"))
    assert driver.transfers() == {"released": 1}
    driver("destroy", one)
    assert driver.transfers() == {"released": 1, "abandoned": 1}


def test_calls_that_fail_look_as_if_they_had_worked(driver):
    """An unknown peer, memory that nobody registered, wrong counts: no post comes of them."""
    one = agent(driver)
    driver("create", one, "nobody")
    driver("peer", one, "-")
    driver("connect", one, "nobody")
    driver("event", one, 11, 1)
    stored = driver.stored()
    assert driver.transfers() == {} and stored['nixl_posts_total{direction="rx"}'] == 0
    assert stored['nixl_errors_total{status="not_found"}'] == 1
