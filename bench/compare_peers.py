"""The peers of compare.py and compare. Each knows its two command lines; all get the stream on stdin and write to the same kind of consumer.

A peer starts its receiving end (which becomes ready to accept), then is asked for the sending end's command. `consumer` is the program at
the end: for ssh the remote command, for all others a process behind a pipe, so that each peer writes into one pipe and no more.
Where the two ends run and under which address they meet is its place's matter (compare_place.py): the receiving end puts itself there,
the sending end is put there by the caller.
"""
import json
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from compare_measure import Process, wait_listening
from compare_place import LOOPBACK


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Peer:
    """One way to carry a stream. A fresh object is made for every transfer."""

    name = "?"
    how = ""

    def __init__(self, options, folder, place=LOOPBACK):
        self.options, self.folder, self.place, self.ends = options, Path(folder), place, []

    @classmethod
    def missing(cls, options):
        """Why this peer cannot run here, or nothing."""
        return None

    def start_receiver(self, memory, consumer, output):
        """Starts everything of the receiving end; `output` is where the consumer's own words go."""
        raise NotImplementedError

    def sender(self):
        """The sending end's command."""
        raise NotImplementedError

    def senders(self):
        """The sending end as a pipeline, its last command the one that speaks to the other end."""
        return [self.sender()]

    def piped(self, memory, consumer, output, command, **streams):
        """`command` with its stdout in a pipe that `consumer` reads; without a consumer, in `output`."""
        command = self.place.target(command)
        if not consumer:
            end = Process(command, memory, stdout=output, **streams)
            self.ends.append(end)
            return end
        read_end, write_end = os.pipe()
        self.ends.append(Process(consumer, memory, stdin=read_end, stdout=output))
        end = Process(command, memory, stdout=write_end, **streams)
        os.close(read_end)
        os.close(write_end)
        self.ends.append(end)
        return end

    def finish(self, timeout_s):
        """Waits for the receiving end; when it ended, and whether well."""
        codes = [end.wait(timeout_s) for end in self.ends]
        return max(end.ended_at for end in self.ends), not any(codes)

    def cleanup(self):
        for end in self.ends:
            end.stop()


class Bare(Peer):
    name = "bare pipe"
    how = "AES-256-GCM, one thread an end, no protocol (bench/bare_pipe.cc)"

    @classmethod
    def missing(cls, options):
        return None if Path(options.bare_pipe).exists() else f"no {options.bare_pipe}: build the target bare_pipe"

    def start_receiver(self, memory, consumer, output):
        self.port, self.key = free_port(), secrets.token_hex(32)
        command = [self.options.bare_pipe, "recv", str(self.port), self.key]
        wait_listening(self.port, self.piped(memory, consumer, output, command, stdin=subprocess.DEVNULL))

    def sender(self):
        return [self.options.bare_pipe, "send", f"{self.place.address}:{self.port}", self.key]


