# SPDX-License-Identifier: Apache-2.0
"""Links between pages lead somewhere, and lines of prose are at most 120 columns."""

from pages import PAGES, ROOT, anchors_of, links_of, prose_of

WIDTH = 120


def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading():
    wrong = []
    for page in PAGES:
        for number, target in links_of(page):
            if target.startswith(("http://", "https://")):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists():
                wrong.append(f"{page.relative_to(ROOT)}:{number}: there is no {target}")
            elif anchor and anchor not in anchors_of(file):
                wrong.append(f"{page.relative_to(ROOT)}:{number}: {file.name} has no heading for #{anchor}")
    assert not wrong, "\n".join(wrong)


def test_every_page_of_docs_can_be_reached_from_the_readme():
    reached, new = set(), {ROOT / "README.md"}
    while new:
        page = new.pop()
        reached.add(page)
        for _, target in links_of(page):
            file = (page.parent / target.partition("#")[0]).resolve()
            if file.is_dir():
                new.update(set(file.glob("*.md")) - reached)
            elif file.suffix == ".md" and file.exists() and file not in reached:
                new.add(file)
    generated = {ROOT / "docs/reference.md"}  # the first page of `./run docs`
    unreached = {page for page in PAGES if page.parent == ROOT / "docs"} - reached - generated
    assert not unreached, f"no link leads to {sorted(str(page.relative_to(ROOT)) for page in unreached)}"


def test_lines_of_prose_are_not_too_long():
    wrong = [
        f"{page.relative_to(ROOT)}:{number}: {len(line)} columns"
        for page in PAGES
        for number, line in prose_of(page)
        if len(line) > WIDTH and not line.startswith(("|", "![", "<!--"))
    ]
    assert not wrong, "\n".join(wrong)
