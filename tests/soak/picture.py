# SPDX-License-Identifier: Apache-2.0
"""Lines over time as an SVG file."""

WIDTH, PANEL, LEFT, TOP, GAP = 860, 110, 70, 34, 34
INK, LINE, GRID = "#444", "#1f6feb", "#ddd"


def ceiling(value):
    """The next larger 1, 2 or 5 times a power of ten."""
    step = 10 ** len(str(int(value)))
    return next(nice for nice in (step / 10, step / 5, step / 2, step) if nice >= value)


def label(x, y, text, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def panel(rows, column, heading, top, seconds):
    """One quantity, from 0 to a round number above its largest value."""
    most = ceiling(max(1, max(row[column] for row in rows)))
    right, bottom = WIDTH - 20, top + PANEL
    points = " ".join(
        f"{LEFT + (right - LEFT) * row['seconds'] / seconds:.1f},{bottom - PANEL * row[column] / most:.1f}"
        for row in rows
    )
    return [
        label(LEFT, top - 6, heading),
        *(
            f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>'
            for y in (top, top + PANEL / 2, bottom)
        ),
        *(label(LEFT - 6, bottom - PANEL * part + 4, f"{most * part:g}", "end") for part in (0, 0.5, 1)),
        f'<polyline points="{points}" fill="none" stroke="{LINE}" stroke-width="1.2"/>',
    ]


def draw(rows, headings, warm):
    """The SVG text: a panel for each column of `headings`. `warm`: seconds of the warm-up, which is shaded."""
    seconds = rows[-1]["seconds"]
    height = TOP + len(headings) * (PANEL + GAP) + 10
    plot = WIDTH - 20 - LEFT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' font-family="sans-serif" font-size="12" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<rect x="{LEFT}" y="{TOP}" width="{plot * warm / seconds:.1f}" height="{height - TOP - GAP - 10}"'
        ' fill="#f3f4f6"/>',
    ]
    for i, (column, heading) in enumerate(headings.items()):
        parts += panel(rows, column, heading, TOP + i * (PANEL + GAP), seconds)
    parts += [
        label(LEFT + plot * part, height - 22, f"{seconds * part:.0f} s", "middle") for part in (0, 0.25, 0.5, 0.75, 1)
    ]
    return "\n".join([*parts, "</svg>\n"])
