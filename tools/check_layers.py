#!/usr/bin/env python3
"""Holds the layer table of docs/ARCHITECTURE.md and the size ratchets. Exit 1 with a line for each breach.

Includes go to the same folder or to a strictly lower layer, as ALLOWED names them; cli/ sees the facade headers and base/ only.
Ratchets: lines of a file, median file, lines of a function, an opening comment in every header.
"""
import re
import statistics
import subprocess
import sys
from pathlib import Path

# folder of engine/ -> folders that it may include, besides itself
ALLOWED = {
    "base": set(),
    "zstream": {"base"},
    "pack": {"base"},
    "seal": {"base"},
    "wire": {"base"},
    "chunk": {"base", "zstream"},
    "io": {"base"},
    "flow": {"base"},
    "session": {"base", "wire"},
    "store": {"base", "zstream", "pack", "seal", "chunk", "io", "flow"},
    "pipeline": {"base", "zstream", "pack", "seal", "wire", "chunk", "io", "flow", "session", "store"},
}
FACADE = {"transfer.h", "keys.h", "inspect.h", "bench.h", "store.h"}  # all of engine/ that cli/ includes, besides base/

LAYERS = [{"base"}, {"zstream", "pack", "seal", "wire"}, {"chunk", "io", "flow"}, {"session", "store"}, {"pipeline"}]

FILE_LINES_MAX = 800
MEDIAN_LINES_MAX = 150
FUNCTION_LINES_MAX = 70
PYTHON_LINES_MAX = 400
NEVER_COMMITTED = ["/" + "work/"]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
NOT_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^(\s]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Za-z_])\'(?:\\.|[^\'\\\n])+\'', re.S)


def blank_out(text):
    """Comments, literals and directives become spaces; line numbers stay."""
    text = NOT_CODE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.M)


def kind_of_brace(head):
    """What a `{` after `head` opens, where `head` is what stands before it in a namespace or a class."""
    bare = re.sub(r"\[\[.*?\]\]|alignas\s*\([^)]*\)", " ", head).strip()
    if re.match(r"(inline\s+)?namespace\b|extern\s*$", bare):
        return "scope"
    bare = re.sub(r"^template\s*<.*?>\s*(?=(class|struct|union|requires)\b)", "", bare, flags=re.S)
    if re.match(r"(typedef\s+)?(class|struct|union|enum)\b", bare) and "(" not in bare:
        return "scope"
    if "(" not in bare:
        return "init"
    tail = bare[bare.rfind(")") + 1:]
    in_member_list = re.search(r"\)\s*(noexcept\s*)?:(?!:)", bare) is not None
    if in_member_list and re.search(r"[\w>]$", bare):
        return "init"  # the `{1}` of `Foo() : a_{1} {`
    if re.search(r"=\s*$", bare):
        return "init"
    if tail.strip() and not re.match(r"\s*(const|noexcept|override|final|mutable|try|requires|->|&|:|,|\{)", tail):
        return "init"
    return "function"


def functions(text):
    """(first line, last line) of each function at namespace or class scope."""
    code = blank_out(text)
    stack, head, head_line, line = [], "", 0, 1
    for char in code:
        at_scope = not stack or stack[-1][0] == "scope"
        if char == "\n":
            line += 1
        if char == "{":
            kind = kind_of_brace(head) if at_scope else "block"
            stack.append((kind, head_line or line))
            if kind == "scope":
                head, head_line = "", 0
            elif kind == "init":
                head += " "
        elif char == "}":
            if not stack:
                continue
            kind, first = stack.pop()
            if kind == "function":
                yield first, line
            if not stack or stack[-1][0] == "scope":
                if kind == "init":
                    head += "{}"
                else:
                    head, head_line = "", 0
        elif at_scope:
            if char == ";" or (char == ":" and re.fullmatch(r"\s*(public|private|protected)\s*", head)):
                head, head_line = "", 0
            else:
                if not head_line and not char.isspace():
                    head_line = line
                if head_line:
                    head += char


