# SPDX-License-Identifier: Apache-2.0
"""Every code block of every page is compiled, run or parsed. What cannot be has a comment above it, `<!-- not run: WHY -->`; the
syntax of such a block is checked where its language has one.

`<!-- compile -->` marks a whole program in C, `<!-- compile: body -->` statements in C or C++, and C without a mark is a file. `<!-- output: COMMAND -->`
marks what a command prints; in a console block each command follows a $.
"""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from pages import ROOT, all_blocks

BUILD = Path(os.environ.get("KVTEL", ROOT / "build/kvtel")).parent
CC = os.environ.get("CC", "cc").split()
CXX = (os.environ.get("CXX") or "c++").split()
BLOCKS = all_blocks()

# What the statements of instrumenting.md, connectors.md and README.md take from the program around them.
BODY = """#include <kvtel/kvtel.h>
#include <kvtel/recorder.h>
void body(struct kvtel_recorder *recorder, struct kvtel_stats *stats, uint32_t tp_rank, uint64_t start, uint64_t posted, uint64_t done,
          uint64_t bytes, uint32_t n);
void body(struct kvtel_recorder *recorder, struct kvtel_stats *stats, uint32_t tp_rank, uint64_t start, uint64_t posted, uint64_t done,
          uint64_t bytes, uint32_t n)
{
    (void)recorder; (void)stats; (void)tp_rank; (void)start; (void)posted; (void)done; (void)bytes; (void)n;
    {
%s
    }
}
"""

# The same for C++, one for each block, which must be the C++17 and the C++20 of the headers.
CPP_BODY = """
void body_%d(kvtel::Operation transfers, kvtel_stats *stats, std::uint32_t tp_rank, std::uint64_t start, std::uint64_t posted,
             std::uint64_t done, std::uint64_t bytes, std::uint32_t n)
{
    (void)transfers; (void)stats; (void)tp_rank; (void)start; (void)posted; (void)done; (void)bytes; (void)n;
    {
#line %d "%s"
%s
    }
}
"""

# Prints the lines that the table of connectors.md gives for the payload above it: vLLM's style, then kvtel's own.
EXAMPLE_MAIN = """
#include <kvtel/kvtel.h>
#include <stdio.h>
#include <string.h>
static void print_line(void *context, const char *line) { fprintf(context, "%s\\n", line); }
int main(int argc, char **argv)
{
    struct kvtel_error error;
    if (argc != 2 || kvtel_connector_register(&kvtel_connector_examplefs, &error) != KVTEL_OK)
        return 1;
    for (int style = 0; style < 2; style++) {
        struct kvtel_transfer_config *config = kvtel_transfer_config_of("ExampleFSConnector");
        struct kvtel_logging *logging = kvtel_logging_create(config, style == 0 ? KVTEL_LOG_VLLM : KVTEL_LOG_DEFAULT, NULL);
        struct kvtel_stats *stats = kvtel_stats_create(&kvtel_connector_examplefs, NULL);
        if (kvtel_stats_decode(stats, KVTEL_JSON, argv[1], strlen(argv[1]), &error) != KVTEL_OK)
            return 2;
        kvtel_logging_observe(logging, stats, NULL);
        kvtel_logging_log(logging, 10, print_line, stdout);
        kvtel_stats_destroy(stats);
        kvtel_logging_destroy(logging);
        kvtel_transfer_config_destroy(config);
    }
    return 0;
}
"""

YAML_MAIN = """#include <stdio.h>
#include <yaml.h>
int main(void)
{
    yaml_parser_t parser;
    yaml_event_t event;
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_file(&parser, stdin);
    for (int last = 0; !last; yaml_event_delete(&event)) {
        if (!yaml_parser_parse(&parser, &event))
            return fprintf(stderr, "line %zu: %s\\n", parser.problem_mark.line + 1, parser.problem), 1;
        last = event.type == YAML_STREAM_END_EVENT;
    }
    yaml_parser_delete(&parser);
    return 0;
}
"""


def of(*languages):
    chosen = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", chosen, ids=map(str, chosen))


def compile_c(text, place, *flags):
    source = place / "block.c"
    source.write_text(text)
    command = [*CC, "-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-variable", f"-I{ROOT / 'include'}", source]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def link_flags(program):
    jansson = subprocess.run(["pkg-config", "--libs", "jansson"], capture_output=True, text=True, check=True).stdout.split()
    return ["-o", program, BUILD / "libkvtel.a", *jansson, "-pthread", "-lm"]


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def test_every_block_is_of_a_known_kind():
    languages = {"c", "cpp", "json", "jsonnet", "yaml", "promql", "python", "rust", "toml", "console", "text", "", "indented"}
    wrong = [f"{block}: language {block.language!r}" for block in BLOCKS if block.language not in languages]
    marks = re.compile(r"compile|compile: body|output: .+|not run: .+|")
    wrong += [f"{block}: mark {block.mark!r}" for block in BLOCKS if not marks.fullmatch(block.mark)]
    # What no test below looks at has to say why.
    wrong += [
        f"{block}: neither run nor marked <!-- not run: WHY -->"
        for block in BLOCKS
        if block.language in ("", "indented", "python", "cpp", "rust")
        and not block.mark.startswith(("not run: ", "output: "))
        and (block.language, block.mark) != ("cpp", "compile: body")
        and block.page.name != "recording-format.md"
        and (block.page.name, block.language) != ("rust.md", "rust")  # rustdoc runs them: rust/kvtel/src/lib.rs
    ]
    assert not wrong, "\n".join(wrong)


