#!/usr/bin/env python3
"""Reads a store (docs/STORE.md) without zferry: an independent reader of its format, for tests and for a day on which nothing else is left.

    tools/store_reader.py --key-file KEY FOLDER                           one JSON line a session
    tools/store_reader.py --key-file KEY FOLDER --blocks                  and one a block, with a digest of its packed bytes
    tools/store_reader.py --key-file KEY FOLDER --chunks                  and one a chunk that can be found, and what is kept for that
    tools/store_reader.py --key-file KEY FOLDER --session ID --dump NEW   its blocks, notes and state as files of a new folder

KEY holds the 32 bytes of the store's key. Nothing in FOLDER is changed, and no lock is taken: not for a store in use. Exit 1 where
anything is damaged. Needs python3-cryptography.
"""
import argparse
import hashlib
import json
import re
import struct
import sys
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

MAGIC, VERSION = b"zfstore\n", 1
JOURNAL, SEGMENT, CHUNKS, WINDOW = 1, 2, 3, 4
HEADER_BYTES, TAG_BYTES = 64, 16
PAGE = struct.Struct("<IIQ")       # magic, plain bytes, commit
PAGE_MAGIC, PAGE_BYTES_MAX = 0x67706A7A, 128 << 10
BLOCK = struct.Struct("<QQIIBII")  # number, offset, raw, packed, encoding, segment, at
PIN = struct.Struct("<32sI16sQ")   # session, segment, check, number
FACTS = struct.Struct("<QQIIB")    # number, offset, raw, packed, encoding: what a block is sealed with
USE = struct.Struct("<32sIQ")      # session, segment, generation
CIPHERS = {1: ChaCha20Poly1305, 2: AESGCM}
NAME = re.compile(r"(journal|segment|chunks)-([0-9a-f]{64})(?:-([0-9a-f]{8}))?")


class Damage(Exception):
    pass


def keyed(key, data, size=32):
    return hashlib.blake2b(data, key=key, digest_size=size).digest()


class Store:
    def __init__(self, folder, key):
        self.folder = Path(folder)
        data = (self.folder / "format").read_bytes()
        self._check_start(data, "format")
        if len(data) != 80 or hashlib.blake2b(data[:64], digest_size=16).digest() != data[64:]:
            raise Damage("format: damaged")
        identity = data[16:48]
        self.key = keyed(key, b"zferry store" + identity)
        self.name_key = keyed(key, b"zferry store names" + identity)
        if keyed(self.key, b"zferry store check", 16) != data[48:64]:
            raise Damage("format: this store was made with another key")

    @staticmethod
    def _check_start(data, name):
        if data[:8] != MAGIC:
            raise Damage(f"{name}: no file of a store")
        version = struct.unpack_from("<H", data, 8)[0] if len(data) >= 10 else None
        if version != VERSION:
            raise Damage(f"{name}: version {version}")

    def sessions(self):
        """Id and the hex in the names of its files."""
        for path in sorted(self.folder.iterdir()):
            match = NAME.fullmatch(path.name)
            if match and match.group(1) == "journal" and not match.group(3):
                yield self._session_of(match.group(2)), match.group(2)

    def chunk_files(self):
        """Of each that has its segment: id, the hex in its name, number."""
        for path in sorted(self.folder.iterdir()):
            match = NAME.fullmatch(path.name)
            if match and match.group(1) == "chunks" and match.group(3):
                if (self.folder / path.name.replace("chunks", "segment")).exists():
                    yield self._session_of(match.group(2)), match.group(2), int(match.group(3), 16)

    def _session_of(self, name):
        half = [bytes.fromhex(name[:32]), bytes.fromhex(name[32:])]
        for number in reversed(range(4)):
            mask = keyed(self.name_key, struct.pack("<Q", number) + half[1 - number % 2], 16)
            half[number % 2] = bytes(a ^ b for a, b in zip(half[number % 2], mask))
        return half[0] + half[1]

    def open_file(self, name, kind, number, session):
        """The bytes of a file, what opens them, and the check that names it."""
        try:
            data = (self.folder / name).read_bytes()
        except OSError as error:
            raise Damage(f"{name}: {error.strerror}") from error
        self._check_start(data, name)
        key = keyed(self.key, b"zferry store file" + data[:48] + session)
        check = keyed(key, b"zferry store header" + data[:48], 16)
        its_kind, cipher, its_number = struct.unpack_from("<BBI", data, 10) if len(data) >= 16 else (0, 0, 0)
        if data[48:64] != check or (its_kind, its_number) != (kind, number) or cipher not in CIPHERS:
            raise Damage(f"{name}: damaged header")
        return data, CIPHERS[cipher](key), check


def opened(aead, place, sealed, associated):
    try:
        return aead.decrypt(struct.pack("<IQ", 0, place), sealed, associated)
    except InvalidTag:
        return None


def page_at(data, aead, at):
    if at + PAGE.size > len(data):
        return None
    magic, size, serial = PAGE.unpack_from(data, at)
    end = at + PAGE.size + size + TAG_BYTES
    if magic != PAGE_MAGIC or not 1 <= size <= PAGE_BYTES_MAX or end > len(data):
        return None
    plain = opened(aead, at, data[at + PAGE.size:end], data[at:at + PAGE.size])
    return None if plain is None else (plain, serial)


