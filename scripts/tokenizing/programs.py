"""Builds the small programs of this folder from the sources of Tributary's tokenizer."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("Tokenizer", "JSON", "Files", "Sequences")


def build(name: str, work: Path) -> Path:
    """The program `name`, compiled together with the modules that it needs, unless none of their sources has changed."""
    sources = sorted(path for module in MODULES for path in (ROOT / "Sources" / module).rglob("*.swift"))
    sources.append(ROOT / f"scripts/tokenizing/{name}.swift")
    program = work / name
    if program.exists() and all(path.stat().st_mtime < program.stat().st_mtime for path in sources):
        return program
    folder = work / f"{name}-sources"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.swift"):
        old.unlink()
    for path in sources:
        text = path.read_text()
        for module in MODULES:
            text = text.replace(f"import {module}\n", "")
        (folder / path.name).write_text(text)
    # Files are written with it.
    linux = ROOT / "Sources/CLinux"
    (folder / "module.modulemap").write_text(f'module CLinux {{ header "{linux}/include/CLinux.h" }}\n')
    subprocess.run(
        ["clang", "-O2", "-c", str(linux / "Linux.c"), "-I", str(linux / "include"), "-o", str(folder / "Linux.o")], check=True)
    imports = [str(ROOT / "Sources" / library) for library in ("COpenSSL", "CZlib", "CZstd")] + [str(folder)]
    subprocess.run(
        ["swiftc", "-O", "-wmo", "-swift-version", "6", "-parse-as-library", "-module-name", name,
         *(f"-I{path}" for path in imports), "-lcrypto", "-lz", "-lzstd", "-o", str(program),
         str(folder / "Linux.o"), *map(str, sorted(folder.glob("*.swift")))],
        check=True)
    return program
