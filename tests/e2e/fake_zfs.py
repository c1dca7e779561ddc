"""Stands in for `zfs` at a target, where there is no ZFS: `zfs receive`, `get`, `list`, `zpool sync`, as OpenZFS 2.3 behaves, over files.

What `zfs receive` took counts in transaction groups only: a killed process (here that plays a crash of the machine) keeps what the last
group on its disks had. While it runs, `receive_resume_token` tells of one group more, which is being written: after a crash an older token
is back. The end of the input, or a signal that can be caught, keeps every complete
record where -s was given, and nothing where it was not. The checksum of every record is verified. What a finished receive has become is
told in one way only (SNAPSHOT.dump), so that one that was resumed can be compared with one that was not.

    FAKE_ZFS_STATE        the files' folder                  FAKE_ZFS_GROUP_MS     a group at least so often (5000)
    FAKE_ZFS_GROUP_BYTES  and after so much (no bound)       FAKE_ZFS_RATE         take no more bytes a second
    FAKE_ZFS_CHECK=0      verify no checksum

It knows plain streams of one snapshot, little-endian: full or incremental, resuming or not.
"""
import os
import pickle
import select
import signal
import struct
import sys
import time
import zlib
from pathlib import Path

from fletcher import Fletcher4
from fake_zfs_state import (ALL, BEGIN, CHECKSUM_AT, Cut, Dataset, EMBEDDED, END, FREE, FREEOBJECTS, HEADER_BYTES, INCOMPLETE, MAGIC, Model, OBJECT,
    PAYLOAD_BYTES_MAX, RANGE, REDACT, RESUMING, Refused, SPILL, WRITE, make_token, sha, u32, u64, unpack_integers)


class Input:
    """Standard input, with signals and a clock: `on_time` is called when `due` says so, while nothing comes as well."""

    def __init__(self):
        self.total, self.stopped_by, self.due, self.on_time, self.on_sync = 0, 0, None, None, None
        self.began, self.rate = time.monotonic(), float(os.environ.get("FAKE_ZFS_RATE", "0"))
        self.wakes, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        self.sync_wanted = False
        signal.signal(signal.SIGUSR1, self._sync)

    def _stop(self, number, _frame):
        self.stopped_by = number

    def _sync(self, _number, _frame):
        self.sync_wanted = True

    def wait(self):
        while True:
            if self.stopped_by:
                raise Cut("a signal", self.stopped_by)
            if self.sync_wanted and self.on_sync:
                self.sync_wanted = False
                self.on_sync()
            due = self.due() if self.due else None
            left = None if due is None else max(0, due - time.monotonic())
            ready, _, _ = select.select([0, self.wakes], [], [], left)
            if self.wakes in ready:
                os.read(self.wakes, 64)
                continue
            if not ready or left == 0:
                self.on_time()
            if 0 in ready and not self.stopped_by:
                return

    def read(self, count):
        parts, left = [], count
        while left:
            while self.rate and not self.stopped_by and (ahead := self.total / self.rate - (time.monotonic() - self.began)) > 0:
                time.sleep(min(ahead, 0.05))
            self.wait()
            part = os.read(0, min(left, 1 << 18))
            if not part:
                raise Cut(INCOMPLETE)
            self.total += len(part)
            left -= len(part)
            parts.append(part)
        return b"".join(parts)


def payload_bytes(kind, header):
    if kind == OBJECT:
        return u32(header, 36) or (u32(header, 28) + 7) & ~7
    if kind == WRITE:
        return u64(header, 96) if header[50] else u64(header, 32)
    if kind == SPILL:
        return u64(header, 40) or u64(header, 16)
    if kind == EMBEDDED:
        return (u32(header, 52) + 7) & ~7
    return u32(header, 4) if kind == BEGIN else 0


