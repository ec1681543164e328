# SPDX-License-Identifier: Apache-2.0
"""Manual pages and completions, which kvtel prints from the texts of --help."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from exporter import KVTEL, PATIENCE, ROOT, wait_for
from terminal import Terminal

COMMANDS = ("serve", "top", "doctor", "dump", "totals", "replay", "check", "nixl", "connectors")


def run(*command, **how):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE, **how)
    assert done.returncode == 0, done.stderr
    return done.stdout


def flags_of(command):
    text = run(KVTEL, command, "--help")
    return set(re.findall(r"--[\w.-]+", " ".join(re.findall(r"^  (--.*?)(?:  |$)", text, re.M))))


def words(text):
    return re.sub(r"\s+", " ", text)


def test_the_commands_are_these():
    assert re.findall(r"^  (\w+) ", run(KVTEL, "help"), re.M) == list(COMMANDS)
    for command in COMMANDS:
        assert run(KVTEL, "help", command) == run(KVTEL, command, "--help")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_page_says_what_help_says(command):
    page = run(KVTEL, "help", "--man", command)
    help = run(KVTEL, command, "--help")
    assert page.startswith(f'.TH "kvtel-{command}" 1 ')
    # without its macros, and what man(1) prints for its escapes, the page has the text of --help
    plain = re.sub(r"^\.(TP|PP|RS|RE|nf|fi)$|^\.(B|SS|SH|BR) ?", "", page, flags=re.M)
    plain = words(plain.replace("\\&", "").replace("\\-", "-").replace("\\e", "\\")).replace(": ", " ")
    for line in help.replace("usage: ", "").replace("exit codes: ", "").splitlines():
        for part in re.split(r"  +", line.strip()):
            assert words(part).removesuffix(":").replace(": ", " ") in plain, part
    assert all(f".B {flag}".replace("-", "\\-") in page for flag in flags_of(command) if flag != "--version")
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "SEE ALSO"):
        assert f"\n.SH {section}\n" in page


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_man_takes_the_page_without_a_warning(command, tmp_path):
    page = tmp_path / "page.1"
    page.write_text(run(KVTEL, "help", "--man", *command.split()))
    assert "SYNOPSIS" in man_without_warning(page)


def man_without_warning(*pages):
    """What man(1) shows of the pages."""
    man = shutil.which("man", path="/usr/bin:/bin")
    if not man or not subprocess.run([man, "--version"], capture_output=True, text=True).stdout.startswith("man 2"):
        pytest.skip("man-db is not installed")  # Ubuntu's images have a script of that name
    environment = {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "MANROFFSEQ": "",
        "MANWIDTH": "100",
        "MAN_DISABLE_SECCOMP": "1",
    }
    done = subprocess.run(
        ["man", "--warnings", "-l", "-P", "cat", *pages],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment,
    )
    assert done.returncode == 0 and "warning" not in done.stderr and "error" not in done.stderr, done.stderr
    return done.stdout


def test_each_function_header_and_format_has_a_page(tmp_path):
    run(sys.executable, ROOT / "cmake/manuals.py", ROOT, tmp_path, "0.1.0")
    headers = {path.name: path.read_text() for path in (ROOT / "include/kvtel").glob("*.h")}
    functions = set(re.findall(r"\bKVTEL_API\b[^;(]*?(kvtel_\w+)\(", "".join(headers.values())))
    assert len(functions) > 100
    assert {path.stem for path in (tmp_path / "man3").iterdir()} == functions | {f"kvtel_{name}" for name in headers}
    assert sorted(path.stem for path in (tmp_path / "man5").iterdir()) == [
        "kvtel-recording",
        "kvtel-store",
        "kvtel-web-config",
    ]
    pages = tmp_path / "pages.3"  # in one file, as man(1) starts six programs for each
    pages.write_text("".join(path.read_text() for path in sorted(tmp_path.glob("man?/*"))))
    shown = man_without_warning(pages)
    assert "enum kvtel_status kvtel_store_family(struct kvtel_store *store," in shown
    assert "RETURN VALUE" in shown and "basic_auth_users" in shown and "layout version, 2" in shown
    for page in (tmp_path / "man5").iterdir():
        text = re.sub(r"(?s)\.nf\n.*?\.fi\n", "", page.read_text())
        assert not re.search(r"^\||\]\(|\*\*|`", text, re.M), "Markdown was left as it is"


def complete(tmp_path, *line, cwd=None):
    """What bash offers for the last word of a line, cut as bash cuts it."""
    file = tmp_path / "completion.bash"
    file.write_text(run(KVTEL, "help", "--completion", "bash"))
    typed = [word for part in line for word in re.findall(r"=|[^=]+|^$", part)]
    quoted = " ".join(f"'{word}'" for word in typed)
    script = f'. {file}; COMP_WORDS=({quoted}); COMP_CWORD={len(typed) - 1}; _kvtel; printf "%s\\n" "${{COMPREPLY[@]}}"'
    return run("bash", "--norc", "-c", script, cwd=cwd).split("\n")[:-1]


def test_bash_completes_commands_and_flags(tmp_path):
    assert complete(tmp_path, "kvtel", "to") == ["top", "totals"]
    assert set(COMMANDS) <= set(complete(tmp_path, "kvtel", ""))
    assert complete(tmp_path, "kvtel", "top", "--on") == ["--once"]
    assert complete(tmp_path, "kvtel", "serve", "--store.d") == ["--store.dir="]
    assert complete(tmp_path, "kvtel", "top", "--once", "--js") == ["--json"]
    for command in COMMANDS:
        assert {word.rstrip("=") for word in complete(tmp_path, "kvtel", command, "--")} == flags_of(command)


def test_bash_completes_files(tmp_path):
    (tmp_path / "a file.json").touch()
    assert complete(tmp_path, "kvtel", "check", "a", cwd=tmp_path) == ["a file.json"]
    assert complete(tmp_path, "kvtel", "serve", "--connector.file=a", cwd=tmp_path) == ["a file.json"]
    assert "a file.json" in complete(tmp_path, "kvtel", "serve", "--connector.file=", cwd=tmp_path)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_theirs(tmp_path, shell):
    text = run(KVTEL, "help", "--completion", shell)
    for command in COMMANDS:
        for flag in flags_of(command):
            assert (flag if shell == "zsh" else f"-l {flag[2:]}") in text
    if shutil.which(shell):
        (tmp_path / "completion").write_text(text)
        run(shell, "-n", tmp_path / "completion")


# What is typed, and what every shell offers for it.
OFFERED = {
    "kvtel to": {"top", "totals"},
    "kvtel serve --log.style=": {"default", "vllm"},
    "kvtel serve --log.level=": {"debug", "info", "warn", "error"},
    "kvtel serve --metrics.histograms=n": {"native"},
    "kvtel replay --metrics.format=o": {"openmetrics"},
    "kvtel top --sort=p": {"p50", "p90", "p99"},
    "kvtel serve --store.dir=dir": {"directory/"},
    "kvtel check --connector.file=dir": {"directory/", "directory.json"},
    "kvtel check dir": {"directory/", "directory.json"},
    "kvtel nixl ": {"install", "status", "uninstall"},
    "kvtel connectors NixlP": {"NixlPullConnector", "NixlPushConnector"},
    "kvtel help --completion ": {"bash", "zsh", "fish"},
    "kvtel help che": {"check"},
}


def values_of(offered):
    return {word.strip().partition("=")[2] or word.strip() for word in offered if word.strip()}


@pytest.fixture
def place(tmp_path):
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory.json").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/kvtel").symlink_to(KVTEL)
    return tmp_path


def test_bash_offers_values(place, monkeypatch):
    monkeypatch.setenv("PATH", f"{place / 'bin'}:{os.environ['PATH']}")
    for line, words in OFFERED.items():
        offered = complete(place, *line.split(" "), cwd=place)
        assert {word.rstrip("/") for word in offered} == {word.rstrip("/") for word in words}, line
    assert complete(place, "kvtel", "serve", "--web.max-requests=", cwd=place) == [""]
    assert complete(place, "kvtel", "totals", "dir", cwd=place) == [""]


def test_fish_offers_values(place):
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    (place / "kvtel.fish").write_text(run(KVTEL, "help", "--completion", "fish"))
    lines = [*OFFERED, "kvtel serve --web.max-requests=", "kvtel totals dir"]
    script = "source kvtel.fish\n" + "".join(f"complete -C '{line}'; echo ---\n" for line in lines)
    environment = {
        **os.environ,
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "HOME": str(place),
        "XDG_CONFIG_HOME": str(place),
    }
    answers = run("fish", "--no-config", "-c", script, cwd=place, env=environment).split("---\n")
    for line, answer in zip(lines, answers):
        offered = values_of(each.partition("\t")[0] for each in answer.splitlines())
        assert offered == OFFERED.get(line, set()), line


def test_zsh_offers_values(place):
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    (place / "functions").mkdir()
    (place / "functions/_kvtel").write_text(run(KVTEL, "help", "--completion", "zsh"))
    start = f"cd {place}; path=({place}/bin $path); fpath=({place}/functions $fpath); autoload -U compinit; compinit -D -u; clear; echo re''ady"
    with Terminal(["zsh", "-f", "-i"], width=150, environment={"HOME": str(place)}) as terminal:
        terminal.keys("-l", start)
        terminal.keys("Enter")
        terminal.wait_for("ready")
        for line, words in OFFERED.items():
            terminal.keys("C-u")
            terminal.keys("C-l")
            terminal.keys("-l", line)
            terminal.wait_for(line.rstrip())
            terminal.keys("C-d")  # lists what would complete the line
            if len(words) == 1:
                terminal.keys("Tab")
            wait_for(
                lambda: words <= set(" ".join(terminal.screen()).replace("=", " ").split()),
                lambda: "\n".join([line, *terminal.screen()]),
            )


def test_values_are_those_of_help():
    """What is offered stands in the text of --help."""
    source = (ROOT / "src/command/completion.c").read_text()
    choices = re.findall(r'\{ "(--[\w.]+)=", "([\w ]+)" \}', source)
    assert len(choices) > 4
    texts = {command: run(KVTEL, command, "--help") for command in COMMANDS}
    for flag, values in choices:
        having = [text for text in texts.values() if f"  {flag}=" in text]
        assert having, flag
        for text in having:
            told = re.sub(r"\s+", " ", text[text.index(f"  {flag}=") :])[:400]
            assert all(value in told for value in values.split()), flag


def test_what_help_cannot_print():
    for arguments, said in (
        (["--completion", "tcsh"], "--completion bash, zsh or fish"),
        (["--man", "nothing"], 'unknown command "nothing"'),
        (["srve"], "did you mean serve?"),
    ):
        done = subprocess.run([KVTEL, "help", *arguments], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 2 and said in done.stderr
