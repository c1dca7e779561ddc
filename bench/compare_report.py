"""Results of bench/compare as Markdown and plots. The section stands between two comments in bench/RESULTS.md and is replaced whole.

Where a cell has several rounds its figures are their medians. iperf3 counts with the number of connections that was best in the cell; it carries
no stream and is no peer: a measure of what the link and TCP give.
"""
import json
import math
import statistics

import compare_cells as cells
import compare_plots as plots
from compare_streams import TITLES

BEGIN, END = "<!-- bench/compare: begin -->", "<!-- bench/compare: end -->"
OURS = "zferry"
PLAINTEXT = ("mbuffer",)
STREAM_PLOT_LINK = "1gbit-20ms"
FIGURES = ("goodput", "steady_goodput", "first_byte_ms", "source_cpu_s_per_gib", "target_cpu_s_per_gib", "source_peak_bytes",
           "target_peak_bytes")
MISSING = "–"


def median_of(runs):
    """One row of a peer's runs in a cell: medians of what went well; None where nothing did."""
    good = [run for run in runs if "error" not in run]
    if not good:
        return None
    row = {}
    for key in FIGURES:
        known = [run[key] for run in good if run.get(key) is not None]
        row[key] = statistics.median(known) if known else None
    return row


class CellResult:
    """The figures of one cell by peer."""

    def __init__(self, known):
        self.stream, self.link, self.congestion = known["stream"], cells.BY_NAME[known["link"]], known["congestion"]
        self.failures = [(name, run["error"]) for name, runs in known["runs"].items() for run in runs if "error" in run]
        self.untrue = [name for name, runs in known["runs"].items() for run in runs
                       if any(way["overruns"] for way in (run.get("link") or {}).values())]
        self.rows, self.parallel = {}, None
        for name, runs in known["runs"].items():
            row = median_of(runs)
            if not name.startswith(cells.IPERF):
                self.rows[name] = row
            elif row and (not self.rows.get(cells.IPERF) or row["goodput"] > self.rows[cells.IPERF]["goodput"]):
                self.rows[cells.IPERF], self.parallel = row, name.split("x")[-1]

    def value(self, peer, key):
        row = self.rows.get(peer)
        return row[key] if row else None

    def best_other(self, key, encrypted=False):
        """(goodput, name) of the fastest peer that is not zferry; None where none has a figure."""
        known = [(row[key], name) for name, row in self.rows.items() if row and row[key] is not None and not name.startswith(OURS)
                 and name != cells.IPERF and not (encrypted and name in PLAINTEXT)]
        return max(known) if known else None

    def ratio(self, key, encrypted=False):
        ours, best = self.value(OURS, key), self.best_other(key, encrypted)
        return ours / best[0] if ours is not None and best and best[0] else None

    def titles(self):
        return [TITLES[self.stream], self.link.title, self.congestion]


def number(value, scale=1.0):
    return MISSING if value is None else plots.shown(value / scale)


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]


def goodput_table(known, peers, key):
    """MB/s of each peer, and zferry's beside the link and the best of the others."""
    head = ["stream", "link", "control", *(f"**{p}**" if p == OURS else p for p in peers), "zferry, % of link", "zferry : best peer",
            "zferry : best encrypted peer"]
    rows = []
    for cell in known:
        if all(cell.value(peer, key) is None for peer in peers):
            continue
        shown = []
        for peer in peers:
            value = number(cell.value(peer, key), 1e6)
            if peer in cell.rows and not cell.rows[peer]:
                value = "failed"
            if peer == cells.IPERF and value != MISSING:
                value += f" (x{cell.parallel})"
            shown.append(f"**{value}**" if peer == OURS else value)
        ours, best = cell.value(OURS, key), cell.best_other(key)
        share = f"{ours * 800 / cell.link.rate:.0f} %" if ours is not None and cell.link.rate else MISSING
        ratios = [f"**{cell.ratio(key):.2f}** ({best[1]})" if cell.ratio(key) is not None else MISSING]
        encrypted = cell.best_other(key, True)
        ratios.append(f"{cell.ratio(key, True):.2f} ({encrypted[1]})" if cell.ratio(key, True) is not None else MISSING)
        rows.append([*cell.titles(), *shown, share, *ratios])
    return table(head, rows)


def pair_table(known, peers, keys, scale=1.0):
    """What both ends take: source + target."""
    rows = [[*cell.titles(), *(" + ".join(number(cell.value(peer, key), scale) for key in keys) if cell.rows.get(peer) else MISSING
                               for peer in peers)] for cell in known]
    return table(["stream", "link", "control", *peers], rows)


def details(title, lines):
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "", "</details>", ""]


def in_short(known):
    """How many cells zferry is ahead in, and by how much in the middle (geometric mean)."""
    said = []
    for encrypted, words in ((False, "the best peer"), (True, "the best encrypted peer")):
        ratios = [cell.ratio("goodput", encrypted) for cell in known]
        ratios = [ratio for ratio in ratios if ratio is not None]
        some = [ratio for ratio in ratios if ratio > 0]
        if some:
            mean = math.exp(statistics.mean(map(math.log, some)))
            silent = f" (without {len(ratios) - len(some)} in which zferry brought no byte in time)" if len(some) < len(ratios) else ""
            said.append(f"beside {words} zferry is ahead in {sum(r >= 1 for r in ratios)} of {len(ratios)} cells, ratios {min(ratios):.2f} to "
                        f"{max(ratios):.2f}, geometric mean {mean:.2f}{silent}")
    return "; ".join(said)


def link_label(link):
    rate, _, rest = link.title.partition(", ")
    return f"{rate}\n{rest}"


