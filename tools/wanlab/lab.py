"""A lab: two network namespaces, a and b, with a WAN between them. For scripts, tests and benchmarks; the command line is `wanlab`.

    with Lab.up(rate="100mbit", rtt="40ms", loss="0.1%") as lab:
        server = lab.popen("b", ["iperf3", "-s", "-1"])
        lab.run("a", ["iperf3", "-c", lab.address("b")])
        lab.cut(rst=True, length="3s")

A lab's folder in /run/wanlab holds the control socket and a lock that the carrier holds as long as it lives: a lab whose lock is free is
a leftover, and sweep() takes it away.
"""
import contextlib
import fcntl
import itertools
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import quantities

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LABS = Path("/run/wanlab")
SPACES = Path("/run/netns")
DEVICE = "wan0"
ADDRESSES = {"a": "10.77.0.1", "b": "10.77.0.2"}
ADDRESSES_V6 = {"a": "fd77::1", "b": "fd77::2"}
SIDES = ("a", "b")
PATIENCE_S = 5
_counter = itertools.count()


class Unavailable(Exception):
    """This machine or user cannot have a lab; the text says why. Tests skip on it."""


class Trouble(Exception):
    """A lab could not be made, or a command was refused."""


def require():
    """Raises Unavailable where no lab can be made."""
    if "/usr/sbin" not in os.environ["PATH"].split(":"):
        os.environ["PATH"] += ":/usr/sbin:/sbin"
    if os.geteuid() != 0:
        raise Unavailable("run as root: network namespaces and TUN devices are made by root only")
    if not os.path.exists("/dev/net/tun"):
        raise Unavailable("no /dev/net/tun here (a container: run it with --device /dev/net/tun --cap-add NET_ADMIN --cap-add SYS_ADMIN)")
    for tool, package in (("ip", "iproute2"), ("nsenter", "util-linux")):
        if not shutil.which(tool):
            raise Unavailable(f"there is no {tool}: apt-get install {package}")