def check_include(path, folder, target, bracket, root):
    """The breach that `#include target` in a file of `folder` is, or nothing."""
    first = target.split("/")[0]
    if first == "engine":
        return 'includes start below engine/: "layer/file.h"'
    in_engine = (root / "engine" / target).exists()
    if bracket == "<":
        return "quotes for our own headers" if in_engine and "/" in target else None
    if folder == "cli":
        if first == "base" or target in FACADE or (root / "cli" / target).exists():
            return None
        return f"cli/ includes facade headers ({', '.join(sorted(FACADE))}) and base/ only"
    if folder == "":
        return None if first in ALLOWED or in_engine else "no such folder in the layer table"
    if first == folder or first in ALLOWED[folder]:
        return None
    return f"{folder}/ may include {', '.join(sorted(ALLOWED[folder])) or 'nothing else'}"


def check_sources(root):
    sizes = []
    for path in sorted(p for top in ("engine", "cli") for p in (root / top).rglob("*") if p.suffix in (".h", ".cc")):
        shown = path.relative_to(root)
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        sizes.append(lines)
        folder = "cli" if shown.parts[0] == "cli" else "/".join(shown.parts[1:-1]).split("/")[0]
        if folder not in ALLOWED and folder not in ("", "cli"):
            yield f"{shown}: {folder}/ is not in the layer table of {Path(__file__).name}"
            continue
        for number, row in enumerate(text.split("\n"), 1):
            match = INCLUDE.match(row)
            breach = match and check_include(shown, folder, match.group(2), match.group(1), root)
            if breach:
                yield f"{shown}:{number}: includes {match.group(2)}: {breach}"
        if lines > FILE_LINES_MAX:
            yield f"{shown}: {lines} lines, at most {FILE_LINES_MAX}"
        if path.suffix == ".h" and not text.startswith(("//", "/*")):
            yield f"{shown}: opens without a comment that says what it is"
        for first, last in functions(text):
            if last - first + 1 > FUNCTION_LINES_MAX:
                yield f"{shown}:{first}: a function of {last - first + 1} lines, at most {FUNCTION_LINES_MAX}"
    if sizes and statistics.median(sizes) > MEDIAN_LINES_MAX:
        yield f"the median file has {statistics.median(sizes)} lines, at most {MEDIAN_LINES_MAX}"
    if not sizes:
        yield "no source was found: wrong folder?"


def committed_files(root):
    """What git tracks, or every small file where there is no git."""
    try:
        listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, check=True).stdout
        return [root / name for name in listed.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        skipped = {".git", "build"}
        return [p for p in root.rglob("*") if p.is_file() and not skipped & set(p.relative_to(root).parts)]


def check_everything_else(root):
    for path in committed_files(root):
        shown = path.relative_to(root)
        if not path.is_file() or path.stat().st_size > 4 << 20:
            continue
        data = path.read_bytes()
        for word in NEVER_COMMITTED:
            at = data.find(word.encode())
            if at >= 0:
                yield f"{shown}:{data.count(10, 0, at) + 1}: names a path of one machine"
        if path.suffix == ".py" and data.count(10) > PYTHON_LINES_MAX:
            yield f"{shown}: {data.count(10)} lines, at most {PYTHON_LINES_MAX} for Python"
        if path.suffix in (".h", ".cc") and shown.parts[0] not in ("engine", "cli") and data.count(10) > FILE_LINES_MAX:
            yield f"{shown}: {data.count(10)} lines, at most {FILE_LINES_MAX}"


def check_table():
    """The table itself goes down only."""
    level = {folder: number for number, folders in enumerate(LAYERS) for folder in folders}
    for folder, targets in ALLOWED.items():
        for target in targets:
            if level[target] >= level[folder]:
                yield f"the table lets {folder}/ include {target}/, which is not below it"


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent).resolve()
    breaches = [*check_table(), *check_sources(root), *check_everything_else(root)]
    for breach in breaches:
        print(breach)
    count = sum(1 for top in ("engine", "cli") for p in (root / top).rglob("*") if p.suffix in (".h", ".cc"))
    print(f"layers: {count} files of engine/ and cli/, {len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
