"""Where data lie that a study names: beside it, at an absolute path, or in a store that fsspec reaches."""

import hashlib
import tempfile
from pathlib import Path

from hpsearch.errors import DiskFullError, UserError
from hpsearch.files import told_when_full
from hpsearch.storage import CACHE, is_url, told


def place_of(name: str, base: Path, where: str) -> Path:
    """The file or folder on this machine; a URL's is brought here, once as long as it does not change.

    Raises:
        UserError: the URL's store cannot be reached, or has nothing there.
        DiskFullError: there is no room for it.
    """
    if not is_url(name):
        return base / name
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(name)
        found = files.find(root, detail=True)
        state = repr(sorted((path, _version(info)) for path, info in found.items()))
        here = CACHE / "data" / hashlib.sha256(f"{name} {state}".encode()).hexdigest()[:16] / Path(root).name
        if not found:
            raise UserError(f"{where}: {name}: no such file or folder")
        if here.exists():
            return here
        here.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=here.parent) as beside, told_when_full(here):
            whole = Path(beside) / here.name
            files.get(root, str(whole), recursive=len(found) > 1 or root not in found)
            whole.rename(here)
        return here
    except (UserError, DiskFullError):
        raise
    except Exception as error:  # of as many kinds as there are stores
        raise UserError(f"{where}: {name} cannot be read: {told(error)}") from None


def _version(info: dict[str, object]) -> list[str]:
    """By what a store tells that a file has changed."""
    return [str(info.get(key)) for key in ("size", "ETag", "etag", "mtime", "LastModified", "updated", "md5")]
