"""How far a zip may expand: a small file that unpacks to gigabytes is a bomb and no model."""

from __future__ import annotations

import contextlib
import os
import zipfile

from .memory import human_bytes

# What SB3, torch and this package write is stored, not compressed. A user may compress it; weights then shrink by a tenth,
# a replay that is full of zeros by more.
_FACTOR = 30
_ALWAYS = 2**26  # bytes that any zip may expand to


def require_sensible_size(archive: zipfile.ZipFile) -> None:
    """Look at the sizes that a zip declares, and those of torch's zips in it, before anything is unpacked.

    Reading a member never gives more than it declares.

    Raises:
        ValueError: where they are out of all proportion to the file.
    """
    size = archive.fp.seek(0, os.SEEK_END)
    _require_sensible(archive, size)
    for member in archive.infolist():
        if member.filename.endswith(".pth"):
            # torch's older format is no zip; what it declares it must hold.
            with contextlib.suppress(zipfile.BadZipFile), archive.open(member) as file, zipfile.ZipFile(file) as inner:
                _require_sensible(inner, size)


def _require_sensible(archive: zipfile.ZipFile, size: int) -> None:
    expanded = sum(member.file_size for member in archive.infolist())
    if expanded > max(_ALWAYS, _FACTOR * size):
        raise ValueError(f"its {human_bytes(size)} would expand to {human_bytes(expanded)}, as no model does.")
