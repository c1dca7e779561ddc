#!/usr/bin/env python3
"""What deduplication saves, and what it costs, measured; each sub-command prints a table, the figures of every transfer, and its bars.

    bench/dedup.py reseed                      # 4 GiB, a changed version, the same again: wire bytes; ZFS, plain, zvol
    bench/dedup.py wan --peer-bytes 512M       # the re-seed over 100 Mbit/s, 80 ms beside zstd | ssh; root (docs/WANLAB.md)
    bench/dedup.py loopback                    # GB/s of duplicates; with and without a store where there are none
    bench/dedup.py loopback --rate 1G          # the latter over 1 Gbit/s; root
    bench/dedup.py borg --streams FOLDER       # beside borg and zstd --long: streams, two kernels, two states of an image

Every one takes --bytes for a small run (the bars are meant for the default). Build the targets zferry and stream_maker before. What has to lie
somewhere (stores) is in --folder, in memory by default. Exit code 1: a bar was missed; 77: this machine cannot run it.
"""
import argparse
import json
import os
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tools" / "lib"), str(ROOT / "tools" / "wanlab")]
import dedup_borg  # noqa: E402
import dedup_loopback  # noqa: E402
import dedup_reseed  # noqa: E402
import dedup_wan  # noqa: E402
from compare_measure import first_line, machine  # noqa: E402
from dedup_ferry import Report, deduplicates  # noqa: E402
from lab import Trouble, Unavailable  # noqa: E402

GIB = 1 << 30
CANNOT = 77


def parse_size(text):
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(float(text[:-1]) * units[text[-1].upper()]) if text[-1].upper() in units else int(text)


def add_common(command, size):
    command.add_argument("--bytes", type=parse_size, default=size, help="of stream")
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--entropy", type=float, default=1, help="share of each page that does not compress (default: 1)")
    command.add_argument("--changed", type=float, default=2, help="percent of the blocks (default: 2)")
    command.add_argument("--folder", default="/dev/shm", help="where stores and streams are made")
    command.add_argument("--build", default=str(ROOT / "build" / "release"))
    command.add_argument("--zferry", help="default: BUILD/cli/zferry")
    command.add_argument("--recv-args", type=shlex.split, default=[], help="for the target, one string: --recv-args='--dedup-scope dataset'")
    command.add_argument("--send-args", type=shlex.split, help="for the source, one string")
    command.add_argument("--out", help="write everything as JSON")


def add_link(command, rate, rtt):
    command.add_argument("--rate", default=rate)
    command.add_argument("--rtt", default=rtt)
    command.add_argument("--congestion", default="cubic", help="the hosts' (default: cubic)")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    reseed = commands.add_parser("reseed", help="a stream, a changed version, the same again")
    add_common(reseed, 4 * GIB)
    reseed.add_argument("--kinds", default=",".join(dedup_reseed.BY_NAME), help="some of them (default: all)")
    wan = commands.add_parser("wan", help="the re-seed over a long link beside zstd | ssh")
    add_common(wan, 4 * GIB)
    add_link(wan, "100mbit", "80ms")
    wan.add_argument("--rmem")
    wan.add_argument("--wmem")
    wan.add_argument("--peer-bytes", type=parse_size, help="zstd | ssh carries so many, and its time is scaled (default: all of them)")
    loopback = commands.add_parser("loopback", help="speed, with duplicates and without")
    add_common(loopback, 2 * GIB)
    add_link(loopback, None, "1ms")
    loopback.add_argument("--rounds", type=int, default=5)
    loopback.add_argument("--format", choices=("zfs", "zvol", "plain"), default="zfs")
    loopback.add_argument("--record-bytes", type=parse_size, default=131072)
    loopback.add_argument("--parts", default="duplicates,unique")
    borg = commands.add_parser("borg", help="wire bytes beside borg and zstd --long")
    add_common(borg, 0)
    borg.add_argument("--cases", default="streams,kernels,image,image-zvol")
    borg.add_argument("--streams", help="folder of *.zstream.zst")
    borg.add_argument("--kernel-package", default="linux-source-6.1")
    borg.add_argument("--kernels", help="two versions, OLD,NEW (default: the newest that apt offers and the one before)")
    borg.add_argument("--tree", default="/usr/share", help="what the image holds (default: /usr/share)")
    borg.add_argument("--changed-files", type=float, default=3, help="percent of the image's files (default: 3)")
    borg.add_argument("--chunker-params", default="buzhash,14,18,16,4095", help="borg's; 2^16 bytes on average by default, as zferry's")
    borg.add_argument("--capacity", type=parse_size, default=12 * GIB, help="of the store")
    borg.add_argument("--cache", type=Path, default=ROOT / "build" / "dedup-cache", help="where kernels and images are kept")
    options = parser.parse_args()
    if options.send_args is None:      # over loopback it would rather not compress; beside borg it shall, at borg's level
        options.send_args = ["--compress", "3"] if options.command == "borg" else []
    options.zferry = os.path.abspath(options.zferry or f"{options.build}/cli/zferry")
    options.stream_maker = os.path.abspath(f"{options.build}/bench/stream_maker")
    return options


def main():
    options = parse_arguments()
    for program in (options.zferry, options.stream_maker):
        if not os.access(program, os.X_OK):
            print(f"dedup: no {program}: build the targets zferry and stream_maker", file=sys.stderr)
            return CANNOT
    facts, report = machine(), Report()
    report.note(f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, Linux {facts['kernel']}, {facts['system']}; "
                + first_line([options.zferry, "--version"]))
    if not deduplicates(options.zferry):
        report.note("this zferry does not deduplicate (no --dedup-scope): all bars on wire bytes will fail")
    runners = {"reseed": dedup_reseed, "wan": dedup_wan, "loopback": dedup_loopback, "borg": dedup_borg}
    try:
        runners[options.command].run(options, report)
    except (Unavailable, Trouble) as why:
        print(f"dedup: no lab here: {why}", file=sys.stderr)
        return CANNOT
    except RuntimeError as why:
        print(f"dedup: {why}", file=sys.stderr)
        return 1
    if not report.bars:
        print("dedup: nothing could be held against a bar here", file=sys.stderr)
        return CANNOT
    missed = [bar for bar in report.bars if not bar["ok"]]
    print(f"dedup: {len(report.raw)} transfers, {sum(bool(each.get('compared')) for each in report.raw)} of them compared byte for byte; "
          f"{len(report.bars)} bars, {len(missed)} missed")
    if options.out:
        told = {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
        Path(options.out).write_text(json.dumps({"machine": facts, "options": told, "notes": report.notes, "raw": report.raw,
                                                 "bars": report.bars}, indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