def numbered_pages(data, aead):
    """Of a file whose tail does not matter."""
    at, serial = HEADER_BYTES, 1
    while (page := page_at(data, aead, at)) is not None and page[1] == serial:
        yield page[0]
        at += PAGE.size + len(page[0]) + TAG_BYTES
        serial += 1


class Chunks:
    """The chunks of one segment, as far as their file can be read."""

    def __init__(self, store, session, name, number):
        self.session, self.number = session, number
        data, aead, _ = store.open_file(f"chunks-{name}-{number:08x}", CHUNKS, number, session)
        pages = list(numbered_pages(data, aead))
        if not pages:
            raise Damage(f"chunks-{name}-{number:08x}: no page opens")
        self.scope, self.check = pages[0][:16], pages[0][16:32]
        self.entries = []  # at, facts, chunks of id and units of short id and runs
        for plain in [pages[0][40:]] + pages[1:]:
            self._read(plain)

    def _read(self, plain):
        self._plain, self._at = plain, 0
        while self._at < len(plain):
            at = struct.unpack("<I", self._take(4))[0]
            facts = FACTS.unpack(self._take(FACTS.size))
            self._place = 0
            self.entries.append((at, facts, [self._chunk() for _ in range(self._varint())]))

    def _take(self, size):
        self._at += size
        return self._plain[self._at - size:self._at]

    def _varint(self):
        value = shift = 0
        while True:
            byte = self._take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _chunk(self):
        end = self._varint() + self._at
        whole = self._take(1)[0]
        chunk_id = self._take(16) if whole else None
        units = []
        count = self._varint()
        for _ in range(count):
            unit_id = chunk_id[:6] if whole and count == 1 else self._take(6)
            units.append((unit_id, [self._run() for _ in range(self._varint())]))
        if self._at != end:
            raise Damage(f"chunks of segment {self.number}: a chunk ends at another place")
        return chunk_id, units

    def _run(self):
        zigzag = self._varint()
        offset = self._place + ((zigzag >> 1) ^ -(zigzag & 1))
        size = self._varint()
        self._place = offset + size
        return offset, size

    def lines(self):
        for at, facts, chunks in self.entries:
            for chunk_id, units in chunks:
                yield {"session": self.session.hex(), "segment": self.number, "check": self.check.hex(),
                       "scope": self.scope.hex(), "at": at, "number": facts[0], "packed_bytes": facts[3],
                       "chunk": chunk_id.hex() if chunk_id else None,
                       "units": [unit.hex() + "".join(f" {o}+{n}" for o, n in runs) for unit, runs in units]}


def window(store):
    """What is written down of it; nothing where that cannot be read."""
    try:
        data, aead, _ = store.open_file("window", WINDOW, 0, bytes(32))
    except Damage:
        return None
    plain = b"".join(numbered_pages(data, aead))
    if len(plain) < 32:
        return None
    generation, looked, found, sessions = struct.unpack_from("<4Q", plain)
    uses = [USE.unpack_from(plain, at) for at in range(32, len(plain) - USE.size + 1, USE.size)]
    return {"generation": generation, "looked_bytes": looked, "found_bytes": found, "sessions": sessions,
            "uses": [[session.hex(), segment, use] for session, segment, use in sorted(uses)]}


