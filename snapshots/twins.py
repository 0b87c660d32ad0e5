"""Small files without which much else is lost, each with its sum and kept twice.

Where one of the two is damaged or gone, the other serves.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from host import scratch
from snapshots import kept_files, sums
from snapshots.durable import sync_directory


def copy_of(path: Path) -> Path:
    """`record.json` -> `record-copy.json`, beside it."""
    return path.with_name(f"{path.stem}-copy{path.suffix}")


def exists(path: Path) -> bool:
    return path.exists() or copy_of(path).exists()


def write(path: Path, text: bytes) -> None:
    """Replace both by a JSON object, indented by two; durable on return.

    Raises `OSError`; each holds the old text or the new one, whole. The copy goes first: it may be
    newer than `path`, after a crash, but never older. So what it tells where `path` is damaged was
    the truth a moment ago, or was about to be said.
    """
    content = sums.with_sum(text)
    targets = (copy_of(path), path)
    drafts = [target.with_name(f".{target.name}.{scratch.suffix()}") for target in targets]
    try:
        for draft in drafts:
            _write(draft, content)
        for draft, target in zip(drafts, targets, strict=True):
            os.rename(draft, target)
    except BaseException:
        for draft in drafts:
            draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read(path: Path) -> bytes:
    """What was given to `write`. Raises `FileNotFoundError` where there is neither file.

    Where there is none that is whole: `OSError` or `ValueError`, saying why.
    """
    try:
        return _read(path)
    except (OSError, ValueError) as error:
        try:
            return _read(copy_of(path))
        except (OSError, ValueError) as other:
            raise (other if isinstance(error, FileNotFoundError) else error) from None


def remove(path: Path) -> None:
    """Durable on return."""
    copy_of(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


def why(error: OSError | ValueError) -> str:
    """What is wrong with a file that `read` refuses."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def problems(path: Path) -> Iterator[str]:
    """A sentence where only one of the two is whole. Of none whoever reads it tells."""
    found = {each: _problem(each) for each in (path, copy_of(path))}
    whole = [each for each, problem in found.items() if not problem]
    for each, problem in found.items():
        if problem and whole:
            yield f"{each} {problem}; {whole[0]} beside it holds the same and serves."


def mend(path: Path) -> None:
    """Write both anew where only one is whole, or a crash came between them. Raises `OSError`.

    Call it with the lock held.
    """
    if _bytes(path) == _bytes(copy_of(path)):
        return
    try:
        text = read(path)
    except (OSError, ValueError):
        return
    write(path, text)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _read(path: Path) -> bytes:
    return sums.without_sum(kept_files.read(path))


def _bytes(path: Path) -> bytes:
    try:
        return kept_files.read(path)
    except OSError:
        return b""


def _problem(path: Path) -> str:
    try:
        _read(path)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError:
        return "was altered on the disk"
    return ""
