"""The states that dedup.py borg carries: lists of (name, command that writes it). What must be made first is kept in the folder of --cache.

kernels: two versions of Debian's kernel sources as tar archives. All times in them are set to one, as a checkout or a reproducible build has
them: otherwise every header differs, and with it every chunk of every chunker. image: an ext4 image of a tree, and the same image with some
of its files rewritten in place by debugfs. image-zvol: both as streams of a volume with blocks of 16 KiB (bench/stream_maker.cc).
"""
import os
import random
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

ENVIRONMENT = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin", E2FSPROGS_FAKE_TIME="1700000000")
IMAGE_UUID = "3e2c1d2e-0000-4000-8000-5a666572727a"
PLAIN_NAME = re.compile(r"[\w./+-]+")


class Missing(Exception):
    """This machine cannot have these states; the text says why."""


def need(*tools):
    absent = [tool for tool in tools if not shutil.which(tool, path=ENVIRONMENT["PATH"])]
    if absent:
        raise Missing(f"{' and '.join(absent)} not installed")


def written(path, make):
    """`path`, made by make(temporary path) where it is not there yet: what is there is whole."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        make(part)
        part.rename(path)
    return path


def cut(options, words):
    """The command, or the first --bytes of what it writes."""
    if not options.bytes:
        return words
    return ["sh", "-c", 'count=$1; shift; "$@" 2>/dev/null | head -c "$count"', "sh", str(options.bytes), *map(str, words)]


# Streams.

def stream_rank(path):
    """Full streams first, then what is whole by itself, then what others precede."""
    name = path.name
    kinds = ("full-plain", "full", "zvol-16k.", "clone", "rep", "fuse", "resumed", "inc-i.", "inc", "zvol")
    return next((rank for rank, kind in enumerate(kinds) if name.startswith(kind)), 1), name


def streams(options):
    if not options.streams:
        raise Missing("no --streams FOLDER is named")
    need("zstd")
    found = sorted(Path(options.streams).glob("*.zstream.zst"), key=stream_rank)
    if not found:
        raise Missing(f"no *.zstream.zst in {options.streams}")
    return [(path.name.partition(".")[0], ["zstd", "-q", "-d", "-c", path]) for path in found]


# Kernels.

def offered_versions(package):
    said = subprocess.run(["apt-cache", "madison", package], capture_output=True, text=True, check=False).stdout
    return [row.split("|")[1].strip() for row in said.splitlines() if row.count("|") == 2]


def chosen_kernels(options):
    """[(package, version)], the older first. Not two builds of one version, which hardly differ."""
    package = options.kernel_package
    if options.kernels:
        return [(package, version) for version in options.kernels.split(",")]
    versions = offered_versions(package)
    newest = versions[0] if versions else None
    older = next((each for each in versions if each.split("-")[0] != newest.split("-")[0]), None)
    if not older:
        raise Missing(f"apt offers no two versions of {package} (apt-get update?): name two with --kernels")
    return [(package, older), (package, newest)]


def downloaded(cache, package, version):
    def fetch(part):
        folder = Path(f"{part}.d")
        shutil.rmtree(folder, True)
        folder.mkdir(parents=True)
        done = subprocess.run(["apt-get", "-qq", "download", f"{package}={version}"], cwd=folder, capture_output=True, text=True, check=False)
        found = list(folder.glob("*.deb"))
        if done.returncode or not found:
            raise Missing(f"apt-get download {package}={version}: {done.stderr.strip()[-200:]}")
        found[0].rename(part)
        shutil.rmtree(folder, True)
    return written(cache / f"{package}_{version}.deb", fetch)


def with_one_time(package_file, out):
    """The sources inside of a Debian package as a tar archive whose times are all the same."""
    shell = 'dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards "./usr/src/linux-source-*.tar.xz" | xz -dcq'
    with subprocess.Popen(["sh", "-c", shell, "sh", package_file], stdout=subprocess.PIPE) as source, open(out, "wb") as file, \
            tarfile.open(fileobj=source.stdout, mode="r|", bufsize=1 << 20) as old, \
            tarfile.open(fileobj=file, mode="w|", format=tarfile.GNU_FORMAT, bufsize=1 << 20) as new:
        for member in old:
            member.mtime, member.pax_headers = 1700000000, {}
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
            old.members.clear()          # they would all be kept
            new.members.clear()


def kernels(options):
    need("apt-get", "dpkg-deb", "xz", "tar")
    made = []
    for package, version in chosen_kernels(options):
        path = options.cache / f"{package}_{version}.tar"
        if not path.exists():
            package_file = downloaded(options.cache, package, version)
            written(path, lambda part, package_file=package_file: with_one_time(package_file, part))
        made.append((version, cut(options, ["cat", path])))
    return made


# Images.

def tool(*words, **options):
    done = subprocess.run(list(map(str, words)), env=ENVIRONMENT, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stderr.strip()[-300:]}")
    return done.stdout


def tree_files(tree):
    return sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())


def first_state(options, out):
    tree = Path(options.tree)
    size = sum((path.lstat().st_size + 4095) // 4096 * 4096 + 512 for path in tree.rglob("*"))
    with open(out, "wb") as file:
        file.truncate((size * 5 // 4 + (32 << 20)) >> 20 << 20)
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-m", "1", "-U", IMAGE_UUID, "-E", f"hash_seed={IMAGE_UUID},lazy_itable_init=0", "-d", tree, out)


def second_state(options, first, out):
    """Some files are deleted and written anew, with a few lines more in the middle."""
    tool("cp", "--sparse=always", first, out)
    rng, tree = random.Random(options.seed), Path(options.tree)
    files = [path for path in tree_files(tree) if PLAIN_NAME.fullmatch(str(path)) and path.stat().st_size]
    if not files:
        raise Missing(f"no files in {tree}")
    folder = Path(f"{out}.d")
    folder.mkdir(exist_ok=True)
    commands = []
    for number, path in enumerate(rng.sample(files, max(1, round(len(files) * options.changed_files / 100)))):
        data, inside = path.read_bytes(), path.relative_to(tree)
        middle = len(data) // 2
        changed = folder / str(number)
        changed.write_bytes(data[:middle] + b"".join(b"changed %d\n" % rng.getrandbits(64) for _ in range(20)) + data[middle:])
        commands += [f"rm /{inside}", f"write {changed} /{inside}"]
    (folder / "commands").write_text("\n".join(commands) + "\n")
    said = tool("debugfs", "-w", "-f", folder / "commands", out)
    if said.count("Allocated inode") < len(commands) // 2:
        raise RuntimeError(f"debugfs wrote {said.count('Allocated inode')} of {len(commands) // 2} files")
    shutil.rmtree(folder)


def image_files(options):
    need("mke2fs", "debugfs")
    name = str(Path(options.tree).resolve()).strip("/").replace("/", "-")
    first = written(options.cache / f"image-{name}-a", lambda part: first_state(options, part))
    second = written(options.cache / f"image-{name}-{options.changed_files:g}-{options.seed}-b", lambda part: second_state(options, first, part))
    return first, second


def image(options):
    return [(state, cut(options, ["cat", path])) for state, path in zip("AB", image_files(options))]


def image_as_zvol(options):
    return [(state, [options.stream_maker, "--format", "zvol", "--record-bytes", "16384", "--entropy", "0.5", "--change-seed", str(number),
                     "--input", path]) for number, (state, path) in enumerate(zip("AB", image_files(options)))]
