#!/usr/bin/env python3
"""zferry beside its peers over loopback: ssh with its fastest cipher, mbuffer (plaintext), and the bare encrypted pipe.

The stream lies in a file in memory and is the sender's stdin; the receiver writes into a pipe that one small program empties
(--sink null: straight to /dev/null, but for ssh). Rounds are interleaved, the table shows medians. Wall time runs from the start of the
sender to the end of both ends. CPU and memory of the receiving end include that program. Before the clock runs, every peer
carries the stream once into sha256sum, and what came out is compared.
    bench/compare.py --stream random --size 4G --rounds 5 --out result.json
"""
import argparse
import hashlib
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tools" / "lib")]
import compare_peers as peers  # noqa: E402
import make_stream  # noqa: E402
from compare_measure import Memory, Process, first_line, machine  # noqa: E402

GIB = 1 << 30
TIME_LIMIT_S = 900


def parse_size(text):
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(float(text[:-1]) * units[text[-1].upper()]) if text[-1].upper() in units else int(text)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", choices=make_stream.KINDS, default="zfs", help="what is carried (default: zfs, incompressible)")
    parser.add_argument("--input", help="carry this file instead")
    parser.add_argument("--size", type=parse_size, default=4 * GIB)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sink", choices=("pipe", "null"), default="pipe")
    parser.add_argument("--peers", help="some of: " + ", ".join(p.name for p in peers.ALL) + " (comma between)")
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--zferry", help="default: BUILD/cli/zferry")
    parser.add_argument("--bare-pipe", help="default: BUILD/bench/bare_pipe")
    parser.add_argument("--zferry-args", type=shlex.split, default=[], help="for both ends, one string: --zferry-args='--io poll'")
    parser.add_argument("--zferry-send-args", type=shlex.split, default=[], help="for the source: --zferry-send-args='--compress off'")
    parser.add_argument("--store-on", default="/dev/shm", help="where the store's folder is made")
    parser.add_argument("--mbuffer-args", type=shlex.split, default=["-s", "128k", "-m", "64M"])
    parser.add_argument("--out", help="write everything as JSON")
    options = parser.parse_args()
    options.zferry = os.path.abspath(options.zferry or f"{options.build}/cli/zferry")
    options.bare_pipe = os.path.abspath(options.bare_pipe or f"{options.build}/bench/bare_pipe")
    return options


def versions(options):
    commands = {"zferry": [options.zferry, "--version"], "ssh": ["ssh", "-V"], "mbuffer": ["mbuffer", "--version"],
                "openssl": ["openssl", "version"]}
    return {name: first_line(command) for name, command in commands.items() if shutil.which(command[0])}


def transfer(peer_class, options, stream, round_name, consumer, output):
    """One transfer of the stream; what it took."""
    with tempfile.TemporaryDirectory(prefix="zferry-compare-") as folder:
        os.chmod(folder, 0o700)
        peer = peer_class(options, folder)
        memories = {end: Memory(f"{round_name}-{end}") for end in ("source", "target")}
        sender = None
        try:
            peer.start_receiver(memories["target"], consumer, output)
            with open(stream, "rb") as source:
                started_at = time.monotonic()
                sender = Process(peer.sender(), memories["source"], stdin=source, stdout=subprocess.DEVNULL)
            code = sender.wait(TIME_LIMIT_S)
            ended_at, target_ok = peer.finish(TIME_LIMIT_S)
        finally:
            if sender:
                sender.stop()
            peer.cleanup()
            peaks = {end: memory.close() for end, memory in memories.items()}
    if code != 0 or not target_ok:
        raise RuntimeError(f"{peer.name}: the source exited {code}, the target {[end.code for end in peer.ends]}")
    return {
        "wall_s": max(sender.ended_at, ended_at) - started_at,
        "source_cpu_s": sender.cpu_s,
        "target_cpu_s": sum(end.cpu_s for end in peer.ends),
        "source_peak_bytes": peaks["source"] or sender.maxrss_bytes,
        "target_peak_bytes": peaks["target"] or max(end.maxrss_bytes for end in peer.ends),
        "memory": memories["source"].how,
    }


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def verify(peer_class, options, stream, digest):
    with tempfile.NamedTemporaryFile(prefix="zferry-sha256-") as output:
        transfer(peer_class, options, stream, "verify", ["sha256sum"], output)
        output.seek(0)
        came_out = output.read().decode().split()
    if came_out[:1] != [digest]:
        raise RuntimeError(f"{peer_class.name}: the bytes that came out are not those that went in: {came_out[:1]}")


