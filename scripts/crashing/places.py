"""Where a round runs: in a copy of a folder on an ordinary disk, or on a small disk of its own."""

import errno
import os
import pathlib
import shutil
import subprocess
import tempfile

MEBIBYTE = 1 << 20


class SmallDisk:
    """A tmpfs of a given size: a disk that is full when a test wants it to be.

    Mounting one takes a mount name space of the process's own, which scripts/crashtest starts itself in (`unshare -Urm`), or root.
    """

    def __init__(self, folder: pathlib.Path, size: int = 256 * MEBIBYTE):
        self.folder = folder
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=False)
        self.folder.rmdir()

    @property
    def free(self) -> int:
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def leave(self, free: int) -> "Filler":
        """Takes all space except this many bytes, until the filler is removed."""
        return Filler(self, free)


class Filler:
    def __init__(self, disk: SmallDisk, free: int):
        # Outside of what a program is given: beside its folder.
        self.path = disk.folder / "filler"
        with self.path.open("wb", buffering=0) as file:
            # Bit by bit: a server that is at work takes some at the same time.
            while (missing := disk.free - free) > 0:
                try:
                    file.write(bytes(min(missing, MEBIBYTE)))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def can_mount() -> bool:
    """Whether a small disk can be had here."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            disk = SmallDisk(pathlib.Path(folder) / "disk", MEBIBYTE)
        except (OSError, subprocess.CalledProcessError):
            return False
        disk.close()
        return True


def copy(template: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
    shutil.copytree(template, place)
    return place
