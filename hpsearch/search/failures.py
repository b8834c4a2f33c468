"""What an error of a leg says: its words in a line, and a signature by which it is known again."""

import hashlib
import re
import sysconfig
import traceback
from pathlib import Path

_OURS = str(Path(__file__).parents[1])
_LIBRARIES = (*tuple(sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")), "<")
_VARIES = re.compile(r"0x[0-9a-fA-F]+|\d+")  # in a message, from one occurrence of an error to the next


def line_of(error: BaseException) -> str:
    """Give an error in a line: its type, its words and the place that it was raised at.

    The place is the user's last line; where there is none a library's, else ours.
    """
    frames = list(traceback.extract_tb(error.__traceback__))
    foreign = [frame for frame in frames if not frame.filename.startswith(_OURS)] or frames
    last = users_frame(error) or (foreign[-1] if foreign else None)
    place = "" if last is None else f" ({last.filename}:{last.lineno})"
    return " ".join(f"{type(error).__name__}: {words_of(error)}{place}".split())


def users_frame(error: BaseException) -> traceback.FrameSummary | None:
    """Give the last line of the user's own code that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    found = [frame for frame in frames if not frame.filename.startswith((_OURS, *_LIBRARIES))]
    return found[-1] if found else None


def words_of(error: BaseException) -> str:
    """Give the message of an error, also of one whose `__str__` raises."""
    try:
        return str(error)
    except Exception:
        return "its message cannot be shown"


def signature(error: BaseException) -> str | None:
    """Give what is the same of an error each time that it recurs: type, words without numbers, traceback.

    None for a GPU's error, which leaves its process of no use and may be gone in another one.
    """
    words = words_of(error)
    if "CUDA error" in words or type(error).__name__ == "AcceleratorError":
        return None
    digest = hashlib.sha256(f"{type(error).__module__}.{type(error).__qualname__}".encode())
    digest.update(_VARIES.sub("#", words).encode(errors="replace"))
    for frame in traceback.extract_tb(error.__traceback__):
        digest.update(f"\n{frame.filename}:{frame.lineno}:{frame.name}".encode(errors="replace"))
    return digest.hexdigest()
