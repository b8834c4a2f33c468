"""Speaks with a cluster's job server, and puts what goes wrong into words."""

import ipaddress
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from hpsearch.errors import RunError, UserError
from hpsearch.files import home

_T = TypeVar("_T")
_CHATTY = (
    "ray",
    "ray.dashboard.modules.job.sdk",
    "ray.dashboard.modules.dashboard_sdk",
)  # of packages, of sockets


def connect(address: str, insecure: bool = False) -> Any:
    """A client of the job server there, which has answered.

    Raises:
        UserError: the address is none, nobody answers there, it asks for a token that is not the right one, or
            anybody on the way could run code there.
    """
    url = urlsplit(address)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise UserError(f"--address: must be http://HOST:PORT or https://HOST:PORT, got {address!r}")
    token = _token()
    if not (insecure or token or url.scheme == "https" or _is_here(url.hostname)):
        raise UserError(
            f"--address: {address}: is another machine, without TLS, and no token is set: whoever reaches it can "
            "run code there. Set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH (docs/cluster.md), or give --insecure"
        )
    os.environ.pop("RAY_ADDRESS", None)  # it would take the place of the address
    os.environ["RAY_AUTH_MODE"] = "token" if token else "disabled"
    from ray.job_submission import JobSubmissionClient

    for name in _CHATTY:  # its import has set them
        logging.getLogger(name).setLevel(logging.WARNING)

    return asked(address, lambda: JobSubmissionClient(address))


def asked(address: str, ask: Callable[[], _T]) -> _T:
    """What the server answers.

    Raises:
        UserError: it does not, or wants a token.
    """
    import requests
    from ray.exceptions import AuthenticationError

    try:
        return ask()
    except AuthenticationError as error:
        has = "does not take the token that is set" if _token() else "asks for a token"
        raise UserError(
            f"--address: {address}: the cluster {has}; set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        ) from error
    except (ConnectionError, requests.exceptions.RequestException, OSError) as error:
        raise UserError(f"--address: {address}: nobody answers there; is the cluster up?") from error
    except RuntimeError as error:
        raise RunError(f"{address}: {' '.join(str(error).split())[:500]}") from error


def _token() -> str | None:
    """As Ray looks for it."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return os.environ["RAY_AUTH_TOKEN"]
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or home() / ".ray" / "auth_token")
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _is_here(host: str) -> bool:
    try:
        return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in socket.getaddrinfo(host, None))
    except (OSError, ValueError):
        return False
