"""A launch opens no door: its ports are on loopback, and who knocks needs a token that lies in no file."""

import ipaddress
import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from launches import LONGER, alive, beats, family, kill, launch, wait_for

from hpsearch.folder import Folder

KNOCK = "import ray, sys; ray.init(address=sys.argv[1])"


@pytest.mark.slow
def test_ports_are_on_loopback_and_a_stranger_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    study, folder = tmp_path / "longer.yaml", Folder(tmp_path / "longer")
    study.write_text(LONGER)
    process = launch(study, tmp_path)
    wait_for(lambda: beats(folder), process)
    members = family(process)
    ports = [
        (socket.laddr, member)
        for member in members
        if alive([member])
        for socket in member.net_connections(kind="tcp")
        if socket.status == psutil.CONN_LISTEN
    ]
    assert len(ports) > 3
    for address, _ in ports:
        ip = ipaddress.ip_address(address.ip)
        assert (getattr(ip, "ipv4_mapped", None) or ip).is_loopback
    gcs = next(address.port for address, member in ports if "gcs_server" in member.name())
    knock = [sys.executable, "-c", KNOCK, f"127.0.0.1:{gcs}"]
    loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # else the client asks for this machine's other address
    env = {**os.environ, **loopback, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
    with subprocess.Popen(knock, stderr=subprocess.PIPE, text=True, env=env) as stranger:
        assert stranger.stderr is not None
        patience = threading.Timer(60, stranger.kill)
        patience.start()
        assert any("Unauthenticated" in line for line in stranger.stderr)  # Ray's client would go on trying
        patience.cancel()
        stranger.kill()
    assert not list((tmp_path / "home").rglob("*token*"))
    kill(process)