class Zferry(Peer):
    name = "zferry"
    how = "authenticated, encrypted, acknowledged, verified"

    @classmethod
    def missing(cls, options):
        return None if Path(options.zferry).exists() else f"no {options.zferry}: build the target zferry"

    def start_receiver(self, memory, consumer, output):
        self.secret, self.port = self.folder / "secret", None
        subprocess.run([self.options.zferry, "key", "secret", "--out", self.secret], check=True, capture_output=True)
        command = [self.options.zferry, "recv", "--listen", f"{self.place.address}:0", "--secret", self.secret, "--json",
                   "--state", self.folder / "target", *self.options.zferry_args, *self.store()]
        end = self.piped(memory, consumer, output, command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said, line = end.popen.stderr, b""
        for line in said:
            self.port = json.loads(line).get("port") if line.startswith(b"{") else None
            if self.port:
                break
        if not self.port:
            raise RuntimeError(f"zferry recv does not listen: {line.decode().strip()}")
        threading.Thread(target=said.read, daemon=True).start()  # its progress, so that it never waits for us

    def store(self):
        return []

    def sender(self):
        return [self.options.zferry, "send", f"{self.place.address}:{self.port}", "--secret", self.secret, "--quiet",
                "--state", self.folder / "source", *self.options.zferry_args, *self.options.zferry_send_args]


class ZferryStore(Zferry):
    """The same with crash cover: every block durable before the source lets go of it."""

    name = "zferry with store"
    how = "as zferry, and what is acknowledged survives a crash of the target"

    def store(self):
        self.store_folder = tempfile.mkdtemp(prefix="zferry-store-", dir=self.options.store_on)
        return ["--store", self.store_folder]

    def cleanup(self):
        super().cleanup()
        shutil.rmtree(self.store_folder, ignore_errors=True)


class Mbuffer(Peer):
    name = "mbuffer"
    how = "plaintext TCP"

    @classmethod
    def missing(cls, options):
        return None if shutil.which("mbuffer") else "mbuffer is not installed"

    def start_receiver(self, memory, consumer, output):
        self.port = free_port()
        command = ["mbuffer", "-q", *self.options.mbuffer_args, "-I", str(self.port)]
        wait_listening(self.port, self.piped(memory, consumer, output, command, stdin=subprocess.DEVNULL,
                                             stderr=subprocess.DEVNULL))

    def sender(self):
        return ["mbuffer", "-q", *self.options.mbuffer_args, "-O", f"{self.place.address}:{self.port}"]


class Ssh(Peer):
    """OpenSSH with everything explicit: no configuration file, keys and known hosts of its own. Each session has its own sshd."""

    cipher = None   # OpenSSH's own choice

    @classmethod
    def missing(cls, options):
        cls.sshd = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        return None if cls.sshd and shutil.which("ssh") and os.getuid() == 0 else "ssh and sshd are wanted, and root to run sshd"

    @property
    def how(self):
        return f"OpenSSH, {self.cipher or 'default cipher'}"

    def start_receiver(self, memory, consumer, output):
        self.port, keys = free_port(), self.folder
        for name in ("host", "user"):
            if not (keys / name).exists():
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        (keys / "authorized").write_text((keys / "user.pub").read_text())
        (keys / "known").write_text(f"[{self.place.address}]:{self.port} {(keys / 'host.pub').read_text()}")
        options = [f"ListenAddress={self.place.address}:{self.port}", f"HostKey={keys}/host", f"AuthorizedKeysFile={keys}/authorized",
                   "StrictModes=no", "UsePAM=no", "PasswordAuthentication=no", "PermitRootLogin=yes", "PidFile=none",
                   *self.ciphers(), "Compression=no", "LogLevel=ERROR", "PrintMotd=no", "UseDNS=no"]
        command = [self.sshd, "-D", "-e", "-f", "/dev/null", *(f"-o{option}" for option in options)]
        self.daemon = Process(self.place.target(command), memory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.ends = [self.daemon]
        wait_listening(self.port, self.daemon)
        where = output.name if hasattr(output, "name") else "/dev/null"
        self.remote = self.remote_command(f"{shlex.join(map(str, consumer or ['cat']))} > {where}")

    def remote_command(self, consumer):
        """What the far shell runs; `consumer` is a command with its redirection."""
        return f"exec {consumer}"

    def ciphers(self):
        return [f"Ciphers={self.cipher}"] if self.cipher else []

    def sender(self):
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={self.folder}/known", "IdentitiesOnly=yes",
                   "GlobalKnownHostsFile=/dev/null", "IdentityAgent=none", "ControlPath=none", "Compression=no",
                   *self.ciphers(), "LogLevel=ERROR"]
        return ["ssh", "-F", "/dev/null", "-T", "-i", self.folder / "user", "-p", str(self.port),
                *(f"-o{option}" for option in options), f"root@{self.place.address}", self.remote]

    def finish(self, timeout_s):
        """The client's end is the session's end; the daemon is then told to go and takes its children's times with it."""
        children = Path(f"/proc/{self.daemon.popen.pid}/task/{self.daemon.popen.pid}/children")
        for _ in range(200):
            if not children.exists() or not children.read_text().strip():
                break
            threading.Event().wait(0.01)
        self.daemon.stop()
        return 0.0, True


class SshGcm(Ssh):
    name = "ssh aes128-gcm"
    cipher = "aes128-gcm@openssh.com"


class SshChacha(Ssh):
    name = "ssh chacha20"
    cipher = "chacha20-poly1305@openssh.com"


ALL = [Bare, Zferry, ZferryStore, SshGcm, SshChacha, Mbuffer]
