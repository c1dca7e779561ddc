"""dedup.py borg: what two or more states cost to carry: zferry into one store, borg into one repository, zstd with a long window.

borg's figure is the deduplicated, compressed size of each archive as `borg create --json` tells it, which is what it would upload without the
frames; beside it stands by how much the repository grew. zstd's is that of everything so far, less that of everything before.
"""
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import dedup_states as states
from dedup_ferry import SESSION, Ferry

BAR = 1.05
ZSTD = ["zstd", "-q", "-c", "-3", "--long=27"]
SMALL_BYTES = 1 << 20      # below it the handshake is most of what zferry sends


@dataclass(frozen=True)
class Case:
    """States in the order in which they are sent: (name, command that writes it). `plain`: no ZFS streams, zferry wants a name."""

    name: str
    steps: tuple
    plain: bool


class Borg:
    def __init__(self, options, folder):
        self.options, self.folder, self.repo = options, folder, folder / "repo"
        self.environment = dict(os.environ, BORG_BASE_DIR=str(folder / "home"), BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes",
                                BORG_RELOCATED_REPO_ACCESS_IS_OK="yes")
        self.borg("init", "-e", "none", self.repo)

    def borg(self, *words, stdin=subprocess.DEVNULL):
        done = subprocess.run(["borg", *map(str, words)], env=self.environment, stdin=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"borg {words[0]}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def repo_bytes(self):
        return sum(path.stat().st_size for path in (self.repo / "data").rglob("*") if path.is_file())

    def create(self, number, words):
        """(deduplicated and compressed bytes that are new, by how much the repository grew)"""
        before = self.repo_bytes()
        with subprocess.Popen(words, stdout=subprocess.PIPE) as source:
            said = self.borg("create", "--json", "--compression", "zstd,3", "--chunker-params", self.options.chunker_params,
                             f"{self.repo}::a{number}", "-", stdin=source.stdout)
        return json.loads(said)["archive"]["stats"]["deduplicated_size"], self.repo_bytes() - before


def packed_bytes(commands):
    """What zstd makes of what these commands write, one behind the other."""
    with subprocess.Popen(ZSTD, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as zstd:
        counter = subprocess.Popen(["wc", "-c"], stdin=zstd.stdout, stdout=subprocess.PIPE, text=True)
        zstd.stdout.close()
        for words in commands:
            subprocess.run(words, stdout=zstd.stdin, check=True)
        zstd.stdin.close()
        return int(counter.communicate()[0])


def megabytes(count):
    return "–" if count is None else f"{count / 1e6:.3f}"


def verdict_of(report, what, stream_bytes, wire_bytes, borg_bytes):
    if not borg_bytes:
        return ""
    ratio = wire_bytes / borg_bytes
    if stream_bytes < SMALL_BYTES:
        return f"{ratio:.3f} (small: mostly handshake)"
    return f"{ratio:.3f} {report.bar(f'{what}: zferry : borg', ratio, BAR)}"


def play(options, report, case):
    """The rows of one case."""
    with tempfile.TemporaryDirectory(prefix="zferry-dedup-", dir=options.folder) as name, Ferry(options, options.folder) as ferry:
        borg = Borg(options, Path(name)) if shutil.which("borg") else None
        zstd_before, totals = 0, [0] * 5
        for number, (step, words) in enumerate(case.steps):
            sent = ferry.send(f"{case.name}: {step}", words, SESSION if case.plain else None, options.capacity)
            new, grown = borg.create(number, words) if borg else (None, None)
            zstd_all = packed_bytes([each for _, each in case.steps[:number + 1]]) if shutil.which("zstd") else None
            zstd = None if zstd_all is None else zstd_all - zstd_before
            zstd_before = zstd_all or 0
            report.raw.append({**sent.raw(), "borg_bytes": new, "borg_repo_growth_bytes": grown, "zstd_long_bytes": zstd})
            figures = (sent.stream_bytes, sent.wire_bytes, new, grown, zstd)
            totals = [total + (each or 0) for total, each in zip(totals, figures)]
            yield [case.name, step, *map(megabytes, figures), verdict_of(report, f"{case.name}, {step}", *figures[:3])]
        yield [case.name, "all together", *(megabytes(each or None) for each in totals), verdict_of(report, f"{case.name}, all", *totals[:3])]


def wanted_cases(options, report):
    """The cases that this machine can play; says which it cannot, and why."""
    makers = {"streams": states.streams, "kernels": states.kernels, "image": states.image, "image-zvol": states.image_as_zvol}
    for name in options.cases.split(","):
        try:
            steps = makers[name](options)
        except states.Missing as why:
            report.note(f"without {name}: {why}")
            continue
        yield Case(name, tuple((step, tuple(map(str, words))) for step, words in steps), name in ("kernels", "image"))


def run(options, report):
    for tool in ("borg", "zstd"):
        if not shutil.which(tool):
            report.note(f"without {tool}: it is not installed")
    if shutil.which("borg"):
        said = subprocess.run(["borg", "--version"], capture_output=True, text=True, check=False).stdout.strip()
        report.note(f"{said}, --compression zstd,3 --chunker-params {options.chunker_params}; zferry {' '.join(options.send_args)}")
    rows = []
    for case in wanted_cases(options, report):
        for row in play(options, report, case):
            print("dedup: " + "  ".join(row), flush=True)
            rows.append(row)
    report.show(["case", "sent", "stream MB", "zferry wire MB", "borg MB", "borg repository + MB", "zstd --long MB", "zferry : borg"], rows)
