# SPDX-License-Identifier: Apache-2.0
"""The pages: their text, code blocks, headings and links."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/decisions/*.md", "python/README.md", "tests/data/*.md")
    for path in ROOT.glob(pattern)
)


@dataclass
class Block:
    """A code block: `language` of its fence, "" for a plain fence, "indented"; `mark`, the comment on the line above it."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def lines_of(page):
    return page.read_text().splitlines()


def _mark(lines, first):
    found = re.fullmatch(r"<!-- (.*) -->", lines[first - 1]) if first > 0 else None
    return found.group(1) if found else ""


def blocks_of(page):
    lines, blocks, at = lines_of(page), [], 0
    while at < len(lines):
        first, fence = at, re.match(r"```(\w*)$", lines[at])
        if fence:
            end = lines.index("```", at + 1)
            blocks.append(Block(page, at + 1, fence.group(1), _mark(lines, at), "\n".join(lines[at + 1 : end]) + "\n"))
            at = end + 1
        elif lines[at].startswith("    ") and (at == 0 or not lines[at - 1] or _mark(lines, at)):
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at]):
                at += 1
            text = "\n".join(line[4:] for line in lines[first:at]).rstrip() + "\n"
            blocks.append(Block(page, first + 1, "indented", _mark(lines, first), text))
        else:
            at += 1
    return blocks


def all_blocks():
    return [block for page in PAGES for block in blocks_of(page)]


def prose_of(page):
    """The page's numbered lines without its code blocks."""
    inside = set()
    for block in blocks_of(page):
        fences = 0 if block.language == "indented" else 2
        inside.update(range(block.line, block.line + len(block.text.splitlines()) + fences))
    return [(number, line) for number, line in enumerate(lines_of(page), 1) if number not in inside]


def anchors_of(page):
    """The anchors of a page's headings, as GitHub makes them."""
    anchors = set()
    for _, line in prose_of(page):
        heading = re.match(r"#+ (.*)", line)
        if heading:
            text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading.group(1)).replace("`", "")
            anchors.add(re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-"))
    return anchors


def links_of(page):
    """The page's links: line and target."""
    found = []
    for number, line in prose_of(page):
        found += [(number, target) for target in re.findall(r"\]\(([^)\s]+)\)", line)]
    return found


def section(page, heading):
    """The lines below a heading, up to the next one of its level or above."""
    level, lines, inside = heading.split(" ")[0], [], False
    for line in lines_of(ROOT / page):
        if inside and re.match(rf"#{{1,{len(level)}}} ", line):
            break
        if inside:
            lines.append(line)
        inside = inside or line == heading
    assert lines, f"{page} has no heading {heading!r}"
    return lines
