"""What runs inside the namespaces of a lab: small senders and receivers that measure, one JSON line each.

    echo                         answers datagrams with its own clock (the two ends share it) until it is killed
    ping HOST COUNT GAP_S BYTES  sends datagrams to an echo: for each that comes back, its number, both one-way delays, and when
                                 it turned
    sink PORT                    takes one TCP connection to its end: bytes, sha256, arrivals over time, how it ended
    pour HOST PORT BYTES SEED    sends that many bytes of a seed; what went wrong
    hold HOST PORT SECONDS       opens a connection and is silent; how it ended
"""
import hashlib
import json
import random
import select
import socket
import struct
import sys
import time

PORT = 7007
STEP = struct.Struct("!Qd")


def echo():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.bind(("", PORT))
        print("ready", flush=True)
        while True:
            data, peer = sock.recvfrom(65536)
            sock.sendto(data[:STEP.size] + struct.pack("!d", time.monotonic()) + data[STEP.size:], peer)


def ping(host, count, gap_s, size):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.connect((host, PORT))
        back, sent, limit = [], 0, None
        start = time.monotonic()
        while limit is None or (time.monotonic() < limit and len(back) < count):
            now = time.monotonic()
            due = start + sent * gap_s
            if sent < count and now >= due:
                sock.send(STEP.pack(sent, time.monotonic()) + bytes(max(0, size - STEP.size)))
                sent += 1
                limit = time.monotonic() + 1.5 if sent == count else None
                continue
            wait = (limit if sent == count else due) - now
            if select.select([sock], [], [], max(0, wait))[0]:
                data = sock.recv(65536)
                number, left = STEP.unpack_from(data)
                turned, = struct.unpack_from("!d", data, STEP.size)
                back.append((number, turned - left, time.monotonic() - turned, turned))
    print(json.dumps({"back": back}))


def ended(error):
    return type(error).__name__ if error else "end"


def sink(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", port))
        listener.listen()
        print("ready", flush=True)
        sock, _ = listener.accept()
    digest, total, arrivals, error = hashlib.sha256(), 0, [], None
    with sock:
        try:
            while data := sock.recv(1 << 18):
                digest.update(data)
                total += len(data)
                arrivals.append((time.monotonic(), total))
        except OSError as caught:
            error = caught
    print(json.dumps({"bytes": total, "sha256": digest.hexdigest(), "ended": ended(error), "ended_at": time.monotonic(),
                      "arrivals": arrivals}))


def pour(host, port, size, seed):
    digest, error, sent = hashlib.sha256(), None, 0
    block = random.Random(seed).randbytes(1 << 18)
    with socket.socket() as sock:
        sock.connect((host, port))
        try:
            while sent < size:
                piece = block[:size - sent]
                sock.sendall(piece)
                digest.update(piece)
                sent += len(piece)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1)
        except OSError as caught:
            error = caught
    print(json.dumps({"bytes": sent, "sha256": digest.hexdigest(), "ended": ended(error), "ended_at": time.monotonic()}))


def hold(host, port, seconds):
    error = None
    with socket.socket() as sock:
        sock.connect((host, port))
        print("ready", flush=True)
        sock.settimeout(seconds)
        try:
            sock.recv(1)
        except OSError as caught:
            error = caught
    print(json.dumps({"ended": ended(error), "ended_at": time.monotonic()}))


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    if name == "echo":
        echo()
    elif name == "ping":
        ping(words[0], int(words[1]), float(words[2]), int(words[3]))
    elif name == "sink":
        sink(int(words[0]))
    elif name == "pour":
        pour(words[0], int(words[1]), int(words[2]), int(words[3]))
    elif name == "hold":
        hold(words[0], int(words[1]), float(words[2]))
