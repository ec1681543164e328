# SPDX-License-Identifier: Apache-2.0
"""Makes a site of docs/ and of what its pages link to: build.py FOLDER writes FOLDER/html.

A page keeps its place below docs/, README.md becomes overview.md, other pages and directories get a page below project/. What
mkdocs.yml does not list stands under More. Other files that a page links to are copied to files/, as text that a browser
shows. A link that leads nowhere and a heading that is not there fail."""

import os
import re
import shutil
import sys
from pathlib import Path

import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
SHOWN = (".svg", ".png")


def place_of(path):
    """Where a file or a directory of the repository lies in the site."""
    path = path.resolve()
    if path == ROOT / "README.md":
        return Path("overview.md")
    if path.is_dir():
        base = path.relative_to(DOCS) if path.is_relative_to(DOCS) else Path("project") / path.relative_to(ROOT)
        return base / "index.md"
    if path.suffix in (".md", *SHOWN) and path.is_relative_to(DOCS):
        return path.relative_to(DOCS)
    if path.suffix == ".md":
        return Path("project") / path.relative_to(ROOT).with_name(path.name.replace("README", "about"))
    return Path("files") / f"{path.relative_to(ROOT)}.txt"


def slug(text, separator):
    """The anchor of a heading, as GitHub makes it: links in the pages follow that."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", separator)


def title_of(page):
    return next(line.removeprefix("# ") for line in page.read_text().splitlines() if line.startswith("# "))


def listing(directory):
    """A page for a directory: its pages, or its files."""
    lines = [f"# {directory.relative_to(ROOT)}", ""]
    pages = sorted(directory.glob("*.md"))
    lines += [f"- [{title_of(page).replace('`', '')}]({page.name})" for page in pages]
    if not pages:
        lines += [f"- [{file.name}]({file.name})" for file in sorted(directory.iterdir()) if file.is_file()]
    return "\n".join(lines) + "\n"


def outside_of_code(text, change):
    """The text with each stretch of lines that is not in a fence changed."""
    parts = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S)
    return "".join(part if part.startswith("```") else change(part) for part in parts)


def with_lists(text):
    """A blank line before each list, and four columns for what belongs to an item: GitHub needs neither."""
    lines = []
    for line in text.split("\n"):
        item = re.match(r"(- |\d+\. )", line)
        if item and lines and lines[-1] and not re.match(r"(- |\d+\. |  )", lines[-1]):
            lines.append("")
        inner = re.match(r"( {2,3})(?=\S)", line)
        lines.append(f"    {line.lstrip()}" if inner else line)
    return "\n".join(lines)


class Site:
    def __init__(self, folder):
        self.pages, self.done = folder / "pages", set()
        shutil.rmtree(folder, ignore_errors=True)
        self.pages.mkdir(parents=True)

    def take(self, path):
        """Copies a file or a directory, and all that it links to."""
        if path in self.done:
            return
        self.done.add(path)
        place = self.pages / place_of(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() or path.suffix == ".md":
            text = listing(path) if path.is_dir() else path.read_text()
            base = path if path.is_dir() else path.parent
            place.write_text(outside_of_code(text, lambda part: self.linked(with_lists(part), base, place)))
        else:
            shutil.copyfile(path, place)

    def linked(self, text, base, place):
        def change(match):
            target, _, anchor = match[2].partition("#")
            if "://" in target or not target:
                return match[0]
            path = (base / target).resolve()
            if not path.exists():
                sys.exit(f"{place}: there is no {match[2]}")
            self.take(path)
            there = os.path.relpath(self.pages / place_of(path), place.parent)
            return f"{match[1]}{there}{'#' if anchor else ''}{anchor}{match[3]}"

        return LINK.sub(change, text)

    def rest(self, nav):
        """The pages that the configuration does not list."""
        listed = set(re.findall(r"[\w/-]+\.md", yaml.safe_dump(nav)))
        return sorted({str(page.relative_to(self.pages)) for page in self.pages.rglob("*.md")} - listed)


def main():
    folder = Path(sys.argv[1]).resolve()
    site = Site(folder)
    for page in sorted(DOCS.glob("*.md")):
        site.take(page)
    settings = yaml.safe_load((HERE / "mkdocs.yml").read_text())
    settings["nav"].append({"More": site.rest(settings["nav"])})
    settings |= {"docs_dir": str(site.pages), "site_dir": str(folder / "html")}
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False))
    config = load_config(str(folder / "mkdocs.yml"))
    config["mdx_configs"]["toc"] = {**config["mdx_configs"].get("toc", {}), "slugify": slug}
    build(config)
    print(folder / "html/index.html")


if __name__ == "__main__":
    main()
