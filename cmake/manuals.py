# SPDX-License-Identifier: Apache-2.0
"""Manual pages in man(7)'s macros: manuals.py SOURCE OUT VERSION

man3: a page for each function of the public headers, and one for each header, made from their comments. man5: a page for each format in
FORMATS, made from the pages of docs/."""

import re
import sys
import textwrap
from pathlib import Path

# Page of section 5: its source below docs/, and what it describes.
FORMATS = {
    "kvtel-recording": ("recording-format.md", "what an engine reported, as JSON Lines or MessagePack"),
    "kvtel-store": ("store-format.md", "the file in shared memory that one process records into"),
    "kvtel-web-config": ("web-config.md", "TLS, users, headers and rate limit of kvtel serve"),
}
LICENSE = '.\\" SPDX-License-Identifier: Apache-2.0\n'


def escape(text):
    """Text that man(1) shows as it is."""
    text = (
        text.replace("\\", "\\e")
        .replace("-", "\\-")
        .replace("'", "\\(aq")
        .replace("`", "\\(ga")
        .replace("^", "\\(ha")
        .replace("~", "\\(ti")
    )
    return re.sub(r"^([.'])", r"\\&\1", text)


def heading(name, section, version, what):
    return f'{LICENSE}.TH "{name}" {section} "" "kvtel {version}" "kvtel"\n.nh\n.ad l\n.SH NAME\n{escape(name)} \\- {escape(what)}\n'


def verbatim(text):
    lines = "\n".join(escape(line) if line else "" for line in text.rstrip("\n").split("\n"))
    return f".PP\n.RS\n.nf\n{lines}\n.fi\n.RE\n"


# -- Section 3: headers --


class Declaration:
    """A declaration with the comment above it."""

    def __init__(self, comment, code):
        self.comment, self.code = comment, code
        self.name = re.search(r"(\w+)\s*\(", code).group(1)


def comment_text(comment):
    """Without the stars: paragraphs, and lines of @param and @return."""
    body = re.sub(r"^/\*\*<?|\*/$", "", comment.strip())
    body = "\n".join(re.sub(r"^\s*\* ?", "", line) for line in body.split("\n"))
    return re.sub(r"^\s*@file\s*", "", body).strip()


def read_header(path):
    """(what it is about, [functions], its text from the first declaration on)"""
    text = path.read_text()
    about = re.search(r"/\*\* @file.*?\*/", text, re.S).group(0)
    body = text[text.index(about) + len(about) :]
    functions = []
    pattern = re.compile(r"(/\*\*(?:(?!\*/).)*\*/)?\s*^KVTEL_API\s+([^;{]+);", re.S | re.M)
    for found in pattern.finditer(body):
        comment = found.group(1) or (functions[-1].comment if functions else "")
        functions.append(
            Declaration(comment, re.sub(r"\s+", " ", re.sub(r"KVTEL_PRINTF\([^)]*\)", "", found.group(2))).strip())
        )
    return comment_text(about), functions, body


def synopsis(path, about, code):
    record = "libkvtel_record has" in about
    library = "\\-lkvtel_record, or \\-lkvtel" if record else "\\-lkvtel"
    lines = f".SH SYNOPSIS\n.nf\n.B #include <kvtel/{path.name}>\n"
    for each in code:
        wrapped = textwrap.wrap(
            f"{each};", 80, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )
        lines += ".PP\n" + "".join(f'.B "{escape(line)}"\n' for line in wrapped)
    return f"{lines}.fi\n.PP\nLink with {library}.\n"


def paragraphs(text):
    out = ""
    for i, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        out += (".PP\n" if i else "") + "\n".join(escape(line.strip()) for line in paragraph.split("\n")) + "\n"
    return out


def describe(comment):
    """DESCRIPTION, PARAMETERS and RETURN VALUE."""
    parts = re.split(r"(?:^|\s)@(param(?:\[\w+\])?\s+\w+|return)\s*", comment_text(comment))
    out = ".SH DESCRIPTION\n" + paragraphs(parts[0] or "Described with its header.")
    parameters = [
        (parts[i].split()[-1], parts[i + 1]) for i in range(1, len(parts) - 1, 2) if parts[i].startswith("param")
    ]
    returned = [parts[i + 1] for i in range(1, len(parts) - 1, 2) if parts[i] == "return"]
    if parameters:
        out += ".SH PARAMETERS\n" + "".join(
            f".TP\n.I {escape(name)}\n{paragraphs(text.rstrip(' ;'))}" for name, text in parameters
        )
    if returned:
        out += ".SH RETURN VALUE\n" + paragraphs("\n\n".join(returned))
    return out


def sentence(text):
    """The first sentence, for NAME."""
    first = re.split(r"(?<=[a-z\])0-9\"])[.;:](?:\s|$)|\s@", re.sub(r"\s+", " ", text.strip()))[0]
    return first.rstrip(".")


def function_page(path, about, function, version):
    name = function.name
    page = heading(name, 3, version, sentence(comment_text(function.comment)) or path.name)
    page += synopsis(path, about, [function.code]) + describe(function.comment)
    return page + f".SH SEE ALSO\n.BR kvtel_{path.name} (3)\n"