class Receive:
    """One `zfs receive`."""

    def __init__(self, options, name):
        name, _, self.snapshot = name.partition("@")
        self.dataset, self.resumable, self.force = Dataset(name), "s" in options, "F" in options
        self.input, self.sums = Input(), Fletcher4()
        self.checks = os.environ.get("FAKE_ZFS_CHECK", "1") != "0"
        self.group_s = float(os.environ.get("FAKE_ZFS_GROUP_MS", "5000")) / 1000
        self.group_bytes = int(os.environ.get("FAKE_ZFS_GROUP_BYTES", str(ALL)))
        self.what, self.partial, self.changed, self.dirty = "receive", None, False, False
        self.committed_at, self.committed_bytes, self.written = time.monotonic(), 0, None
        self.place = (0, 0)                       # of the last WRITE: they come in order

    # Records.

    def header(self):
        """The next record's header, found right: and with it the payload before it."""
        header = self.input.read(HEADER_BYTES)
        kind = u32(header, 0)
        if kind > REDACT or payload_bytes(kind, header) > PAYLOAD_BYTES_MAX:
            raise Cut("invalid record")
        before = struct.pack("<4Q", *self.sums.sums)
        if kind == BEGIN:
            self.feed(header)
            return header
        self.feed(header[:CHECKSUM_AT])
        stored = header[CHECKSUM_AT:]
        if self.checks and any(stored) and stored != struct.pack("<4Q", *self.sums.sums):
            raise Cut(INCOMPLETE)
        self.feed(stored)
        if self.checks and kind == END and any(header[8:40]) and header[8:40] != before:
            raise Cut(INCOMPLETE)
        return header

    def payload(self, header):
        payload = self.input.read(payload_bytes(u32(header, 0), header))
        self.feed(payload)
        return payload

    def feed(self, data):
        if self.checks:
            self.sums.feed(data if len(data) % 4 == 0 else data + bytes(-len(data) % 4))

    def in_order(self, number, offset, total):
        if (number, offset) < self.place:
            raise Cut("records are out of order")
        self.place = (number, offset)
        self.partial.update(object=number, offset=offset, bytes=total)

    def apply(self, kind, header, payload, total):
        model, number = self.model, u64(header, 8)
        if kind == OBJECT:
            model.object(header, payload)
        elif kind == FREEOBJECTS:
            model.free_objects(number, u64(header, 16))
        elif kind in (FREE, REDACT):
            model.free(number, u64(header, 16), u64(header, 24))
        elif kind == WRITE:
            self.in_order(number, u64(header, 24), total)
            model.write(number, u64(header, 24), u64(header, 32), sha(header[16:20], header[48:140], payload))
        elif kind == EMBEDDED:
            self.in_order(number, u64(header, 16), total)
            model.write(number, u64(header, 16), u64(header, 24), sha(header[40:56], payload))
        elif kind == SPILL:
            known = model.existing(number)
            if not header[32] & 2:                # else: an unmodified one, for older receivers
                known["spill"] = sha(header[16:24], payload)
        elif kind == RANGE:
            model.ranges[number] = sha(header[16:24], header[32:72])
        else:
            raise Cut("invalid record")
        self.changed = True

    # Beginning.

    def begin(self):
        header = self.header()
        if u32(header, 0) != BEGIN or u64(header, 8) != MAGIC:
            raise Refused("cannot receive: invalid stream (bad magic number)")
        payload = self.payload(header)
        versioninfo = u64(header, 16)
        if versioninfo & 3 != 1:
            raise Refused("cannot receive: a compound stream, which this stand-in does not know")
        toguid, fromguid, toname = u64(header, 40), u64(header, 48), header[56:].split(b"\0")[0].decode()
        self.snapshot = self.snapshot or toname.partition("@")[2]
        resuming = bool(versioninfo & RESUMING)
        self.what = ("cannot receive resume stream" if resuming else
                     "cannot receive incremental stream" if fromguid else "cannot receive new filesystem stream")
        self.dataset.lock(self.what)
        known, snapshots = self.dataset.load()
        self.kept = snapshots if fromguid else []
        if resuming:
            return self.resume(known, unpack_integers(payload), toguid, fromguid)
        if known and (self.force or fromguid or snapshots):
            raise Refused(f"{self.what}: destination {self.dataset.name} contains partially-complete state from \"zfs receive -s\".")
        if known or (snapshots and not fromguid and not self.force):
            raise Refused(f"{self.what}: destination '{self.dataset.name}' exists\nmust specify -F to overwrite it")
        base = None
        if fromguid:
            if not snapshots:
                raise Refused(f"{self.what}: destination '{self.dataset.name}' does not exist")
            if snapshots[-1][1] != fromguid:
                raise Refused(f"{self.what}: most recent snapshot of {self.dataset.name} does not\nmatch incremental source")
            base = snapshots[-1][2]
        self.model = Model(base)
        self.partial = {"toguid": toguid, "fromguid": fromguid, "toname": toname, "versioninfo": versioninfo, "object": 1, "offset": 0,
                        "bytes": 0, "snapshot": self.snapshot}
        self.commit()

    def resume(self, known, place, toguid, fromguid):
        """A resuming stream: it must continue exactly where the token is."""
        right = known and self.resumable and (toguid, fromguid, place.get("resume_object"), place.get("resume_offset")) == (
            known["toguid"], known["fromguid"], known["object"], known["offset"])
        if not right:
            raise Refused(f"{self.what}: kernel modules must be upgraded to receive this stream.")
        self.partial, self.model = known, known["model"]
        self.changed = True                       # it is kept, whatever comes

    # Transaction groups.

    def commit(self):
        """All of it is on the disks."""
        self.committed_at, self.committed_bytes, self.dirty, self.written = time.monotonic(), self.input.total, False, None
        if self.resumable:
            self.dataset.save(dict(self.partial, model=self.model), self.kept)

    def group(self):
        """A group ends: it can be seen from now on, and the one before it is on the disks."""
        written = self.written
        self.committed_at, self.committed_bytes, self.dirty = time.monotonic(), self.input.total, False
        if not self.resumable:
            return
        if written:
            self.dataset.replace("state", written)
        self.written = pickle.dumps((dict(self.partial, model=self.model), self.kept))
        self.dataset.replace("shown", pickle.dumps(self.partial))

    def on_time(self):
        if self.dirty:
            return self.group()
        self.dataset.replace("state", self.written)
        self.written = None

    def on_sync(self):
        """zpool sync: two groups at once, so that all that was taken is on the disks."""
        wanted = self.dataset.sync_wanted()
        if self.dirty:
            self.group()
        if self.written:
            self.on_time()
        self.dataset.replace("synced", wanted)

    def due(self):
        return self.committed_at + self.group_s if self.dirty or self.written else None

    def group_where_due(self):
        if self.input.total - self.committed_bytes >= self.group_bytes or time.monotonic() >= self.committed_at + self.group_s:
            self.group()

    def finish(self):
        name, guid = self.partial["snapshot"], self.partial["toguid"]
        dump = "\n".join([f"snapshot {name} {guid} {self.partial['fromguid']}", *self.model.dump(), ""])
        self.dataset.replace(f"{name}.dump", dump.encode())
        self.dataset.save(None, [*self.kept, (name, guid, self.model)])

    def run(self):
        self.begin()
        self.dataset.replace("shown", pickle.dumps(self.partial))
        self.input.due, self.input.on_time, self.input.on_sync = self.due, self.on_time, self.on_sync
        try:
            header = self.header()
            while u32(header, 0) != END:
                total, payload = self.input.total, self.payload(header)
                following = self.header()         # which proves the payload: only now it is applied
                self.apply(u32(header, 0), header, payload, total + len(payload))
                header, self.dirty = following, True
                self.group_where_due()
        except Cut as cut:
            return self.cut(cut)
        self.finish()
        return 0

    def cut(self, cut):
        words = f"{self.what}: {cut}"
        if self.resumable and self.changed:
            self.commit()
            words += (".\nPartially received snapshot is saved.\nA resuming stream can be generated on the sending system by running:\n"
                      f"    zfs send -t {make_token(self.partial)}")
        elif self.resumable:
            self.dataset.save(None, self.kept)
        sys.stderr.write(f"{words}\n")
        return 128 + cut.number if cut.number else 1


