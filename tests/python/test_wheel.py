# SPDX-License-Identifier: Apache-2.0
"""The wheel itself: what it needs, what is in it, whether the stubs tell the truth."""

import ast
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import kvtel
import pytest


def extension():
    return Path(sys.modules["kvtel._kvtel"].__file__)


def test_the_wheel_needs_libc_alone():
    assert extension().name == "_kvtel.abi3.so"
    listed = subprocess.run(["ldd", extension()], capture_output=True, text=True, check=True).stdout
    needed = {line.split()[0].split("/")[-1] for line in listed.splitlines()}
    assert {
        name
        for name in needed
        if not name.startswith(("linux-vdso", "linux-gate", "ld-linux", "libc.", "libm.", "libpthread."))
    } == set()


def test_auditwheel_finds_nothing_outside():
    wheel = os.environ.get("KVTEL_WHEEL")
    pytest.importorskip("auditwheel")
    if not wheel:
        pytest.skip("no wheel in $KVTEL_WHEEL")
    shown = subprocess.run([sys.executable, "-m", "auditwheel", "show", wheel], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "manylinux_" in shown.stdout
    named = set(re.findall(r"lib[\w+-]+\.so[.\d]*", shown.stdout))
    assert named <= {"libc.so.6", "libm.so.6", "libpthread.so.0"}


def test_what_is_installed():
    files = {str(path) for path in importlib.metadata.files("kvtel")}
    assert {"kvtel/py.typed", "kvtel/_kvtel.pyi", "kvtel/vllm.py"} <= files
    assert not [name for name in files if name.endswith((".h", ".a", ".pc", ".cmake"))]
    assert {name.split("dist-info/licenses/")[-1] for name in files if "licenses" in name} == {"LICENSE", "jansson.txt"}
    assert kvtel.__version__ == importlib.metadata.version("kvtel")


def test_nixls_plugin_is_in_it_and_needs_libc_alone():
    plugin = extension().with_name("libkvtel_nixl.so")
    if not plugin.exists():
        pytest.skip("built without a C++ compiler")
    listed = subprocess.run(["ldd", plugin], capture_output=True, text=True, check=True).stdout
    needed = {line.split()[0].split("/")[-1].split(".")[0] for line in listed.splitlines()}
    assert needed <= {"linux-vdso", "linux-gate", "ld-linux-x86-64", "ld-linux-aarch64", "libc", "libm", "libpthread", "libdl"}
    symbols = subprocess.run(["nm", "-D", "--defined-only", plugin], capture_output=True, text=True, check=True).stdout
    assert {"nixl_trace_plugin_init", "nixl_telemetry_plugin_init", "kvtel_nixl_outcome"} <= set(symbols.split())


def test_stubs_name_what_is_there():
    native = sys.modules["kvtel._kvtel"]
    tree = ast.parse(Path(extension()).with_name("_kvtel.pyi").read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            assert callable(getattr(native, node.name))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    assert hasattr(getattr(native, node.name), member.name), (node.name, member.name)
    for name in kvtel.__all__:
        assert getattr(kvtel, name).__doc__, name


ROOT = Path(__file__).resolve().parents[2]


def test_an_image_needs_no_compiler(tmp_path):
    """The RUN lines of docs/vllm.md, in an environment that has neither a compiler nor a network."""
    wheel = os.environ.get("KVTEL_WHEEL")
    if not wheel or not (extension().with_name("libkvtel_nixl.so")).exists():
        pytest.skip("no wheel in $KVTEL_WHEEL, or built without a C++ compiler")
    page = (ROOT / "docs/vllm.md").read_text()
    image = page[page.index("    FROM vllm/vllm-openai") : page.index("    ENV KVTEL_STORE_DIR")]
    lines = re.findall(r"^    RUN (.*)$", image, re.M)
    assert len(lines) == 2
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True, timeout=300)
    python = tmp_path / "venv/bin/python3"
    where = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
    pip = importlib.util.find_spec("pip")
    (site / "pip").symlink_to(Path(pip.origin).parent)  # to unpack another one takes longer than all the rest
    plugins = site / ".nixl_cu13.mesonpy.libs/plugins"
    plugins.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ln").symlink_to("/bin/ln")
    environment = {"PATH": f"{tmp_path}/venv/bin:{tmp_path}/bin", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    for line in lines:
        command = line.replace("/wheels/kvtel-*.whl", wheel)
        subprocess.run(["/bin/sh", "-euc", command], check=True, env=environment, timeout=300)
    for name in ("libtrace_backend_kvtel.so", "libtelemetry_exporter_kvtel.so"):
        assert (plugins / name).resolve() == (site / "kvtel/libkvtel_nixl.so").resolve() and (plugins / name).exists()
    entry = "import importlib.metadata as m; print([e.load() for e in m.entry_points(group='vllm.general_plugins')])"
    loaded = subprocess.run([python, "-c", entry], capture_output=True, text=True, env=environment, timeout=300)
    assert loaded.returncode == 0 and "register" in loaded.stdout, loaded.stderr
