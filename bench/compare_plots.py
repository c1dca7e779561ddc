"""Grouped bars as SVG, written by hand: nothing is needed to make them, and they bring their own page, light or dark as the reader's is."""
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

COLOURS = {"zferry": "#e8590c", "ssh": "#3b82c4", "ssh+zstd": "#2a9d8f", "syncoid": "#9467bd", "mbuffer": "#8d949c", "iperf3": "#c9a227"}
OTHER_COLOURS = ("#f59f6b", "#d6336c", "#74b816", "#15aabf", "#a0522d", "#5f3dc4")   # zferry at fixed levels
STYLE = """
.page { fill: #ffffff; }
text { font-family: system-ui, sans-serif; fill: #24292f; }
.title { font-size: 15px; font-weight: 600; }
.label { font-size: 11px; }
.value { font-size: 8.5px; }
.grid { stroke: #24292f; stroke-opacity: 0.15; }
.axis { stroke: #24292f; stroke-opacity: 0.6; }
.mark { stroke: #24292f; stroke-opacity: 0.7; stroke-dasharray: 5 4; }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117; }
  text { fill: #e6edf3; }
  .grid, .axis, .mark { stroke: #e6edf3; }
}
"""
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 66, 62   # margins in pixels
HEIGHT = 380
WIDTH_LEAST, WIDTH_MOST = 620, 1100
BAR_PIXELS = 26
TICKS = 5
STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Chart:
    """`groups` are the labels along the x axis (a line break splits one), `series` is {name: [a value a group, or None]}.
    `mark` is (value, words): a dashed line across."""

    title: str
    y_label: str
    x_label: str
    groups: list
    series: dict = field(default_factory=dict)
    mark: tuple | None = None


def tick_step(top):
    """A round number that divides 0..top into about TICKS parts."""
    raw = top / TICKS
    power = 10 ** (len(f"{raw:.0f}") - 1) if raw >= 1 else 0.1
    return next(step * power for step in STEPS if step * power >= raw)


def colour(name, others):
    return COLOURS.get(name) or OTHER_COLOURS[others.index(name) % len(OTHER_COLOURS)]


def shown(value):
    """Three digits or so."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def text(x, y, words, kind="label", anchor="middle", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def legend(series, others):
    made, x = [], LEFT
    for name in series:
        made.append(f'<rect x="{x:.0f}" y="36" width="11" height="11" rx="2" fill="{colour(name, others)}"/>')
        made.append(text(x + 16, 46, name, anchor="start"))
        x += 34 + 6.5 * len(name)
    return made


def axes(chart, width, top, scale, step):
    """Grid with its numbers, both axis titles, the mark."""
    floor, made, value = HEIGHT - BOTTOM, [], 0.0
    while value <= top * 1.0001:
        made.append(line(LEFT, floor - value * scale, width - RIGHT, floor - value * scale, "grid" if value else "axis"))
        made.append(text(LEFT - 7, floor - value * scale + 4, f"{value:g}", anchor="end"))
        value += step
    middle = (TOP + floor) / 2
    made.append(text(15, middle, chart.y_label, more=f' transform="rotate(-90 15 {middle:.0f})"'))
    made.append(text((LEFT + width - RIGHT) / 2, HEIGHT - 8, chart.x_label))
    if chart.mark and chart.mark[0] <= top:
        at = floor - chart.mark[0] * scale
        made += [line(LEFT, at, width - RIGHT, at, "mark"), text(width - RIGHT, at - 4, chart.mark[1], anchor="end")]
    return made


def bars(chart, width, scale, others):
    floor, made = HEIGHT - BOTTOM, []
    slot = (width - LEFT - RIGHT) / len(chart.groups)
    for number, label in enumerate(chart.groups):
        present = [(name, values[number]) for name, values in chart.series.items() if values[number] is not None]
        thick = min(BAR_PIXELS, slot * 0.86 / max(1, len(present)))
        middle = LEFT + slot * (number + 0.5)
        x = middle - thick * len(present) / 2
        for name, value in present:
            tall = max(value * scale, 0.5)
            made.append(f'<rect x="{x:.1f}" y="{floor - tall:.1f}" width="{thick * 0.88:.1f}" height="{tall:.1f}" rx="1.5" '
                        f'fill="{colour(name, others)}"><title>{escape(name)}: {shown(value)}</title></rect>')
            made.append(text(x + thick * 0.44, floor - tall - 3, shown(value), "value"))
            x += thick
        for row, part in enumerate(label.split("\n")):
            made.append(text(middle, floor + 16 + 14 * row, part))
    return made


def svg(chart):
    """The chart as the text of an SVG file."""
    most = max(1, *(sum(values[n] is not None for values in chart.series.values()) for n in range(len(chart.groups))))
    width = min(WIDTH_MOST, max(WIDTH_LEAST, LEFT + RIGHT + len(chart.groups) * (most * BAR_PIXELS + 18)))
    highest = max([value for values in chart.series.values() for value in values if value is not None] + [chart.mark[0] if chart.mark else 0.1])
    step = tick_step(highest)
    top = step * -(-highest // step)
    scale = (HEIGHT - TOP - BOTTOM) / top
    others = [name for name in chart.series if name not in COLOURS]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {HEIGHT}" width="{width:.0f}" height="{HEIGHT}" role="img">',
             f"<title>{escape(chart.title)}</title>", f"<style>{STYLE}</style>",
             f'<rect class="page" width="{width:.0f}" height="{HEIGHT}" rx="6"/>', text(LEFT, 22, chart.title, "title", "start"),
             *legend(chart.series, others), *axes(chart, width, top, scale, step), *bars(chart, width, scale, others), "</svg>"]
    return "\n".join(parts) + "\n"