def carrier_path():
    """The program that carries the packets; built where it is not there yet."""
    named = os.environ.get("WANLAB_CARRIER")
    path = Path(named) if named else ROOT / "build" / "release" / "tools" / "wanlab" / "wanlab-carrier"
    if not named and not os.access(path, os.X_OK):
        print("wanlab: building wanlab-carrier (once)", file=sys.stderr)
        for step in (["cmake", "--preset", "release"], ["cmake", "--build", "--preset", "release", "--target", "wanlab-carrier"]):
            try:
                done = subprocess.run(step, cwd=ROOT, capture_output=True, text=True)
            except FileNotFoundError:
                raise Trouble("there is no cmake: run tools/setup build") from None
            if done.returncode != 0:
                raise Trouble(f"{' '.join(step)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    if not os.access(path, os.X_OK):
        raise Trouble(f"there is no {path}")
    return path


def _ip(*words, check=True):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise Trouble(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done


def processes_in(space):
    """The process ids that live in a namespace."""
    with contextlib.suppress(OSError):
        wanted = os.stat(SPACES / space)
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if entry.isdigit() and os.path.samestat(os.stat(f"/proc/{entry}/ns/net"), wanted):
                    yield int(entry)


def end_processes(spaces):
    """Ends what runs in these namespaces: asks first, then kills."""
    for number, wait_s in ((signal.SIGTERM, 2), (signal.SIGKILL, 2)):
        limit = time.monotonic() + wait_s
        living = [pid for space in spaces for pid in processes_in(space)]
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        while living and time.monotonic() < limit:
            time.sleep(0.02)
            living = [pid for space in spaces for pid in processes_in(space)]
        if not living:
            return


class Lab:
    """One lab, which runs already."""

    def __init__(self, name):
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,39}", name):
            raise Trouble(f"'{name}' is no name for a lab: letters, digits, _ . -, 40 at most")
        self.name = name
        self.folder = LABS / name
        self.control = self.folder / "ctl"
        self._leash = None

    @classmethod
    def up(cls, name=None, seed=1, congestion=None, mtu=1500, rmem=None, wmem=None, keep=False, **options):
        """Makes a lab. With `keep` it stays when this process ends; else it goes then, however that happens."""
        settings = quantities.link_settings(options)
        require()
        carrier = carrier_path()
        lab = cls(name or f"{os.getpid()}-{next(_counter)}")
        LABS.mkdir(mode=0o700, exist_ok=True)
        try:
            lab.folder.mkdir(mode=0o700)
        except FileExistsError:
            raise Trouble(f"there is a lab '{lab.name}' already; a leftover goes with: wanlab sweep") from None
        lock = os.open(lab.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for side in SIDES:
                _ip("netns", "add", lab.space(side))
            lab._start(carrier, seed, lock, keep)
            lab._dress(mtu, rmem, wmem, congestion)
            lab.settings = settings
            for direction, values in settings.items():
                lab.ask(f"set direction={direction} " + " ".join(f"{key}={value}" for key, value in values.items()))
        except BaseException:
            os.close(lock)
            lab.down()
            raise
        os.close(lock)
        return lab

    def _start(self, carrier, seed, lock, keep):
        """Starts the carrier, which inherits the lock, and a pipe whose closing tells it that we are gone."""
        words = [carrier, "--a", SPACES / self.space("a"), "--b", SPACES / self.space("b"), "--device", DEVICE, "--control", self.control,
                 "--seed", seed]
        inherited = [lock]
        if not keep:
            end, self._leash = os.pipe2(os.O_CLOEXEC)
            words += ["--leash", end]
            inherited.append(end)
        words += ["--", sys.executable, HERE / "wanlab", "down", self.name]
        with open(self.folder / "log", "wb") as log:
            process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                       pass_fds=inherited, start_new_session=True, cwd="/")
        if not keep:
            os.close(end)
        self._process = process
        ready = select.select([process.stdout], [], [], PATIENCE_S)[0] and process.stdout.readline()
        process.stdout.close()
        if ready != b"ready\n":
            process.kill()
            process.wait()
            why = (self.folder / "log").read_text().strip()
            raise (Unavailable if "/dev/net/tun" in why else Trouble)(f"the carrier does not start: {why}")

    def _dress(self, mtu, rmem, wmem, congestion):
        """Addresses, routes and what the kernel keeps for each namespace."""
        if not 576 <= int(mtu) <= 65535:
            raise Trouble(f"an MTU of {mtu}: 576 to 65535")
        for side in SIDES:
            ip = ["-n", self.space(side)]
            _ip(*ip, "link", "set", "lo", "up")
            _ip(*ip, "link", "set", DEVICE, "addrgenmode", "none", check=False)   # nor chatter: losses count packets
            _ip(*ip, "link", "set", DEVICE, "mtu", str(mtu), "txqueuelen", "10000", "multicast", "off")
            _ip(*ip, "address", "add", f"{ADDRESSES[side]}/24", "dev", DEVICE)
            _ip(*ip, "link", "set", DEVICE, "up")
            if int(mtu) >= 1280:
                _ip(*ip, "-6", "address", "add", f"{ADDRESSES_V6[side]}/64", "dev", DEVICE, "nodad", check=False)
            wanted = {"net.ipv4.tcp_no_metrics_save": "1"}   # a connection must not learn from the one before it
            for key, most in (("tcp_rmem", rmem), ("tcp_wmem", wmem)):
                if most is not None:
                    low, usual, _ = Path(f"/proc/sys/net/ipv4/{key}").read_text().split()
                    most = quantities._scaled(most, quantities.SIZES, "64m")
                    wanted[f"net.ipv4.{key}"] = f"{low} {min(int(usual), most)} {most}"
            for key, value in wanted.items():
                self._sysctl(side, key, value)
            self._set_congestion(side, congestion)

    def _sysctl(self, side, key, value):
        path = "/proc/sys/" + key.replace(".", "/")
        done = self.run(side, ["sh", "-c", 'echo "$1" >"$2"', "sh", value, path], capture_output=True)
        return done.returncode == 0

    def _set_congestion(self, side, wanted):
        """CUBIC where nothing was asked for and it is there. A host that reserves it for root refuses it as a namespace's default: then
        the route names it, which no rule forbids."""
        if wanted == "host":
            return
        known = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
        name = wanted or "cubic"
        if not wanted and name not in known:
            return
        if self._sysctl(side, "net.ipv4.tcp_congestion_control", name):
            return
        route = ["-n", self.space(side)]
        if _ip(*route, "route", "replace", "10.77.0.0/24", "dev", DEVICE, "proto", "kernel", "scope", "link", "src", ADDRESSES[side],
               "congctl", name, check=False).returncode != 0:
            raise Trouble(f"no congestion control '{name}' here; there are: {' '.join(known)}")
        _ip(*route, "-6", "route", "replace", "fd77::/64", "dev", DEVICE, "proto", "kernel", "metric", "256", "congctl", name, check=False)

    def space(self, side):
        return f"wanlab-{self.name}-{side}"

    @staticmethod
    def address(side):
        return ADDRESSES[side]

    @property
    def environment(self):
        """What a command that works with this lab finds in its environment."""
        return {"WANLAB_NAME": self.name, "WANLAB_CTL": str(self.control), "WANLAB": str(HERE / "wanlab"),
                "WANLAB_A": self.space("a"), "WANLAB_B": self.space("b"),
                "WANLAB_ADDRESS_A": ADDRESSES["a"], "WANLAB_ADDRESS_B": ADDRESSES["b"]}

    def inside(self, side, words):
        """The command line that runs `words` at one side."""
        return ["nsenter", f"--net={SPACES / self.space(side)}", "--", *map(str, words)]

    def popen(self, side, words, **more):
        return subprocess.Popen(self.inside(side, words), **more)

    def run(self, side, words, **more):
        return subprocess.run(self.inside(side, words), **more)

    def ask(self, line):
        """One command of the carrier's, and its answer."""
        try:
            with socket.socket(socket.AF_UNIX) as caller:
                caller.settimeout(PATIENCE_S)
                caller.connect(str(self.control))
                caller.sendall(line.encode() + b"\n")
                said = b"".join(iter(lambda: caller.recv(1 << 16), b""))
        except OSError as error:
            raise Trouble(f"there is no lab '{self.name}' that answers: {error}") from None
        try:
            answer = json.loads(said)
        except ValueError:
            raise Trouble(f"'{line}' has no answer: {said[:200]!r}") from None
        if not answer.pop("ok"):
            raise Trouble(answer["error"])
        return answer

    @staticmethod
    def _chosen(port=None, flows=(), first=None):
        words = [] if port is None else [f"port={port}"]
        words += [f"flow={number}" for number in flows]
        return words + ([] if first is None else [f"first={first}"])

    def cut(self, direction="both", rst=False, length=None, port=None, flows=(), first=None):
        """Cuts, silently or with resets to both ends; heals by itself after `length`. Answers with the number of the cut."""
        words = ["cut", f"direction={direction}", f"rst={int(rst)}", *self._chosen(port, flows, first)]
        return self.ask(" ".join(words + ([] if length is None else [f"for_ns={quantities.time_ns(length)}"])))

    def reset(self, port=None, flows=(), first=None):
        """Resets connections; new ones may be opened at once."""
        return self.ask(" ".join(["reset", *self._chosen(port, flows, first)]))

    def heal(self, number=None):
        return self.ask("heal" if number is None else f"heal cut={number}")

    def stats(self):
        return self.ask("stats")

    def flows(self):
        return self.ask("flows")["flows"]

    def change(self, direction="both", rate=None, delay=None, jitter=None, reorder=None, loss=None, burst_loss=None, queue=None):
        """Changes what the link does from now on; what is not named stays, the queue's bytes too."""
        stats = self.stats()
        concerned = ("a-to-b", "b-to-a") if direction == "both" else (direction,)
        rtt_ns = sum(quantities.time_ns(delay) if delay is not None and one in concerned else stats[one]["settings"]["delay_ns"]
                     for one in ("a-to-b", "b-to-a"))
        for one in concerned:
            words = [f"direction={one}"]
            words += [] if rate is None else [f"rate={quantities.rate(rate)}"]
            words += [] if delay is None else [f"delay={quantities.time_ns(delay)}"]
            words += [] if jitter is None else [f"jitter={quantities.time_ns(jitter)}"]
            words += [] if reorder is None else [f"reorder={int(reorder)}"]
            words += [] if loss is None else [f"loss={quantities.share(loss)}"]
            if burst_loss is not None:
                words += ["burst_loss={} burst_packets={}".format(*quantities.burst(burst_loss))]
            if queue is not None:
                bits = quantities.rate(rate) if rate is not None else stats[one]["settings"]["rate"]
                words += [f"queue={quantities.queue_bytes(queue, bits, rtt_ns)}"]
            self.ask("set " + " ".join(words))

    def alive(self):
        """Whether its carrier runs."""
        try:
            with open(self.folder / "lock", "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return False
        except BlockingIOError:
            return True
        except OSError:
            return False

    def down(self):
        """Takes everything away, whatever is left of it: processes inside, the carrier, both namespaces, the folder."""
        end_processes([self.space(side) for side in SIDES])
        with contextlib.suppress(Trouble):
            self.ask("quit")
        limit = time.monotonic() + PATIENCE_S
        while self.alive() and time.monotonic() < limit:
            time.sleep(0.01)
        process = getattr(self, "_process", None)
        if process:
            if process.poll() is None and self.alive():
                process.kill()
            process.wait()
        for side in SIDES:
            _ip("netns", "delete", self.space(side), check=(SPACES / self.space(side)).exists())
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._leash is not None:
            os.close(self._leash)
            self._leash = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()


def every():
    """The labs that there are, leftovers included."""
    return [Lab(entry.name) for entry in sorted(LABS.iterdir()) if entry.is_dir()] if LABS.is_dir() else []


def sweep():
    """Takes away what labs that are dead have left behind; their names."""
    swept = []
    for lab in every():
        if not lab.alive():
            lab.down()
            swept.append(lab.name)
    known = {lab.space(side) for lab in every() for side in SIDES}
    for entry in sorted(SPACES.iterdir()) if SPACES.is_dir() else ():
        if re.fullmatch(r"wanlab-.*-[ab]", entry.name) and entry.name not in known and not (LABS / entry.name[7:-2]).exists():
            end_processes([entry.name])
            _ip("netns", "delete", entry.name)
            swept.append(entry.name)
    return swept
