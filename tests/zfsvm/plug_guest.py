"""The part of test_plug.py that runs in the machine: `plug_guest.py open|make|tell|look ...`. It prints one JSON object.

The origins lie on a disk that the machine forgets, the copies on tank, whose disk stays. What is told of an origin is told of its copy
too, so that both can be compared outside.
"""
import hashlib
import json
import mmap
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from pools import digests, zfs

DISKS = Path("/dev/disk/by-id")
SHARE, STORE = Path("/share"), Path("/store")
VOLUME_BYTES = 64 << 20
PATIENCE_S = 60
# What is asked of `zfs create` and of `zfs send`.
KINDS = {
    "plain": ([], []),
    "raw": (["-o", "encryption=aes-256-gcm", "-o", "keyformat=raw"], ["-w"]),
    "packed": (["-o", "recordsize=1M", "-o", "compression=zstd"], ["-Lce"]),
    "volume": (["-V", str(VOLUME_BYTES)], []),
}


def open_disks(*new):
    """After each boot: the pool and the file system of the store, as they were left."""
    STORE.mkdir(exist_ok=True)
    subprocess.run(["mount", DISKS / "virtio-store", STORE], check=True)
    make_or_find = ["create", "tank", DISKS / "virtio-pool"] if new else ["import", "-d", DISKS, "tank"]
    subprocess.run(["zpool", *make_or_find], check=True)
    return {"free_bytes": os.statvfs(STORE).f_bavail * os.statvfs(STORE).f_frsize}


def fill(folder, bulk_bytes):
    """Files of all sizes, with holes and gaps between their numbers; most of the bytes do not compress."""
    rng = random.Random(folder.name)
    for number in range(200):
        path = folder / f"d{number % 7}" / f"f{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(rng.choice((b"embedded " * (number + 3), rng.randbytes(rng.choice((0, 1, 100, 4096, 20000, 131072, 300001))))))
    for number in range(0, bulk_bytes, 4 << 20):
        (folder / f"bulk{number}").write_bytes(rng.randbytes(3 << 20) + bytes(512 << 10) + b"text" * (128 << 10))
    for number in range(0, 200, 9):
        (folder / f"d{number % 7}" / f"f{number}").unlink()
    (folder / "link").symlink_to("d1/f1")


def device(dataset):
    path, limit = Path("/dev/zvol") / dataset, time.monotonic() + PATIENCE_S
    while not path.exists() and time.monotonic() < limit:
        time.sleep(0.1)
    return path


def make(kind, mebibytes):
    """A dataset of this kind with a snapshot, and its stream in the shared folder."""
    size, (options, flags) = int(mebibytes) << 20, KINDS[kind]
    if kind == "raw":
        (SHARE / "zfskey").write_bytes(random.Random(kind).randbytes(32))
        options = [*options, "-o", f"keylocation=file://{SHARE}/zfskey"]
    if subprocess.run(["zpool", "list", "origin"], capture_output=True, check=False).returncode != 0:
        subprocess.run(["zpool", "create", "origin", DISKS / "virtio-scratch"], check=True)
    dataset = f"origin/{kind}"
    for old in (dataset, f"tank/{kind}"):
        subprocess.run(["zfs", "destroy", "-r", old], capture_output=True, check=False)
    zfs("create", *options, dataset)
    if kind == "volume":
        with open(device(dataset), "r+b") as volume:
            volume.write(random.Random(dataset).randbytes(min(size, VOLUME_BYTES)))
    else:
        fill(Path("/") / dataset, size)
    zfs("snapshot", f"{dataset}@one")
    with open(SHARE / f"{kind}.zstream", "wb") as stream:
        subprocess.run(["zfs", "send", *flags, f"{dataset}@one"], stdout=stream, check=True)
    return tell(dataset)


def tell(dataset):
    """Its snapshot's guid, and all that is in it."""
    if zfs("get", "-H", "-o", "value", "keystatus", dataset).strip() == "unavailable":
        zfs("load-key", "-L", f"file://{SHARE}/zfskey", dataset)
    zfs("set", "readonly=on", dataset)
    told = {"guid": zfs("get", "-H", "-o", "value", "guid", f"{dataset}@one").strip()}
    if zfs("get", "-H", "-o", "value", "type", dataset).strip() == "volume":
        content = device(dataset).read_bytes()
        return told | {"content": {"device": [len(content), hashlib.sha256(content).hexdigest()]}}
    if zfs("get", "-H", "-o", "value", "mounted", dataset).strip() != "yes":
        zfs("mount", dataset)
    return told | {"content": digests(Path("/") / dataset)}


def look(dataset):
    """How far ZFS came with it: the bytes that its resume token counts."""
    def value(what, *options):
        found = subprocess.run(["zfs", *options, what], capture_output=True, text=True, check=False)
        return found.stdout.strip() if found.returncode == 0 else None

    token = value(dataset, "get", "-H", "-o", "value", "receive_resume_token")
    told = {"exists": token is not None, "received": value(f"{dataset}@one", "list", "-H", "-o", "name") is not None, "token_bytes": None}
    if token not in (None, "", "-"):
        words = subprocess.run(["zfs", "send", "-nvt", token], capture_output=True, text=True, check=False)
        found = re.search(r"bytes = (0x[0-9a-f]+|\d+)", words.stdout + words.stderr)
        told["token_bytes"] = int(found[1], 0) if found else -1
    return told


def scribble():
    """Writes to a bare disk and to a file system, half of it flushed."""
    page = mmap.mmap(-1, 65536)   # aligned, as direct writes must be
    disk = os.open(DISKS / "virtio-bare", os.O_RDWR | os.O_DIRECT)
    for number, word in enumerate([b"F"] * 8 + [b"U"] * 8):
        if word == b"U" and page[:1] == b"F":
            os.fsync(disk)
        page[:] = word * len(page)
        os.pwrite(disk, page, number << 20)
    for name in ("flushed", "unflushed"):
        with open(STORE / name, "wb") as file:
            file.write(bytes(1000000))
            if name == "flushed":
                file.flush()
                os.fsync(file.fileno())
    return {"written": 16}


def reread():
    with open(DISKS / "virtio-bare", "rb") as disk:
        content = disk.read(16 << 20)
    found = [content[number << 20:(number << 20) + 65536] for number in range(16)]
    return {"flushed": found.count(b"F" * 65536), "unflushed": found.count(b"U" * 65536),
            "files": sorted(path.name for path in STORE.iterdir() if path.is_file() and path.stat().st_size == 1000000)}


if __name__ == "__main__":
    COMMANDS = {"open": open_disks, "make": make, "tell": tell, "look": look, "scribble": scribble, "reread": reread}
    print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