def goodput_charts(known, peers):
    """(file name, chart) of goodput by link, one for each congestion control; incompressible."""
    for congestion in cells.CONGESTIONS:
        chosen = [cell for link in cells.LINKS for cell in known
                  if cell.link == link and cell.stream == "random" and cell.congestion == congestion]
        if chosen:
            series = {peer: [share(cell, peer) for cell in chosen] for peer in peers if any(share(cell, peer) is not None for cell in chosen)}
            chart = plots.Chart(f"Incompressible stream, {congestion.upper()}: goodput of each link", "goodput, % of the link's rate",
                                "link (rate, round trip, loss)", [link_label(cell.link) for cell in chosen], series, (100, "the link's rate"))
            yield f"links-{congestion}.svg", chart


def share(cell, peer):
    value = cell.value(peer, "goodput")
    return value * 800 / cell.link.rate if value is not None and cell.link.rate else None


def stream_charts(known, peers):
    """(file name, chart) of all streams side by side: on one link, and on loopback."""
    for name, congestion in ((STREAM_PLOT_LINK, "cubic"), ("loopback", cells.HOST)):
        chosen = [cell for stream in cells.STREAMS for cell in known
                  if cell.stream == stream and cell.link.name == name and cell.congestion == congestion]
        if chosen:
            series = {peer: [cell.value(peer, "goodput") and cell.value(peer, "goodput") / 1e6 for cell in chosen]
                      for peer in peers if peer != cells.IPERF and any(cell.value(peer, "goodput") is not None for cell in chosen)}
            link = cells.BY_NAME[name]
            where = link.title + (f", {congestion.upper()}" if link.rate else ", this host's congestion control")
            yield f"streams-{name}.svg", plots.Chart(f"Streams over {where}", "goodput of the stream, MB/s", "stream",
                                                     [TITLES[cell.stream] for cell in chosen], series,
                                                     (link.rate / 8e6, "the link's rate") if link.rate else None)


def section(data, charts, known, peers):
    settings, machine = data["settings"], data["machine"]
    extra = "".join(f"; {key.replace('_', ' ')} {settings[key]}" for key in ("rmem", "wmem", "zferry_args", "zferry_send_args") if settings[key])
    rounds = "1 round" if settings["rounds"] == 1 else f"{settings['rounds']} interleaved rounds, medians"
    lines = [BEGIN, "## Beside its peers, over links (`bench/compare`)", "",
             f"{data['date']}; {machine['cpu']}, **{machine['cores']} cores** with both ends and the link on them, {machine['memory_gib']:.0f} GiB, "
             f"Linux {machine['kernel'].split('-')[0]}, {machine['system']}. {settings['seconds']:g} s a run, {rounds}, seed {settings['seed']}{extra}. "
             "What a column means and how a cell runs: [docs/BENCHMARKS.md](../docs/BENCHMARKS.md).", "",
             *(f"- {name}: {how}" for name, how in data["how"].items()),
             f"- {'; '.join(said.strip('* ') for said in data['versions'].values())}", ""]
    if short := in_short(known):
        lines += [f"In short, goodput: {short}.", ""]
    lines += [line for name, chart in charts for line in (f"![{chart.title}](plots/{name})", "")]
    lines += ["### Goodput, MB/s of stream, handshake and slow start included", "", *goodput_table(known, peers, "goodput"), ""]
    if any(cell.value(peer, "steady_goodput") is not None for cell in known for peer in peers):
        lines += ["### The same after the first 5 s", "", *goodput_table(known, peers, "steady_goodput"), ""]
    carriers = [peer for peer in peers if peer != cells.IPERF]
    lines += details("CPU seconds per GiB of stream, source + target",
                     pair_table(known, peers, ("source_cpu_s_per_gib", "target_cpu_s_per_gib")))
    lines += details("Peak memory in MiB, source + target", pair_table(known, peers, ("source_peak_bytes", "target_peak_bytes"), 1 << 20))
    lines += details("Time to the first byte out, ms", pair_table(known, carriers, ("first_byte_ms",)))
    failures = [f"- {' / '.join(cell.titles())}: {name}: {why}" for cell in known for name, why in cell.failures]
    if failures:
        lines += ["Runs that failed:", "", *failures, ""]
    untrue = [f"- {' / '.join(cell.titles())}: {', '.join(cell.untrue)}" for cell in known if cell.untrue]
    if untrue:
        lines += ["Runs in which this machine was too slow to be the link (packets were lost before it):", "", *untrue, ""]
    return "\n".join([*lines, END])


def replaced(text, made):
    """`text` with the section in its place, or at the end where it has none."""
    if BEGIN in text and END in text:
        return text[:text.index(BEGIN)] + made + text[text.index(END) + len(END):]
    return text.rstrip("\n") + "\n\n" + made + "\n"


def write(results, folder):
    """Plots into folder/plots, the section into folder/RESULTS.md; the section."""
    data = json.loads(results.read_text())
    order = {cell.name: place for place, cell in enumerate(cells.every())}
    known = [CellResult(each) for name, each in sorted(data["cells"].items(), key=lambda item: order.get(item[0], len(order))) if each["runs"]]
    standard = [name for name in plots.COLOURS if any(name in cell.rows for cell in known)]
    peers = standard[:1] + sorted({name for cell in known for name in cell.rows if name not in plots.COLOURS}) + standard[1:]
    charts = [*goodput_charts(known, peers), *stream_charts(known, peers)]
    (folder / "plots").mkdir(exist_ok=True)
    for name, chart in charts:
        (folder / "plots" / name).write_text(plots.svg(chart))
    made = section(data, charts, known, peers)
    path = folder / "RESULTS.md"
    path.write_text(replaced(path.read_text(), made))
    return made
