"""A small plot as SVG, by hand: both axes logarithmic, readable on light and on dark paper."""

import math

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 66, 34, 46, 46

# Presentation that follows the reader's paper; an image in a page sees no style of that page.
STYLE = """text{font:12px sans-serif;fill:#555}.grid{stroke:#8888;stroke-width:.5}.frame{fill:none;stroke:#888}
path,circle{stroke-width:2}.a{stroke:#1f6fb4;fill:none}.b{stroke:#c2570c;fill:none;stroke-dasharray:6 3}
text.a,circle.a{fill:#1f6fb4;stroke:none}text.b,circle.b{fill:#c2570c;stroke:none}
@media(prefers-color-scheme:dark){text{fill:#ccc}.a{stroke:#6cb6ff}.b{stroke:#f0883e}
text.a,circle.a{fill:#6cb6ff}text.b,circle.b{fill:#f0883e}}"""


def decades(values):
    """The powers of ten that enclose the values; two of them at least."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def marks(low, high):
    """Where an axis has a line and a label: the powers of ten, and more between them where they are few."""
    steps = (1, 2, 5) if high - low <= 2 else (1,)
    return [value for power in range(low, high + 1) for step in steps if (value := step * 10.0**power) <= 10**high]


def label(value):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def svg(title, across, up, lines):
    """`lines` maps a name to its points (x, y); `across` and `up` are the axes' words, units included."""
    points = [point for line in lines.values() for point in line]
    (x0, x1), (y0, y1) = decades([x for x, _ in points]), decades([y for _, y in points])
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    place_x = lambda x: LEFT + wide * (math.log10(x) - x0) / (x1 - x0)
    place_y = lambda y: TOP + high * (1 - (math.log10(y) - y0) / (y1 - y0))
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">',
        f"<title>{title}</title><style>{STYLE}</style>",
        f'<text x="{LEFT}" y="18" font-weight="bold">{title}</text>',
    ]
    for value in marks(x0, x1):
        x = place_x(value)
        out.append(f'<path class="grid" d="M{x:.1f} {TOP}V{TOP + high}"/>')
        out.append(f'<text x="{x:.1f}" y="{TOP + high + 16}" text-anchor="middle">{label(value)}</text>')
    for value in marks(y0, y1):
        y = place_y(value)
        out.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{LEFT + wide}"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label(value)}</text>')
    out.append(f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{wide}" height="{high}"/>')
    out.append(f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 8}" text-anchor="middle">{across}</text>')
    out.append(f'<text transform="translate(14 {TOP + high / 2}) rotate(-90)" text-anchor="middle">{up}</text>')
    for kind, (name, line) in zip("ab", lines.items()):
        placed = [(place_x(x), place_y(y)) for x, y in line]
        out.append(f'<path class="{kind}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in placed)}"/>')
        out.extend(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in placed)
        anchor, x = {"a": ("start", LEFT), "b": ("end", LEFT + wide)}[kind]
        out.append(f'<text class="{kind}" x="{x}" y="{TOP - 8}" text-anchor="{anchor}">{name}</text>')
    return "\n".join([*out, "</svg>", ""])


def exponent(points):
    """The slope of a line through the logarithms (least squares): 0 where nothing grows, 1 where y doubles with x."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x, mean_y = (sum(column) / len(logs) for column in zip(*logs))
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)
