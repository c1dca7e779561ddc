"""The peers that only bench/compare has: ssh as one finds it, the pipes that people put around it, and zferry at fixed zstd levels.

Unlike the ciphers of compare.py these are what a user gets who changes nothing. The far end of each pipe runs in the shell that sshd starts.
"""
import shutil

from compare_peers import Mbuffer, Ssh, Zferry

SYNCOID_MBUFFER = ["mbuffer", "-q", "-s", "128k", "-m", "16M"]


class SshPlain(Ssh):
    name = "ssh"
    how = "OpenSSH, its default cipher"


class SshZstd(Ssh):
    name = "ssh+zstd"
    how = "zstd -3 -T0 | ssh | zstd -d"

    @classmethod
    def missing(cls, options):
        return super().missing(options) or (None if shutil.which("zstd") else "zstd is not installed")

    def senders(self):
        return [["zstd", "-q", "-c", "-3", "-T0"], self.sender()]

    def remote_command(self, consumer):
        return f"zstd -q -d -c | {consumer}"


class Syncoid(Ssh):
    """What syncoid of sanoid 2.1 runs without options, but for pv (which shows progress) and its shared ssh connection, which is there
    before the stream begins: here the connection is made for the stream."""

    name = "syncoid"
    how = "lzop | mbuffer -s 128k -m 16M | ssh | mbuffer -s 128k -m 16M | lzop -dfc, as syncoid does it"

    @classmethod
    def missing(cls, options):
        absent = [tool for tool in ("lzop", "mbuffer") if not shutil.which(tool)]
        return super().missing(options) or (f"{' and '.join(absent)} not installed" if absent else None)

    def senders(self):
        return [["lzop"], SYNCOID_MBUFFER, self.sender()]

    def remote_command(self, consumer):
        return f"{' '.join(SYNCOID_MBUFFER)} 2>/dev/null | lzop -dfc | {consumer}"


def at_level(level):
    """zferry with `--compress level`."""

    class Fixed(Zferry):
        name = f"zferry {level}"
        how = f"zferry with --compress {level}"

        def sender(self):
            return [*super().sender(), "--compress", level]

    return Fixed


STANDARD = [Zferry, SshPlain, SshZstd, Syncoid, Mbuffer]
