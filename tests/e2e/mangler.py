"""A TCP proxy between the two ends that knows where frames begin, and harms the flow at a chosen place.

Directions are named by the end that speaks: "source" or "target". A place is a byte of that direction's flow, a frame by its
index, or the first frame of a type. Each direction opens with 512 bytes of handshake; frames follow (engine/wire/frame.h).
"""
import dataclasses
import socket
import struct
import threading

HANDSHAKE_BYTES = 512
HEADER_BYTES = 8
HEARTBEAT, OPEN, OPENED, BLOCK, DATA, ACK, FINAL, FINAL_ACK, DONE, ABORT = range(1, 11)
NAMES = "? HEARTBEAT OPEN OPENED BLOCK DATA ACK FINAL FINAL-ACK DONE ABORT".split()


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

    def __init__(self, speaker, incoming, outgoing, rule):
        self.speaker, self.incoming, self.outgoing = speaker, incoming, outgoing
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


class Mangler:
    """One proxy for one session. Takes one connection at a time; a connection after the rule has struck is refused."""

    def __init__(self, rule=None):
        self.rule, self.struck = rule, False
        self.flows = []
        self.sockets = []
        self.lock = threading.Lock()
        self.silent = threading.Event()

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
                if self.struck:
                    self._reset(near)
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self.upstream_port), 5)
                except OSError:
                    self._reset(near)
                    continue
                far.settimeout(None)
                self.sockets += [near, far]
                pair = [Flow(self.dialler, near, far, self.rule), Flow(other, far, near, self.rule)]
                self.flows += pair
            for flow in pair:
                threading.Thread(target=self._pump, args=(flow,), daemon=True).start()

    def _pump(self, flow):
        try:
            while piece := flow.incoming.recv(65536):
                if self.silent.is_set():
                    continue
                flow.held += piece
                if not self._forward(flow, flow.take(flow.parse())):
                    return
            if not self.silent.is_set():
                flow.outgoing.sendall(bytes(flow.held))
                flow.outgoing.shutdown(socket.SHUT_WR)
        except OSError:
            self._end_of(flow)

    def _end_of(self, flow):
        """One side is gone: the other must see it, unless silence is what we play."""
        if not self.silent.is_set():
            for end in (flow.incoming, flow.outgoing):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

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
            self.silent.set()                 # the other direction's thread passes nothing on any more, no end either
        if what in ("rst", "fin"):
            for end in (flow.incoming, flow.outgoing):
                self._reset(end) if what == "rst" else end.shutdown(socket.SHUT_WR)
        while what != "rst" and flow.incoming.recv(65536):
            pass                              # swallowed
        return False

    @staticmethod
    def _reset(end):
        """An RST at once, though another thread may sit in recv on the socket."""
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            end.shutdown(socket.SHUT_RD)      # wakes that thread; nothing goes on the wire yet
        except OSError:
            pass
        end.close()

    def frames(self, speaker):
        """Of the first connection: (offset, type, bytes) of every frame that this end spoke."""
        return next((flow.frames for flow in self.flows if flow.speaker == speaker), [])

    def bytes_of(self, speaker):
        return next((flow.forwarded for flow in self.flows if flow.speaker == speaker), 0)

    @property
    def proven(self):
        """Whether the dialler's first whole frame went through unharmed: from then on there is a session."""
        for flow in self.flows:
            end = sum(flow.frames[0][::2]) if flow.frames else None
            harmed = self.struck and flow.rule and flow.rule.what == "flip" and end and flow.strike_at < end
            if flow.speaker == self.dialler and end and flow.forwarded >= end and not harmed:
                return True
        return False

    def told(self):
        parts = [f"{f.speaker}: {f.forwarded} bytes, {' '.join(NAMES[k] if k < len(NAMES) else '?' for _, k, _ in f.frames[-6:])}"
                 for f in self.flows]
        return f"mangler {self.rule}, {'struck' if self.struck else 'did not strike'}; " + "; ".join(parts)

    def close(self):
        self.listener.close()
        for end in self.sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
