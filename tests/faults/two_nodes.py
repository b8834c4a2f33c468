"""A search on a Ray cluster of two nodes, of which the second is killed while its leg trains, and replaced.

python two_nodes.py STUDY RUN PLAN KILLS
"""

import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import ray
from launches import training
from ray.cluster_utils import Cluster

from hpsearch import begun, pipeline
from hpsearch.folder import Folder
from hpsearch.prepare import prepare
from hpsearch.search import packing
from hpsearch.search.progress import Quiet


def main(study: Path, folder: Folder, plan: Path, kills: int) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    node = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    failed: list[BaseException] = []

    def search() -> None:
        try:
            prepared = prepare(study)
            folder.create()
            begun.enter(folder, prepared, print)
            pipeline.search(folder, prepared, 2, packing.read(plan), Quiet())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=search)
    thread.start()
    for _ in range(kills):
        _wait(lambda node=node: set(training(folder).values()) & workers(node) or not thread.is_alive())
        assert thread.is_alive(), f"the search ended before the node was killed: {failed}"
        node.kill_raylet()
        cluster.remove_node(node, allow_graceful=False)
        node = cluster.add_node(num_cpus=1)
    thread.join()
    if failed:
        raise failed[0]
    ray.shutdown()
    cluster.shutdown()


def workers(node: Any) -> set[int]:
    """The processes that a node started."""
    (raylet,) = node.all_processes["raylet"]
    return {child.pid for child in psutil.Process(raylet.process.pid).children(recursive=True)}


def _wait(condition: object) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Folder(Path(sys.argv[2])), Path(sys.argv[3]), int(sys.argv[4]))
