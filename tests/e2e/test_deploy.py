# SPDX-License-Identifier: Apache-2.0
"""What is in deploy/: a unit that is locked up, a pod that starts."""

import re
import shutil
import subprocess

import pytest

from conftest import ROOT

DEPLOY = ROOT / "deploy"


@pytest.fixture
def unit(tmp_path):
    text = (DEPLOY / "kvtel.service.in").read_text()
    text = text.replace("@KVTEL_SERVICE_BINDIR@", "/usr/bin").replace("@KVTEL_SERVICE_DATADIR@", "/usr/share")
    assert "@KVTEL" not in text
    path = tmp_path / "kvtel.service"
    path.write_text(text)
    return path


def test_the_unit_is_locked_up(unit):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if told.returncode != 0:
        pytest.skip(f"systemd-analyze does not run here: {told.stderr.strip()}")
    assert float(re.search(r"exposure level for kvtel.service: ([0-9.]+)", told.stdout)[1]) <= 2.0, told.stdout
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    complaints = [
        line for line in verified.stderr.splitlines() if "kvtel.service" in line and "is not executable" not in line
    ]
    assert complaints == []


def test_the_unit_restarts_whatever_ends_it(unit):
    text = unit.read_text()
    assert "\nRestart=always\n" in text and "\nType=notify\n" in text
    assert '\nExecReload=/bin/sh -c "kill -HUP $MAINPID"\n' in text  # not every machine has the program kill


def test_no_container_is_root():
    assert re.search(r"^USER [1-9]", (DEPLOY / "Dockerfile").read_text(), re.M)
    pod = (DEPLOY / "pod.yaml").read_text()
    assert "runAsNonRoot: true" in pod and "seccompProfile: { type: RuntimeDefault }" in pod
    containers = pod[pod.index("initContainers:") :].split("    - name: ")[1:]
    assert [one.split("\n")[0] for one in containers] == ["directories", "vllm", "kvtel"]
    for one in containers:
        assert (
            "securityContext: *locked" in one
            or "capabilities: { drop: [ALL] }" in one
            and "allowPrivilegeEscalation: false" in one
        )
    assert "readOnlyRootFilesystem: true" in containers[0] and "*locked" in containers[2]


def test_the_pods_directories_are_made_first():
    pod = (DEPLOY / "pod.yaml").read_text()
    made = re.search(r"command: \[mkdir, (.*)\]", pod)[1]
    for name in ("KVTEL_STORE_DIR", "NIXL_TELEMETRY_DIR"):
        assert re.search(rf"name: {name}, value: (\S+) ", pod)[1] in made
    # what vllm.md shows of the pod is the pod's
    for line in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/vllm.md").read_text(), re.S)[0].splitlines():
        assert line.split(" #")[0].strip() in pod, line