def header_page(path, about, functions, body, version):
    """What the header is about, its functions, and its types as they stand there."""
    page = heading(f"kvtel_{path.name}", 3, version, sentence(about)) + synopsis(path, about, [])
    page += ".SH DESCRIPTION\n" + paragraphs(about)
    if functions:
        page += ".SH FUNCTIONS\n"
        for function in functions:
            page += f".TP\n.BR {function.name} (3)\n{escape(sentence(comment_text(function.comment)))}\n"
    types = re.sub(r"(/\*\*(?:(?!\*/).)*\*/)?[ \t]*\n?^KVTEL_API\s+[^;{]+;\n?", "", body, flags=re.S | re.M)
    types = re.sub(r"^#(ifndef|define) KVTEL_\w+_H$|^KVTEL_(BEGIN|END)_DECLS$|^#endif\s*\Z", "", types, flags=re.M)
    types = re.sub(r"\n{3,}", "\n\n", types).strip()
    if types:
        page += ".SH TYPES AND MACROS\n" + verbatim(types)
    return page


def write_headers(source, out, version):
    for path in sorted((source / "include/kvtel").glob("*.h")):
        about, functions, body = read_header(path)
        (out / f"kvtel_{path.name}.3").write_text(header_page(path, about, functions, body, version))
        for function in functions:
            (out / f"{function.name}.3").write_text(function_page(path, about, function, version))


# -- Section 5: pages of docs/ --


def plain(text):
    """Markdown inside a line: links by their texts, no marks."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"\1", text)
    return re.sub(r"(?<![\w*`])\*(\w[^*`]*)\*(?![\w*])", r"\1", text).replace("`", "").replace("\\|", "|")


def table(lines):
    """Each row by its first cell; further cells after the names of their columns."""
    rows = [[plain(cell.strip()) for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines]
    out = ""
    for row in rows[2:]:
        cells = [cell if len(row) == 2 else f"{head}: {cell}" for head, cell in zip(rows[0][1:], row[1:]) if cell]
        out += f".TP\n.B {escape(row[0] or chr(160))}\n" + "\n.br\n".join(escape(cell) for cell in cells) + "\n"
    return out


def take_while(lines, at, keep):
    end = at
    while end < len(lines) and keep(lines[end]):
        end += 1
    return lines[at:end], end


def markdown(text):
    """The subset of Markdown that docs/ uses."""
    lines, out, at = text.split("\n"), "", 0
    while at < len(lines):
        line = lines[at]
        title = re.match(r"(#+) (.*)", line)
        if line.startswith("```"):
            block, at = take_while(lines, at + 1, lambda each: not each.startswith("```"))
            out, at = out + verbatim("\n".join(block)), at + 1
        elif line.startswith("    "):
            block, at = take_while(lines, at, lambda each: each.startswith("    ") or not each.strip())
            out += verbatim("\n".join(each[4:] for each in block))
        elif line.startswith("|"):
            block, at = take_while(lines, at, lambda each: each.startswith("|"))
            out += table(block) + ".PP\n"
        elif title:
            out, at = (
                out
                + (".SH " if len(title[1]) == 2 else ".SS ")
                + escape(plain(title[2])).upper().replace("\\(AQ", "\\(aq")
                + "\n",
                at + 1,
            )
        elif not line.strip() or line.startswith("<!--"):
            out, at = out + ("" if out.endswith(".PP\n") or not out else ".PP\n"), at + 1
        elif re.match(r"(- |\d+\. )", line):
            mark, rest = re.match(r"(-|\d+\.) (.*)", line).groups()
            more, at = take_while(lines, at + 1, lambda each: each.startswith("  ") and each.strip())
            sign = "\\(bu" if mark == "-" else mark
            out += f".IP {sign} 4\n" + "\n".join(escape(plain(each.strip())) for each in [rest, *more]) + "\n"
        else:
            block, at = take_while(
                lines, at, lambda each: each.strip() and not re.match(r"[#|]|```|<!--|- |\d+\. ", each)
            )
            out += "\n".join(escape(each) for each in plain("\n".join(block)).split("\n")) + "\n"
    # a heading or an item begins a paragraph by itself
    return re.sub(
        r"(?:\.PP\n)+(?=\.(?:SH|SS|TP|IP|PP)\b)|(?:\.PP\n)+\Z", "", re.sub(r"(\.S[HS] .*\n)(?:\.PP\n)+", r"\1", out)
    )


def write_formats(source, out, version):
    for name, (page, what) in FORMATS.items():
        text = (source / "docs" / page).read_text().split("\n", 1)[1].strip()
        content = heading(name, 5, version, what) + ".SH DESCRIPTION\n" + markdown(text)
        (out / f"{name}.5").write_text(content + ".SH SEE ALSO\n.BR kvtel (1)\n")


def main():
    source, out, version = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    for section, write in (("man3", write_headers), ("man5", write_formats)):
        (out / section).mkdir(parents=True, exist_ok=True)
        for old in (out / section).iterdir():
            old.unlink()
        write(source, out / section, version)


if __name__ == "__main__":
    main()
