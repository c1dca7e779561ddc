"""What goes onto the link is no larger than it must be: text beside whole-stream zstd -3, and what does not compress beside itself."""
import random
import shutil
import subprocess
import unittest

from harness import FerryCase, main
from streams import zfs_bytes

import make_stream  # found through harness

MIB = 1 << 20


class Packing(FerryCase):
    def wire_bytes(self, content, *extra):
        room = self.room()
        (room / "in").write_bytes(content)
        pair = self.ferry(stream=room / "in", out=room / "out", room=room, source_extra=list(extra))
        self.check_success(pair, "delivered")
        self.assertEqual((room / "out").read_bytes(), content)
        self.assertEqual(pair.source.end["wire_bytes"] > 0, True)
        return pair.source.end["wire_bytes"]

    @unittest.skipUnless(shutil.which("zstd"), "no zstd to compare with")
    def test_text_is_packed_as_well_as_zstd_does(self):
        """More than the pool holds, faster than a link: no block may go unpacked because others wait. Adaptive packing has a link of
        100 Mbit/s to fit, where packing is the thing to do."""
        compared = 0
        for name, content in (("opaque", make_stream.text_like(21, 48 * MIB)), ("zfs", zfs_bytes(48 * MIB, 22, text=True))):
            whole = len(subprocess.run(["zstd", "-3", "-q", "-c"], input=content, stdout=subprocess.PIPE, check=True).stdout)
            for level in ("auto", "3"):
                with self.subTest(stream=name, compress=level):
                    limit = ("--limit", "12M") if level == "auto" else ()
                    wire = self.wire_bytes(content, "--compress", level, *limit)
                    print(f"{name}, {level}: {wire / whole:.3f} of zstd -3", flush=True)
                    self.assertLess(wire, 1.10 * whole)
                    compared += 1
        self.assertEqual(compared, 4)

    def test_what_does_not_compress_costs_its_frames_only(self):
        content = random.Random(23).randbytes(32 * MIB)
        for level in ("auto", "off"):
            self.assertLess(self.wire_bytes(content, "--compress", level), len(content) * 1.001)


if __name__ == "__main__":
    main()
