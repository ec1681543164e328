# SPDX-License-Identifier: Apache-2.0
"""kvtel nixl: links in NIXL's directories of plug-ins, and who has loaded them."""

import os
import shutil
import subprocess

import pytest
from exporter import KVTEL
from nixl_driver import Driver

TRACE, EXPORTER = "libtrace_backend_kvtel.so", "libtelemetry_exporter_kvtel.so"


def nixl(*arguments, **options):
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "CONDA_PREFIX", "NIXL_PLUGIN_DIR")}
    environment |= options.pop("environment", {})
    return subprocess.run([KVTEL, "nixl", *arguments], capture_output=True, text=True, env=environment, timeout=60, **options)


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "libkvtel_nixl.so"
    path.write_bytes(b"\x7fELF")
    return path.resolve()


def make_site(place, version="1.5.1", package="nixl_cu13"):
    """A directory of Python packages as NIXL's wheel makes it. Returns it and the directory of plug-ins."""
    plugins = place / f".{package}.mesonpy.libs" / "plugins"
    plugins.mkdir(parents=True)
    for name in ("libplugin_UCX.so", "libplugin_POSIX.so"):
        (plugins / name).write_bytes(b"a plug-in")
    (place / f"{package}.libs").mkdir()
    (place / f"{package}-{version}.dist-info").mkdir()
    return place, plugins


