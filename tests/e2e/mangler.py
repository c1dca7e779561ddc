"""TCP proxies between the two ends. Mangler knows where frames begin, and harms the flow at a chosen place; Gate cuts, stalls and
refuses when it is told to.

Directions are named by the end that speaks: "source" or "target". A place is a byte of that direction's flow, a frame by its
index, or the first frame of a type. Each direction opens with 512 bytes of handshake; frames follow (engine/wire/frame.h).
"""
import dataclasses
import socket
import struct
import threading
import time

HANDSHAKE_BYTES = 512
HEADER_BYTES = 8
HEARTBEAT, OPEN, OPENED, BLOCK, DATA, ACK, FINAL, FINAL_ACK, DONE, ABORT, JOIN, LEAVE = range(1, 13)
NAMES = "? HEARTBEAT OPEN OPENED BLOCK DATA ACK FINAL FINAL-ACK DONE ABORT JOIN LEAVE".split()


@dataclasses.dataclass
class Rule:
    """What to do, and where. One of byte, frame and frame_type is set."""

    what: str                 # "rst", "fin", "silence": both directions; "block": this one only; "flip": one bit
    speaker: str              # "source" or "target"
    byte: int = None
    frame: int = None
    frame_type: int = None
    bit: int = 0

    def place(self, frame_index, frame_type, frame_offset):
        """The byte where this rule strikes if it does at this frame, or nothing."""
        if self.frame == frame_index or self.frame_type == frame_type:
            return frame_offset
        return None


class Flow:
    """One direction of one connection."""

    def __init__(self, speaker, incoming, outgoing, rule, silent):
        self.speaker, self.incoming, self.outgoing = speaker, incoming, outgoing
        self.silent = silent                      # an event of both directions
        self.rule = rule if rule and rule.speaker == speaker else None
        self.strike_at = self.rule.byte if self.rule else None
        self.parsed = self.forwarded = 0          # bytes of the flow: understood, and passed on
        self.next_frame_at = HANDSHAKE_BYTES
        self.held = bytearray()
        self.frames = []                          # (offset, type, bytes with header)

    def parse(self):
        """Follows the frames in what is held; how many of the held bytes may go on."""
        while True:
            known = self.parsed + len(self.held)
            if known < self.next_frame_at + HEADER_BYTES:
                return max(0, min(known, self.next_frame_at) - self.parsed)
            at = self.next_frame_at - self.parsed
            length, kind = struct.unpack_from("<IB", self.held, at)
            if self.rule and self.strike_at is None:
                self.strike_at = self.rule.place(len(self.frames), kind, self.next_frame_at)
            self.frames.append((self.next_frame_at, kind, HEADER_BYTES + length))
            self.next_frame_at += HEADER_BYTES + length

    def take(self, count):
        taken = bytes(self.held[:count])
        del self.held[:count]
        self.parsed += count
        return taken


def reset(end):
    """An RST at once, though another thread may sit in recv on the socket."""
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RD)          # wakes that thread; nothing goes on the wire yet
    except OSError:
        pass
    end.close()


def shut(end, how=socket.SHUT_RDWR):
    try:
        end.shutdown(how)
    except OSError:
        pass