class Session:
    """A journal read back: what its last commit left."""

    def __init__(self, store, session, name):
        self.store, self.id, self.name = store, session, name
        data, aead, _ = store.open_file(f"journal-{name}", JOURNAL, 0, session)
        pages, commits, at = [], [], HEADER_BYTES
        while (page := page_at(data, aead, at)) is not None:
            plain, commit = page
            if commit != len(commits) + 1:
                raise Damage(f"journal-{name} at {at}: commits are out of order")
            pages.append(plain)
            at += PAGE.size + len(plain) + TAG_BYTES
            if self._ends_commit(plain):
                commits.append(len(pages))
        if not commits or self._goes_on(data, aead, at, len(commits) + 1):
            raise Damage(f"journal-{name} at {at}: damaged")
        self.label, self.begun, self.first, self.state = "", 0, 0, b""
        self.notes, self.segments, self.blocks, self.pieces = {}, {}, {}, b""
        self.pins = {}
        for plain in pages[:commits[-1]]:
            self._apply(plain)
        self._files = {}

    def _goes_on(self, data, aead, at, commit):
        """Behind what does not open, a commit that began when that was on disk: it is no torn tail."""
        mark = struct.pack("<I", PAGE_MAGIC)
        at = data.find(mark, at + 1)
        while at >= 0:
            page = page_at(data, aead, at)
            if page and page[1] > commit:
                return True
            at = data.find(mark, at + 1)
        return False

    def _ends_commit(self, plain):
        return any(kind == 8 for kind, _ in self._records(plain))

    @staticmethod
    def _records(plain):
        at = 0
        while at < len(plain):
            kind, start = plain[at], at + 1
            if kind == 1:
                size = 10 + struct.unpack_from("<H", plain, start + 8)[0]
            elif kind == 2:
                size = 5 + struct.unpack_from("<I", plain, start + 1)[0]
            elif kind == 6:
                size = 4 + struct.unpack_from("<I", plain, start)[0]
            else:
                size = {3: 20, 4: BLOCK.size, 5: 8, 7: 12, 8: 0, 9: PIN.size}[kind]
            yield kind, plain[start:start + size]
            at = start + size

    def _apply(self, plain):
        for kind, body in self._records(plain):
            if kind == 1:
                self.begun, self.label = struct.unpack_from("<q", body)[0], body[10:].decode(errors="replace")
            elif kind == 2:
                self.notes[body[0]] = body[5:]
            elif kind == 3:
                self.segments[struct.unpack_from("<I", body)[0]] = body[4:]
            elif kind == 4:
                block = BLOCK.unpack(body)
                self.blocks[block[0]] = block
            elif kind == 5:
                number = struct.unpack("<Q", body)[0]
                self.blocks = {n: b for n, b in self.blocks.items() if n < number}
            elif kind == 6:
                self.pieces += body[4:]
            elif kind == 7:
                self.first = struct.unpack_from("<Q", body)[0]
                self.state, self.pieces = self.pieces, b""
                self.blocks = {n: b for n, b in self.blocks.items() if n >= self.first}
                self.pins = {key: pin for key, pin in self.pins.items() if pin[1] >= self.first}
            elif kind == 9:
                pinned, segment, check, number = PIN.unpack(body)
                before = self.pins.get((pinned, segment), (check, 0))[1]
                self.pins[pinned, segment] = (check, max(before, number))

    def next_number(self):
        number = self.first
        while number in self.blocks:
            number += 1
        return number

    def packed(self, number):
        _, offset, raw, size, encoding, segment, at = self.blocks[number]
        name = f"segment-{self.name}-{segment:08x}"
        if segment not in self._files:
            self._files = {segment: self.store.open_file(name, SEGMENT, segment, self.id)}
        data, aead, check = self._files[segment]
        if check != self.segments[segment]:
            raise Damage(f"{name}: is not the file that the journal names")
        facts = FACTS.pack(number, offset, raw, size, encoding)
        plain = opened(aead, at, data[at:at + size + TAG_BYTES], facts)
        if plain is None or len(plain) != size:
            raise Damage(f"{name} at {at}: block {number} does not open")
        return plain

    def summary(self):
        return {"session": self.id.hex(), "label": self.label, "begun_unix_s": self.begun, "first_number": self.first,
                "next_number": self.next_number(), "blocks": len(self.blocks),
                "packed_bytes": sum(b[3] for b in self.blocks.values()),
                "notes": {str(n): v.hex() for n, v in sorted(self.notes.items())},
                **({"pins": [[pinned.hex(), segment, check.hex(), number]
                             for (pinned, segment), (check, number) in sorted(self.pins.items())]} if self.pins else {}),
                "state": hashlib.blake2b(self.state, digest_size=16).hexdigest(), "state_bytes": len(self.state)}

    def dump(self, folder):
        folder = Path(folder)
        folder.mkdir()
        for number in sorted(self.blocks):
            (folder / f"block-{number:016d}").write_bytes(self.packed(number))
        for note, value in self.notes.items():
            (folder / f"note-{note}").write_bytes(value)
        (folder / "state").write_bytes(self.state)


def show(session, options):
    print(json.dumps(session.summary()))
    for number, offset, raw, size, encoding, *_ in sorted(session.blocks.values()) if options.blocks else []:
        digest = hashlib.blake2b(session.packed(number), digest_size=16).hexdigest()
        print(json.dumps({"number": number, "offset": offset, "raw_bytes": raw, "packed_bytes": size, "encoding": encoding,
                          "packed": digest}))
    if options.dump:
        session.dump(options.dump)


def show_chunks(store):
    """What is damaged there is only not found, and no reason to complain."""
    for session, name, number in store.chunk_files():
        try:
            for line in Chunks(store, session, name, number).lines():
                print(json.dumps(line))
        except Damage as error:
            print(json.dumps({"session": session.hex(), "segment": number, "not_found": str(error)}))
    if (kept := window(store)) is not None:
        print(json.dumps({"window": kept}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--key-file", required=True)
    parser.add_argument("--blocks", action="store_true")
    parser.add_argument("--chunks", action="store_true")
    parser.add_argument("--session", metavar="ID", help="this session alone, by its hex")
    parser.add_argument("--dump", metavar="NEW")
    options = parser.parse_args()
    if options.dump and not options.session:
        parser.error("--dump needs --session")
    damaged = 0
    try:
        store = Store(options.folder, Path(options.key_file).read_bytes())
    except (Damage, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for session, name in store.sessions():
        if options.session and session.hex() != options.session:
            continue
        try:
            show(Session(store, session, name), options)
        except Damage as error:
            print(json.dumps({"session": session.hex(), "damage": str(error)}))
            damaged += 1
    if options.chunks:
        show_chunks(store)
    return 1 if damaged else 0


if __name__ == "__main__":
    sys.exit(main())