def test_install_status_and_uninstall(tmp_path, plugin):
    site, plugins = make_site(tmp_path / "site-packages")
    for _ in range(2):  # a second time changes nothing
        done = nixl("install", f"--site-packages={site}", f"--plugin={plugin}")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"NIXL 1.5.1 in {site}" in done.stdout
        assert os.readlink(plugins / TRACE) == os.readlink(plugins / EXPORTER) == str(plugin)
    for engine in ("vLLM", "Dynamo", "SGLang", "TensorRT-LLM", "a container"):
        assert f"\n  {engine} " in done.stdout
    assert "NIXL_TRACE_BACKENDS=kvtel NIXL_TELEMETRY_EXPORTER=kvtel KVTEL_NIXL=1" in done.stdout
    status = nixl("status", f"--site-packages={site}").stdout
    assert f"{TRACE}: a link to {plugin}\n  {EXPORTER}: a link to {plugin}" in status
    plugin.unlink()
    assert f"{TRACE}: a link to a file that is gone: {plugin}" in nixl("status", f"--site-packages={site}").stdout
    assert nixl("uninstall", f"--site-packages={site}").stdout == f"removed from NIXL 1.5.1 in {site}\n"
    assert sorted(each.name for each in plugins.iterdir()) == ["libplugin_POSIX.so", "libplugin_UCX.so"]
    done = nixl("uninstall", f"--site-packages={site}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert f"{TRACE}: not there" in nixl("status", f"--site-packages={site}").stdout


@pytest.mark.parametrize("version, halves", [("1.2.0", []), ("1.3.2", [EXPORTER]), ("1.4.0", [EXPORTER, TRACE]), ("2.0", [EXPORTER, TRACE]), ("odd", [EXPORTER, TRACE])])
def test_each_version_gets_the_halves_that_it_loads(tmp_path, plugin, version, halves):
    site, plugins = make_site(tmp_path / "site-packages", version)
    done = nixl("install", f"--site-packages={site}", f"--plugin={plugin}")
    assert done.returncode == (0 if halves else 1)
    assert sorted(each.name for each in plugins.glob("*kvtel*")) == halves
    assert ("NIXL_TRACE_BACKENDS" in done.stdout) == (TRACE in halves)
    if not halves:
        assert "1.3 and later do" in done.stderr


def test_the_python_environments_of_a_user_are_found(tmp_path, plugin):
    by_variable, _ = make_site(tmp_path / "one" / "lib" / "python3.12" / "site-packages", "1.4.0")
    by_path, _ = make_site(tmp_path / "two" / "lib" / "python3.11" / "site-packages", "1.5.1", "nixl_cu12")
    by_home, _ = make_site(tmp_path / "home" / ".local" / "lib" / "python3.11" / "site-packages", "1.3.2")
    (tmp_path / "two" / "bin").mkdir()
    environment = {"VIRTUAL_ENV": str(tmp_path / "one"), "PATH": f"{tmp_path}/two/bin::/nowhere", "HOME": str(tmp_path / "home")}
    status = nixl("status", environment=environment).stdout
    for version, site in (("1.4.0", by_variable), ("1.5.1", f"{tmp_path}/two/bin/../lib/python3.11/site-packages"), ("1.3.2", by_home)):
        assert f"NIXL {version} in {site}\n" in status
    if status.count("\nNIXL ") + status.startswith("NIXL ") > 3:
        pytest.skip("this machine has a NIXL, which install would change")
    assert nixl("install", f"--plugin={plugin}", environment=environment).returncode == 0
    assert (by_path / ".nixl_cu12.mesonpy.libs" / "plugins" / TRACE).is_symlink()


def test_a_shadow_of_a_relative_place_leads_to_it(tmp_path, plugin):
    site, _ = make_site(tmp_path / "site-packages")
    done = nixl("install", f"--site-packages={site.name}", f"--plugin={plugin}", "--shadow=shadow", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    shadow = tmp_path / "shadow"
    assert (shadow / "m" / "plugins" / "libplugin_UCX.so").read_bytes() == b"a plug-in"
    assert (shadow / "nixl_cu13.libs").resolve() == (site / "nixl_cu13.libs").resolve()


def test_a_shadow_leaves_nixls_directory_alone(tmp_path, plugin):
    site, plugins = make_site(tmp_path / "site-packages")
    shadow = tmp_path / "shadow"
    for _ in range(2):
        done = nixl("install", f"--site-packages={site}", f"--plugin={plugin}", f"--shadow={shadow}")
        assert (done.returncode, done.stderr) == (0, "")
    assert f"NIXL_PLUGIN_DIR={shadow}/m/plugins" in done.stdout
    assert not list(plugins.glob("*kvtel*"))
    assert (shadow / "m" / "plugins" / "libplugin_UCX.so").read_bytes() == b"a plug-in"
    assert os.readlink(shadow / "m" / "plugins" / TRACE) == str(plugin)
    assert (shadow / "nixl_cu13.libs").resolve() == (site / "nixl_cu13.libs").resolve()
    assert nixl("uninstall", f"--shadow={shadow}").stdout == f"removed {shadow}\n"
    assert not shadow.exists()
    done = nixl("uninstall", f"--shadow={shadow}")
    assert done.returncode == 1 and "No such file or directory" in done.stderr


def test_a_shadow_with_files_of_others_stays(tmp_path, plugin):
    site, _ = make_site(tmp_path / "site-packages")
    shadow = tmp_path / "shadow"
    nixl("install", f"--site-packages={site}", f"--plugin={plugin}", f"--shadow={shadow}")
    (shadow / "m" / "plugins" / "libmine.so").write_bytes(b"mine")
    done = nixl("uninstall", f"--shadow={shadow}")
    assert done.returncode == 1 and "libmine.so is no link: it stays" in done.stderr
    assert (shadow / "m" / "plugins" / "libmine.so").read_bytes() == b"mine"


def test_a_directory_of_plugins_can_be_named_itself(tmp_path, plugin):
    done = nixl("install", f"--plugins={tmp_path}", f"--plugin={plugin}")
    assert done.returncode == 0 and f"NIXL (version not known) in {tmp_path}" in done.stdout
    assert (tmp_path / TRACE).is_symlink() and (tmp_path / EXPORTER).is_symlink()


def test_a_file_of_that_name_is_not_replaced(tmp_path, plugin):
    site, plugins = make_site(tmp_path / "site-packages")
    (plugins / EXPORTER).write_bytes(b"a copy")
    for task in ("install", "uninstall"):
        done = nixl(task, f"--site-packages={site}", *([f"--plugin={plugin}"] if task == "install" else []))
        assert done.returncode == 1 and "no link" in done.stderr
    assert (plugins / EXPORTER).read_bytes() == b"a copy"
    assert f"{EXPORTER}: a file\n" in nixl("status", f"--site-packages={site}").stdout


def test_the_plugin_of_the_python_package_is_found(tmp_path):
    site, plugins = make_site(tmp_path / "site-packages")
    (site / "kvtel").mkdir()
    own = site / "kvtel" / "libkvtel_nixl.so"
    own.write_bytes(b"\x7fELF")
    alone = tmp_path / "kvtel"
    shutil.copy(KVTEL, alone)
    done = subprocess.run([alone, "nixl", "install", f"--site-packages={site}"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert os.readlink(plugins / TRACE) == str(own.resolve())
    own.unlink()
    done = subprocess.run([alone, "nixl", "install", f"--site-packages={site}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "--plugin=FILE says where it is" in done.stderr


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        ([], 2, "install, status or uninstall?"),
        (["instal"], 2, "instal: no such argument"),
        (["install", "more"], 2, "more: no such argument"),
        (["install", "--site=x"], 1, "x is no directory"),
        (["install", "--nonsense"], 2, "Try 'kvtel nixl --help'"),
        (["install", "--site-packages={tmp}"], 1, "has no NIXL with a directory of plug-ins"),
        (["install", "--site-packages={tmp}/none"], 1, "none is no directory"),
        (["install", "--plugins={tmp}", "--plugin={tmp}/none"], 1, "none is no file"),
        (["install", "--plugins={tmp}", "--plugins={tmp}", "--shadow={tmp}/s"], 1, "2 were found"),
        (["status", "--plugins={tmp}/none"], 1, "none is no directory"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, arguments, code, said):
    done = nixl(*(each.format(tmp=tmp_path) for each in arguments))
    assert done.returncode == code and said in done.stderr


def test_help_names_each_option():
    text = nixl("--help").stdout
    assert all(f"--{name}" in text for name in ("site-packages", "plugins", "shadow", "plugin", "help"))


def test_where_the_directory_cannot_be_written_a_shadow_is_advised(tmp_path, plugin):
    site, plugins = make_site(tmp_path / "site-packages")
    plugins.chmod(0o555)
    done = nixl("install", f"--site-packages={site}", f"--plugin={plugin}")
    plugins.chmod(0o755)
    if os.geteuid() == 0:
        assert done.returncode == 0  # who is not bound by permissions
    else:
        assert done.returncode == 1 and "--shadow=DIR" in done.stderr


def test_status_shows_processes_that_have_loaded_nixl(tmp_path):
    with Driver(tmp_path, NIXL_TRACE_BACKENDS="kvtel\n") as driver:
        driver("agent", "worker")
        status = nixl("status", f"--plugins={tmp_path}").stdout
        lines = status[status.index("processes:") :].splitlines()
        first = next(i for i, line in enumerate(lines) if line.startswith(f"  {driver.process.pid} "))
        assert lines[first].endswith("libkvtel_nixl.so") and "has loaded /" in lines[first]
        assert "    NIXL_TRACE_BACKENDS=kvtel\\n" in lines[first : first + 5]
        assert f"    KVTEL_STORE_DIR={tmp_path}/stores" in lines[first : first + 5]


def test_status_shows_nixl_without_kvtel(tmp_path):
    with Driver(tmp_path, load=False) as driver:
        status = nixl("status", f"--plugins={tmp_path}").stdout
        assert f"  {driver.process.pid} nixl_driver: has loaded NIXL without kvtel\n" in status


@pytest.mark.skipif(os.geteuid() != 0 or "KVTEL_SANITIZED" in os.environ, reason="needs another user, and no sanitizer")
def test_status_does_not_fail_on_processes_of_others(tmp_path):
    alone = tmp_path / "kvtel"
    shutil.copy(KVTEL, alone)
    alone.chmod(0o755)
    with open(alone, "rb") as program:  # its directory is closed to others
        done = subprocess.run([f"/proc/self/fd/{program.fileno()}", "nixl", "status"], pass_fds=[program.fileno()], user=65534,
                              capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin"})  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "processes:\n" in done.stdout