def prepare_stream(options, folder):
    if options.input:
        return options.input, os.path.getsize(options.input)
    free = shutil.disk_usage(folder).free
    size = options.size
    if size > free * 3 // 4:
        size = free // 2
        print(f"compare: {folder} has {free / GIB:.1f} GiB free: a stream of {size / GIB:.1f} GiB instead of {options.size / GIB:.1f}")
    path = os.path.join(folder, "stream")
    return path, make_stream.write_stream(path, options.stream, size, options.seed)


def choose_peers(options):
    wanted = [name.strip() for name in options.peers.split(",")] if options.peers else [p.name for p in peers.ALL]
    chosen = []
    for peer in peers.ALL:
        if peer.name not in wanted:
            continue
        why = peer.missing(options)
        if why:
            print(f"compare: without {peer.name}: {why}")
        else:
            chosen.append(peer)
    if not chosen:
        sys.exit("compare: no peer is left")
    return chosen


def median_row(runs, size):
    row = {key: statistics.median(run[key] for run in runs) for key in runs[0] if key != "memory"}
    row["gb_per_s"] = size / row["wall_s"] / 1e9
    row["gb_per_s_min"] = size / max(run["wall_s"] for run in runs) / 1e9
    row["gb_per_s_max"] = size / min(run["wall_s"] for run in runs) / 1e9
    row["source_cpu_s_per_gib"] = row["source_cpu_s"] / size * GIB
    row["target_cpu_s_per_gib"] = row["target_cpu_s"] / size * GIB
    return row


def print_table(rows, baseline):
    print(f"\n{'peer':16} {'GB/s':>6} {'(min - max)':>13} {'ratio':>6} {'CPU s/GiB':>17} {'peak MiB':>17}")
    print(f"{'':16} {'':6} {'':13} {'':6} {'source':>8} {'target':>8} {'source':>8} {'target':>8}")
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["gb_per_s"]):
        ratio = f"{row['gb_per_s'] / baseline:6.2f}" if baseline else "     -"
        spread = f"{row['gb_per_s_min']:.2f} - {row['gb_per_s_max']:.2f}"
        print(f"{name:16} {row['gb_per_s']:6.2f} {spread:>13} {ratio} {row['source_cpu_s_per_gib']:8.2f} {row['target_cpu_s_per_gib']:8.2f}"
              f" {row['source_peak_bytes'] / (1 << 20):8.1f} {row['target_peak_bytes'] / (1 << 20):8.1f}")


def main():
    options = parse_arguments()
    chosen = choose_peers(options)
    consumer = None
    if options.sink == "pipe":
        consumer = [options.bare_pipe, "sink"] if Path(options.bare_pipe).exists() else ["sh", "-c", "cat > /dev/null"]
    facts, programs = machine(), versions(options)
    print(f"compare: {facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, Linux {facts['kernel']}, {facts['system']}")
    print("compare: " + "; ".join(f"{name}: {said}" for name, said in programs.items()))
    runs = {peer.name: [] for peer in chosen}
    with tempfile.TemporaryDirectory(prefix="zferry-compare-", dir="/dev/shm") as folder:
        stream, size = prepare_stream(options, folder)
        digest = sha256_of(stream)
        shown = options.input or f"{options.stream}, seed {options.seed}"
        print(f"compare: stream {shown}: {size} bytes; sink {options.sink}; zferry "
              f"{' '.join(options.zferry_args + options.zferry_send_args) or '(defaults)'}")
        for peer in chosen:
            verify(peer, options, stream, digest)
        print(f"compare: {len(chosen)} peers delivered the stream byte for byte (sha256 {digest[:16]}...)")
        for number in range(options.rounds):
            turn = number % len(chosen)
            for peer in chosen[turn:] + chosen[:turn]:  # nobody always goes first
                runs[peer.name].append(transfer(peer, options, stream, str(number), consumer, subprocess.DEVNULL))
            print(f"compare: round {number + 1} of {options.rounds}: "
                  + ", ".join(f"{name} {size / r[-1]['wall_s'] / 1e9:.2f}" for name, r in runs.items()))
    rows = {name: median_row(each, size) for name, each in runs.items()}
    baseline = rows.get("bare pipe", {}).get("gb_per_s")
    print_table(rows, baseline)
    print(f"\nmedians of {options.rounds} interleaved rounds; ratio to the bare pipe; memory: {runs[chosen[0].name][0]['memory']}")
    ssh = [name for name in rows if name.startswith("ssh")]
    if ssh:
        print(f"ssh's fastest cipher here: {max(ssh, key=lambda name: rows[name]['gb_per_s'])}")
    if options.out:
        result = {"machine": facts, "versions": programs, "stream": shown, "stream_bytes": size, "sha256": digest,
                  "rounds": options.rounds, "sink": options.sink, "zferry_args": options.zferry_args,
                  "zferry_send_args": options.zferry_send_args,
                  "mbuffer_args": options.mbuffer_args, "medians": rows, "runs": runs}
        Path(options.out).write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
