"""Runs a program that is killed with SIGKILL at a chosen one of its writes, and checks the order of its writes and syncs."""

import os
import pathlib
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent / "crashpoints.c"


class CrashPoints:
    """The library that counts a program's writes under a folder. It is compiled on first use."""

    def __init__(self, folder: pathlib.Path):
        compiler = shutil.which("cc") or shutil.which("clang")
        if not compiler:
            sys.exit("crashtest: a C compiler is needed (cc or clang)")
        self.library = folder / "crashpoints.so"
        self.log = folder / "calls"
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(self.library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)

    def environment(self, watched: pathlib.Path, kill_at: int = 0, half: bool = False) -> dict[str, str]:
        """What a program's environment needs; its calls are in ``calls()`` afterwards."""
        self.log.unlink(missing_ok=True)
        return {
            **os.environ, "LD_PRELOAD": str(self.library), "CRASH_FOLDER": os.path.realpath(watched),
            "CRASH_AT": str(kill_at), "CRASH_HALF": str(int(half)), "CRASH_LOG": str(self.log),
        }  # fmt: skip

    def calls(self) -> list[tuple[str, str, str]]:
        """The calls that were made: create, write, truncate, sync, rename, exchange or remove, and their paths."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().splitlines()
        return [tuple((line.split("\t") + ["", ""])[:3]) for line in lines if line]


def unsynced(calls: list[tuple[str, str, str]], states: tuple[str, ...]) -> list[str]:
    """Mistakes in the order of a program's writes, which a killed process does not show but a power failure would.

    What is renamed into its place must have been synced since it was last written; the folder must be synced before the program
    ends, and before a file that is named in `states`, from which the work could be taken up, is removed.
    """
    written: set[str] = set()
    folders: set[str] = set()
    mistakes = []
    for call, path, other in calls:
        name = os.path.basename(path)
        if call in ("write", "truncate"):
            written.add(path)
        elif call == "sync":
            written.discard(path)
            folders.discard(path)
        elif call in ("rename", "exchange"):
            inside = {file for file in written if file == path or file.startswith(path + "/")}
            if inside:
                mistakes.append(f"{path} is renamed before {sorted(inside)[0]} is synced")
            written -= inside
            folders.add(os.path.dirname(other))
        elif call == "remove":
            written.discard(path)
            if name in states and folders:
                mistakes.append(f"{name} is removed before {sorted(folders)[0]} is synced, into which something was renamed")
    mistakes += [f"{folder} is not synced after something was renamed into it" for folder in sorted(folders)]
    return mistakes
