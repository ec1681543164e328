# SPDX-License-Identifier: Apache-2.0
"""The site of ./run site: each page of docs/ is in it and in its navigation, no link is broken, and a browser fetches nothing from
elsewhere."""

import importlib.metadata
import os
import re
import subprocess
import sys

import pytest
from pages import PAGES, ROOT

pytest.importorskip("mkdocs", reason="docs/site/requirements.txt is not installed")


def test_what_makes_the_site_is_named_by_version():
    lines = (ROOT / "docs/site/requirements.txt").read_text().splitlines()
    named = dict(line.lower().replace("_", "-").split("==") for line in lines if not line.startswith("#"))
    needed = ["mkdocs"]
    for name in needed:  # which grows
        for asked in importlib.metadata.requires(name) or []:
            other = re.match(r"[\w.-]+", asked)[0].lower().replace("_", "-")
            if ";" not in asked and other not in needed:
                needed.append(other)
    assert {name: importlib.metadata.version(name) for name in needed} == {name: named.get(name) for name in needed}


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, ROOT / "docs/site/build.py", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


def test_each_page_is_there(html):
    wanted = [page for page in PAGES if page.parent in (ROOT / "docs", ROOT / "docs/decisions")]
    missing = [
        page.name for page in wanted if not (html / page.relative_to(ROOT / "docs")).with_suffix(".html").is_file()
    ]
    assert wanted and not missing


def test_each_link_leads_to_a_file_of_the_site(html):
    wrong = []
    for page in html.rglob("*.html"):
        if page.name == "404.html":  # its links are those of a server's root
            continue
        for target in re.findall(r'(?:href|src)="([^"#?]+)', page.read_text()):
            if not target.startswith(("http:", "https:", "mailto:")) and not (page.parent / target).exists():
                wrong.append(f"{page.relative_to(html)}: {target}")
    assert not wrong, "\n".join(sorted(set(wrong))[:20])


def test_nothing_is_loaded_from_elsewhere(html):
    found = []
    for file in [*html.rglob("*.html"), *html.rglob("*.css")]:
        text = file.read_text()
        found += re.findall(r'<(?:script|img|iframe)[^>]*src="(?:https?:)?//[^"]*"', text)
        found += re.findall(r'<link[^>]*rel="(?:stylesheet|preload|icon)"[^>]*href="(?:https?:)?//[^"]*"', text)
        found += re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)'\"]*", text)
    assert not found


def test_lists_and_tables_are_lists_and_tables(html):
    """Where a page would need a blank line that GitHub does not need."""
    left = []
    for page in html.rglob("*.html"):
        text = re.sub(r"<pre>.*?</pre>", "", page.read_text(), flags=re.S)
        left += [f"{page.relative_to(html)}: {line}" for line in re.findall(r"^(?:<p>)?(?:- |\| ?-{3}).*", text, re.M)]
    assert not left, "\n".join(left[:20])


def test_a_link_that_leads_nowhere_fails(tmp_path):
    sys.path.insert(0, str(ROOT / "docs/site"))
    os.makedirs(tmp_path / "more")
    from build import Site

    site = Site(tmp_path / "site")
    with pytest.raises(SystemExit, match=r"there is no nowhere\.md"):
        site.linked("a [link](nowhere.md)", tmp_path, tmp_path / "page.md")