# The command line.

def split_options(arguments, valued=""):
    """({letter: value or True}, operands)"""
    options, operands, at = {}, [], 0
    while at < len(arguments):
        word = arguments[at]
        at += 1
        if not word.startswith("-"):
            operands.append(word)
            continue
        for place, letter in enumerate(word[1:], 2):
            if letter in valued:
                options[letter] = word[place:] or arguments[at]
                at += not word[place:]
                break
            options[letter] = True
    return options, operands


def receive(arguments):
    options, operands = split_options(arguments, "ox")
    if unknown := set(options) - set("suFvMox"):
        raise Refused(f"invalid option '{min(unknown)}'")
    receiver = Receive(options, operands[0])
    try:
        return receiver.run()
    except Cut as cut:                            # before there was anything to keep
        sys.stderr.write(f"{receiver.what}: {cut}\n")
        return 128 + cut.number if cut.number else 1


def abort(name):
    """receive -A"""
    dataset = Dataset(name)
    dataset.lock("cannot abort receive")
    partial, snapshots = dataset.existing()
    if not partial:
        raise Refused(f"'{name}' does not have any resumable receive state to abort")
    dataset.save(None, snapshots)
    return 0


def get(arguments):
    options, (names, target) = split_options(arguments, "ortsd")
    dataset = Dataset(target.partition("@")[0])
    partial, snapshots = dataset.existing()
    known = next((guid for name, guid, _ in snapshots if name == target.partition("@")[2]), None)
    if "@" in target and known is None:
        raise Refused(f"cannot open '{target}': dataset does not exist")
    for name in names.split(","):
        if name == "receive_resume_token":
            place = dataset.shown() or partial if partial else None
            value = make_token(place) if place and "@" not in target else "-"
        elif name == "guid":
            value = str(known if "@" in target else zlib.crc32(target.encode()) + 1)
        else:
            raise Refused(f"bad property list: invalid property '{name}'")
        shown = {"name": target, "property": name, "value": value, "source": "-"}
        print("\t".join(shown[column] for column in options.get("o", "name,property,value,source").split(",")))
    return 0