@of("c")
def test_c_compiles(block, tmp_path):
    if block.mark == "compile":
        compile_c(block.text, tmp_path, *link_flags(tmp_path / "program"))
        assert run([tmp_path / "program"]).returncode == 0
        return
    text = BODY % block.text.replace("#include <kvtel/recorder.h>\n", "") if block.mark else block.text
    compile_c(text, tmp_path, "-fsyntax-only")


@pytest.mark.parametrize("standard", ["c++17", "c++20"])
def test_cpp_compiles(standard, tmp_path):
    blocks = [block for block in BLOCKS if (block.language, block.mark) == ("cpp", "compile: body")]
    assert blocks
    text = "#include <kvtel/kvtel.h>\n#include <kvtel/kvtel.hpp>\n"
    for number, block in enumerate(blocks):
        statements = block.text.replace("#include <kvtel/kvtel.hpp>", "")
        text += CPP_BODY % (number, block.line + 1, block.page, statements)
    (tmp_path / "blocks.cpp").write_text(text)
    warnings = ["-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers", "-Wno-unused"]
    done = run([*CXX, f"-std={standard}", *warnings, f"-I{ROOT / 'include'}", "-fsyntax-only", tmp_path / "blocks.cpp"])
    assert done.returncode == 0, done.stderr


def test_statements_in_c_have_the_same_in_cpp_below_them():
    for page in ("instrumenting.md", "connectors.md"):
        marked = [block for block in BLOCKS if block.page.name == page and block.mark == "compile: body"]
        languages = [block.language for block in marked]
        assert languages == ["c", "cpp"] * (len(languages) // 2) and languages, [str(block) for block in marked]


@of("json")
def test_json_parses(block):
    if not block.text.count("\n{"):
        json.loads(block.text)
        return
    for line in block.text.splitlines():
        json.loads(line)


@of("promql")
def test_prometheus_takes_a_query(block, tmp_path):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed")
    rule = {"groups": [{"name": "docs", "rules": [{"record": "a", "expr": block.text}]}]}
    (tmp_path / "rules.yml").write_text(json.dumps(rule))
    done = run(["promtool", "check", "rules", tmp_path / "rules.yml"])
    assert done.returncode == 0, done.stdout + done.stderr


@of("yaml")
def test_yaml_parses(block, tmp_path):
    compile_c(YAML_MAIN, tmp_path, "-o", tmp_path / "yaml", "-lyaml")
    done = run([tmp_path / "yaml"], input=block.text)
    assert done.returncode == 0, done.stderr


@of("toml")
def test_toml_parses(block):
    tomllib.loads(block.text)


@of("python")
def test_python_parses(block):
    compile(block.text, str(block), "exec")


@of("", "indented")
def test_commands_are_sound(block):
    if block.mark in ("not run: a drawing",) or "output of one run" in block.mark or block.mark.startswith("output: "):
        return
    lines = [line for line in block.text.splitlines() if not line.startswith("{")]  # an answer
    done = run(["bash", "-n"], input="\n".join(lines))
    assert done.returncode == 0, done.stderr


def test_printed_output_is_what_the_command_prints():
    marked = [block for block in BLOCKS if block.mark.startswith("output: ")]
    assert marked
    for block in marked:
        command = block.mark.removeprefix("output: ").replace("build/kvtel", str(BUILD / "kvtel"))
        done = run(["bash", "-c", command], cwd=ROOT)
        assert done.stdout == block.text, f"{block}: {command} prints\n{done.stdout}{done.stderr}"


def test_the_recording_that_is_written_by_hand(tmp_path):
    blocks = [block for block in BLOCKS if block.page.name == "recording-format.md"]
    (tmp_path / "my.jsonl").write_text(next(block.text for block in blocks if block.language == "json"))
    environment = {**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}"}
    consoles = [block for block in blocks if block.language == "console"]
    assert len(consoles) == 2
    for block in consoles:
        commands = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
        expected = [line for line in block.text.splitlines() if not line.startswith("$ ")]
        done = run(["bash", "-c", "\n".join(commands)], cwd=tmp_path, env=environment)
        assert (done.stdout + done.stderr).splitlines() == expected, str(block)
    program = next(block.text for block in blocks if block.language == "python")
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        exec(compile(program, "recording-format.md", "exec"), {})
    finally:
        os.chdir(here)
    same = [run([BUILD / "kvtel", "replay", name], cwd=tmp_path).stdout.splitlines()[1:] for name in ("my.jsonl", "my.mp")]
    assert same[0] and same[0] == same[1]


def test_the_worked_example_logs_what_the_page_says(tmp_path):
    blocks = {}
    for block in BLOCKS:
        if block.page.name == "connectors.md":
            blocks.setdefault(block.language, block)
    compile_c(blocks["c"].text + EXAMPLE_MAIN, tmp_path, *link_flags(tmp_path / "example"))
    done = run([tmp_path / "example", blocks["json"].text])
    assert done.stdout == blocks["text"].text, done.stderr


def test_examples_of_cuda_are_not_forgotten():
    """nvcc is not here; the file is there, and the command names it."""
    page = (ROOT / "docs/cuda.md").read_text()
    for path in re.findall(r"examples/[\w/.]+", page):
        assert (ROOT / path).is_file(), path
