"""A real Ray cluster of several nodes on one machine: each node in a network namespace with an address of its own.

Needs root, `ip` and a kernel with namespaces. The nodes share the machine's cores and its installed packages; each
has a disk of its own for Ray's files and for a home, and what they share of the network is a bridge.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_NET, _BRIDGE = "10.201.77", "hpbr0"
DASHBOARD = 8265


def possible() -> bool:
    """Whether such namespaces can be made here."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"hptry{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode == 0
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return made


class Nodes:
    """A head and workers, and a place from which to submit, which is no node."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(16)
        self.place = Path(tempfile.mkdtemp(prefix="hpnodes-"))  # short: Ray's sockets lie in it
        self._spaces: list[str] = []
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{_NET}.1/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")

    @property
    def address(self) -> str:
        return f"http://{_NET}.2:{DASHBOARD}"

    def space(self, name: str) -> str:
        """A namespace on the bridge; its address."""
        own = f"hp{name}"
        if own not in self._spaces:
            address = f"{_NET}.{2 + len(self._spaces)}"
            _ip("netns", "add", own)
            _ip("link", "add", f"{own}a", "type", "veth", "peer", "name", f"{own}b")
            _ip("link", "set", f"{own}a", "master", _BRIDGE, "up")
            _ip("link", "set", f"{own}b", "netns", own)
            for words in (("addr", "add", f"{address}/24", "dev", f"{own}b"), ("link", "set", f"{own}b", "up"),
                          ("link", "set", "lo", "up")):  # fmt: skip
                _ip("-n", own, *words)
            self._spaces.append(own)
        return f"{_NET}.{2 + self._spaces.index(own)}"

    def environment(self, token: str | None = None) -> dict[str, str]:
        token = self.token if token is None else token
        known = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "HPSEARCH"))}
        told = {"HOME": str(self.place / "home"), "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
        token_of = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {}
        path = f"{Path(sys.executable).parent}:{known.get('PATH', '')}"
        return {**known, **told, **token_of, "PATH": path, "PYTHONPATH": str(Path(__file__).parents[2])}

    def command(self, space: str, *words: str) -> list[str]:
        """In a namespace, with a disk of its own where Ray has its files, and the home of who runs it."""
        self.space(space)
        mounts = []
        for name in ("r", "home"):
            own = self.place / "disks" / space / name
            for folder in (own, self.place / name):
                folder.mkdir(parents=True, exist_ok=True)
            mounts.append(f"mount --bind {own} {self.place / name}")
        return ["ip", "netns", "exec", f"hp{space}", "sh", "-c", " && ".join([*mounts, 'exec "$@"']), "sh", *words]

    def start(self, name: str, gpus: int = 0, cpus: int = 1) -> None:
        """A node; the first is the head."""
        here = self.space(name)
        words = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", f"--node-ip-address={here}",
                 f"--num-cpus={cpus}", f"--num-gpus={gpus}", "--object-store-memory=200000000"]  # fmt: skip
        if not self._nodes:
            words += ["--head", "--port=6379", "--dashboard-host=0.0.0.0", f"--dashboard-port={DASHBOARD}",
                      f"--temp-dir={self.place}/r"]  # fmt: skip
        else:
            words += [f"--address={_NET}.2:6379"]
        log = (self.place / f"{name}.log").open("wb")
        self._nodes[name] = subprocess.Popen(
            self.command(name, *words), env=self.environment(), stdout=log, stderr=log, start_new_session=True
        )

    def kill(self, name: str) -> None:
        """Ends a node as a machine ends that loses its power: every process in its namespace at once."""
        found = subprocess.run(["ip", "netns", "pids", f"hp{name}"], capture_output=True, text=True).stdout
        for word in found.split():
            try:
                os.kill(int(word), signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._nodes.pop(name).wait()

    def run(
        self, space: str, *words: str, timeout: float = 600, **changes: Any
    ) -> subprocess.CompletedProcess[str]:
        """A command in a namespace."""
        env = self.environment(**changes)
        return subprocess.run(
            self.command(space, *words), env=env, capture_output=True, text=True, timeout=timeout, cwd=self.place
        )

    def hpsearch(self, *words: str, **changes: Any) -> subprocess.CompletedProcess[str]:
        """The tool, from where there is no node."""
        return self.run("client", sys.executable, "-m", "hpsearch", *words, **changes)

    def wait(self, nodes: int, timeout_s: float = 120) -> None:
        """Until so many nodes are alive."""
        end = time.monotonic() + timeout_s
        code = f"import ray; ray.init('{_NET}.2:6379', logging_level='ERROR'); "
        code += "print(sum(node['Alive'] for node in ray.nodes()))"
        said = ""
        while time.monotonic() < end:
            found = self.run("head", sys.executable, "-c", code, timeout=60)
            said = found.stdout.strip() or found.stderr[-500:]
            if said == str(nodes):
                return
            time.sleep(0.5)  # between two looks
        logs = "".join((self.place / f"{name}.log").read_text()[-600:] for name in self._nodes)
        raise AssertionError(f"{nodes} nodes do not come up: {said}; {logs}")

    def close(self) -> None:
        for name in list(self._nodes):
            self.kill(name)
        for own in self._spaces:
            for word in subprocess.run(
                ["ip", "netns", "pids", own], capture_output=True, text=True
            ).stdout.split():
                os.kill(int(word), signal.SIGKILL)
            subprocess.run(["ip", "link", "del", f"{own}a"], capture_output=True)
            subprocess.run(["ip", "netns", "del", own], capture_output=True)
        subprocess.run(["ip", "link", "del", _BRIDGE], capture_output=True)
        shutil.rmtree(self.place, ignore_errors=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