def list_snapshots(arguments):
    options, operands = split_options(arguments, "tosSd")
    if options.get("t") not in ("snapshot", "snap"):
        raise Refused("this stand-in lists snapshots only")
    folders = [Dataset(operands[0])] if operands else [Dataset(path.name.replace("%", "/"))
                                                       for path in sorted(Path(os.environ["FAKE_ZFS_STATE"]).iterdir())]
    if operands:
        folders[0].existing()
    for dataset in folders:
        for name, guid, _ in dataset.load()[1]:
            shown = {"name": f"{dataset.name}@{name}", "guid": str(guid)}
            print("\t".join(shown[column] for column in options.get("o", "name").split(",")))
    return 0


def zpool(command, pool):
    if command != "sync":
        raise Refused(f"unrecognized command '{command}'")
    for path in Path(os.environ["FAKE_ZFS_STATE"]).iterdir():
        dataset = Dataset(path.name.replace("%", "/"))
        if dataset.name.partition("/")[0] == pool:
            dataset.sync()
    return 0


def plant(name, guid):
    """Not a command of ZFS: an empty snapshot with this guid, for an increment to stand on."""
    dataset = Dataset(name.partition("@")[0])
    dataset.save(None, [*dataset.load()[1], (name.partition("@")[2], int(guid), Model())])
    return 0


def main(command, *arguments):
    if command in ("receive", "recv"):
        return abort(arguments[-1]) if "-A" in arguments else receive(arguments)
    return {"get": get, "list": list_snapshots, "plant": lambda words: plant(*words), "zpool": lambda words: zpool(*words)}[command](arguments)


if __name__ == "__main__":
    try:
        CODE = main(*sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:                      # who asked is gone
        CODE = 1
    except Refused as why:
        sys.stderr.write(f"{why}\n")
        CODE = 1
    os._exit(CODE)
