#!/usr/bin/env python3
"""Plants the mutants of mutants.py one by one and lets the simulator look for them.

    tools/mutants/run.py [NAME...]      all, or those named; --seeds N (10,000), --commit C (HEAD), --jobs N, --list

Works on the commit's files in build/mutants (nothing of yours is edited) and builds only the simulator there. A mutant of MUTANTS is looked
for by the transfers and journeys without a store, one of STORE_MUTANTS by the crash journeys. Prints for each FOUND with the first seed and
the promise that broke, or SURVIVED; the last line counts. Exit 1 if one survived, 2 if one could not be planted.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from mutants import MUTANTS, STORE_MUTANTS  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / "build" / "mutants" / "tree"
BUILD = ROOT / "build" / "mutants" / "build"
SUITES = [("Transfer.*", MUTANTS), ("Crashes.*", STORE_MUTANTS)]
COPIED = ["CMakeLists.txt", "engine", "cli", "tests", "tools", "bench"]


def sync(commit):
    """The tree of the commit; what has not changed keeps its time, so that little is built again."""
    with tempfile.TemporaryDirectory() as fresh:
        archive = subprocess.run(["git", "-C", ROOT, "archive", commit, "--", *COPIED], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", fresh], input=archive, check=True)
        wanted = {path.relative_to(fresh) for path in Path(fresh).rglob("*") if path.is_file()}
        for old in [path for path in TREE.rglob("*") if path.is_file()]:
            if old.relative_to(TREE) not in wanted:
                old.unlink()
        for name in wanted:
            source, copy = Path(fresh) / name, TREE / name
            if not copy.exists() or copy.read_bytes() != source.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)


def build(jobs):
    if not (BUILD / "build.ninja").exists():
        launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
        subprocess.run(["cmake", "-S", TREE, "-B", BUILD, "-G", "Ninja", "-DZFERRY_BENCH=OFF", *launcher], check=True, capture_output=True)
    done = subprocess.run(["ninja", "-C", BUILD, f"-j{jobs}", "test_sim"], capture_output=True, text=True)
    return None if done.returncode == 0 else done.stdout[-2000:]


def look(suite, seeds):
    """(found, story)"""
    environment = dict(os.environ, ZFERRY_SIM_SEEDS=str(seeds), ZFERRY_SIM_FAILURES="1", ZFERRY_SIM_SHRINK="0", ZFERRY_SIM_TRACE="1")
    try:
        run = subprocess.run([BUILD / "tests" / "sim" / "test_sim", f"--gtest_filter={suite}"], env=environment, capture_output=True,
                             text=True, errors="replace", timeout=1800)
    except subprocess.TimeoutExpired:
        return True, "it hangs"
    if run.returncode == 0:
        return False, ""
    crash = re.search(r"^seed \d+ ended in a broken assertion", run.stdout, re.M)
    if crash:
        return True, crash.group(0)
    seed = re.search(r"replay with ZFERRY_SIM_SEED=(\d+)", run.stdout)
    if seed:
        promise = re.search(r"^(?:journey|crash|first run|troubled rerun|rerun|first source|second source): [^:]*|^.* left a.*", run.stdout,
                            re.M)
        return True, f"seed {seed.group(1)}, {promise.group(0) if promise else '?'}"
    coverage = re.search(r"^(?:no seed reaches|hardly put).*", run.stdout, re.M)
    return True, "all seeds, " + (coverage.group(0) if coverage else f"exit {run.returncode}: " + run.stderr[-200:])


def plant(edits):
    for name, old, new in edits:
        path = TREE / name
        text = path.read_text()
        if text.count(old) != 1:
            return f"{name}: this occurs {text.count(old)} times: {old.strip()}"
        path.write_text(text.replace(old, new))
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=10000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--commit", default="HEAD")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    mutants = [(suite, *mutant) for suite, listed in SUITES for mutant in listed]
    unknown = set(options.names) - {name for _, name, _, _ in mutants}
    if unknown:
        parser.error("no such mutant: " + ", ".join(sorted(unknown)))
    chosen = [mutant for mutant in mutants if not options.names or mutant[1] in options.names]
    if options.list:
        print("\n".join(f"{suite:10} {name:30} {what}" for suite, name, what, _ in chosen))
        return 0
    found = survived = broken = 0
    for suite, name, _, edits in chosen:
        sync(options.commit)
        begun = time.monotonic()
        wrong = plant(edits) or build(options.jobs)
        if wrong:
            broken += 1
            print(f"{name:30} CANNOT BE PLANTED: {wrong}", flush=True)
            continue
        is_found, story = look(suite, options.seeds)
        found, survived = found + is_found, survived + (not is_found)
        took = time.monotonic() - begun
        print(f"{name:30} {'FOUND at ' + story if is_found else 'SURVIVED ' + str(options.seeds) + ' seeds'} ({took:.0f} s)", flush=True)
    sync(options.commit)
    print(f"{found} found, {survived} survived, {broken} could not be planted")
    return 2 if broken else 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
