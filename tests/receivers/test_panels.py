# SPDX-License-Identifier: Apache-2.0
"""Prometheus 3.16: each panel of the dashboards shows something, and totals are those of kvtel's pages alone."""

import pytest
from panels import check_panels, two_pages


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    with two_pages(tmp_path_factory.mktemp("sources")) as pages:
        yield pages


@pytest.mark.parametrize("kind", ["classic", "native", "both"])
def test_every_panel_shows_something(program, everything, tmp_path, kind):
    check_panels(*everything, tmp_path, kind, program("prometheus"))