class Mangler:
    """A proxy that strikes once. Connections after that are refused, or, with `heals`, pass unharmed."""

    def __init__(self, rule=None, heals=False):
        self.rule, self.heals, self.struck = rule, heals, False
        self.flows = []
        self.sockets = []
        self.lock = threading.Lock()

    def start(self, upstream_port, dialler):
        """Listens, for a `dialler` ("source" or "target") who wants the end at upstream_port; the port to dial."""
        self.upstream_port, self.dialler = upstream_port, dialler
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self.listener.getsockname()[1]

    def _accept(self):
        other = "target" if self.dialler == "source" else "source"
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                if self.struck and not self.heals:
                    reset(near)
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self.upstream_port), 5)
                except OSError:
                    reset(near)
                    continue
                far.settimeout(None)
                self.sockets += [near, far]
                rule, silent = None if self.struck else self.rule, threading.Event()
                pair = [Flow(self.dialler, near, far, rule, silent), Flow(other, far, near, rule, silent)]
                self.flows += pair
            for flow in pair:
                threading.Thread(target=self._pump, args=(flow,), daemon=True).start()

    def _pump(self, flow):
        try:
            while piece := flow.incoming.recv(65536):
                if flow.silent.is_set():
                    continue
                flow.held += piece
                if not self._forward(flow, flow.take(flow.parse())):
                    return
            if not flow.silent.is_set():
                flow.outgoing.sendall(bytes(flow.held))
                flow.outgoing.shutdown(socket.SHUT_WR)
        except OSError:
            self._end_of(flow)

    def _end_of(self, flow):
        """One side is gone: the other must see it, unless silence is what we play."""
        if not flow.silent.is_set():
            for end in (flow.incoming, flow.outgoing):
                shut(end)

    def _forward(self, flow, data):
        """Passes bytes on as far as the rule lets them; false where this flow is over."""
        at = flow.strike_at
        if at is None or self.struck or at >= flow.forwarded + len(data):
            flow.outgoing.sendall(data)
            flow.forwarded += len(data)
            return True
        cut = at - flow.forwarded
        if flow.rule.what == "flip":
            self.struck = True
            data = bytearray(data)
            data[cut] ^= 1 << flow.rule.bit
            flow.outgoing.sendall(data)
            flow.forwarded += len(data)
            return True
        flow.outgoing.sendall(data[:cut])
        flow.forwarded += cut
        self.struck = True
        return self._strike(flow)

    def _strike(self, flow):
        what = flow.rule.what
        if what != "block":
            flow.silent.set()                 # the other direction's thread passes nothing on any more, no end either
        if what in ("rst", "fin"):
            for end in (flow.incoming, flow.outgoing):
                reset(end) if what == "rst" else end.shutdown(socket.SHUT_WR)
        while what != "rst" and flow.incoming.recv(65536):
            pass                              # swallowed
        return False

    def frames(self, speaker):
        """Of the first connection: (offset, type, bytes) of every frame that this end spoke."""
        return next((flow.frames for flow in self.flows if flow.speaker == speaker), [])

    def bytes_of(self, speaker):
        return next((flow.forwarded for flow in self.flows if flow.speaker == speaker), 0)

    def _passed(self, flow, frame):
        """Whether this frame went through, with everything before it unharmed."""
        end = sum(frame[::2])
        harmed = flow.rule and flow.rule.what == "flip" and flow.strike_at is not None and flow.strike_at < end
        return flow.forwarded >= end and not harmed

    @property
    def proven(self):
        """Whether the dialler's first whole frame, its proof, went through."""
        return any(flow.speaker == self.dialler and flow.frames and self._passed(flow, flow.frames[0]) for flow in self.flows)

    @property
    def proven_at_first(self):
        """The same of the first connection alone."""
        first = next((flow for flow in self.flows if flow.speaker == self.dialler), None)
        return bool(first and first.frames and self._passed(first, first.frames[0]))

    def told(self):
        parts = [f"{f.speaker}: {f.forwarded} bytes, {' '.join(NAMES[k] if k < len(NAMES) else '?' for _, k, _ in f.frames[-6:])}"
                 for f in self.flows]
        return f"mangler {self.rule}, {'struck' if self.struck else 'did not strike'}; " + "; ".join(parts)

    def close(self):
        self.listener.close()
        for end in self.sockets:
            shut(end)
            end.close()


class Gate:
    """A proxy for any number of connections, harmed from outside while it runs: what passes is not looked at."""

    proven = True

    def __init__(self):
        self.lanes = []                       # (near, far) of those that live, the oldest first
        self.accepted = 0
        self.carried = {"source": 0, "target": 0}
        self.flowing = threading.Event()
        self.flowing.set()
        self.lock = threading.Lock()
        self.refusing = self.closed = False

    def start(self, upstream_port, dialler):
        self.upstream_port, self.dialler = upstream_port, dialler
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self.port

    def _accept(self):
        while not self.closed:
            if self.refusing:
                time.sleep(0.02)
                continue
            try:
                near, _ = self.listener.accept()
            except OSError:
                time.sleep(0.02)
                continue
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near):
        self.flowing.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self.upstream_port), 5)
        except OSError:
            return reset(near)
        far.settimeout(None)
        lane = (near, far)
        with self.lock:
            self.accepted += 1
            self.lanes.append(lane)
        other = "target" if self.dialler == "source" else "source"
        for speaker, incoming, outgoing in ((self.dialler, near, far), (other, far, near)):
            threading.Thread(target=self._pump, args=(lane, speaker, incoming, outgoing), daemon=True).start()

    def _pump(self, lane, speaker, incoming, outgoing):
        try:
            while piece := incoming.recv(65536):
                self.flowing.wait()
                outgoing.sendall(piece)
                self.carried[speaker] += len(piece)
            self.flowing.wait()
            outgoing.shutdown(socket.SHUT_WR)
        except OSError:
            for end in lane:
                shut(end)
        with self.lock:                       # it lives as long as both directions do
            if lane in self.lanes:
                self.lanes.remove(lane)

    def cut(self, what, count=None):
        """Ends the `count` oldest lanes, or all, by "rst" or "fin"; how many there were."""
        with self.lock:
            taken = self.lanes[:count]
            self.lanes = self.lanes[len(taken):]
        for near, far in taken:
            for end in (near, far):
                reset(end) if what == "rst" else shut(end)
        return len(taken)

    def stall(self, seconds):
        """Nothing passes for so long, nor is lost; who dials meanwhile is accepted and hears nothing."""
        self.flowing.clear()
        time.sleep(seconds)
        self.flowing.set()

    def refuse(self, seconds):
        """Cuts all, and the port refuses for so long."""
        self.refusing = True
        shut(self.listener)
        self.listener.close()
        self.cut("rst")
        time.sleep(seconds)
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.refusing = False

    def told(self):
        return f"gate: {self.accepted} lanes accepted, {len(self.lanes)} live, carried {self.carried}"

    def close(self):
        self.closed = True
        self.flowing.set()
        self.refusing = False
        shut(self.listener)
        self.listener.close()
        self.cut("rst")
