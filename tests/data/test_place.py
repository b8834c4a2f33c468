"""Data that lie in a store, which `memory://` and a server of files stand for."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import numpy as np
import pytest
from PIL import Image

from hpsearch.data.load import load
from hpsearch.data.place import place_of
from hpsearch.errors import UserError
from hpsearch.study import Data

CSV = b"a,b,y\n" + b"".join(b"%d,%d,%d\n" % (n, n % 7, n % 2) for n in range(60))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("hpsearch.data.place.CACHE", tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/bucket", recursive=True)


def test_what_lies_beside_the_study_is_read_where_it_is(tmp_path: Path) -> None:
    assert place_of("a.csv", tmp_path, "s.yaml") == tmp_path / "a.csv"


def test_a_file_is_fetched_once_and_again_when_it_has_changed(
    store: fsspec.AbstractFileSystem, tmp_path: Path, cache: Path
) -> None:
    store.pipe_file("/bucket/a.csv", b"one")
    first = place_of("memory://bucket/a.csv", tmp_path, "s.yaml")
    assert (first.name, first.read_bytes()) == ("a.csv", b"one")
    first.write_bytes(b"as it was fetched")
    assert place_of("memory://bucket/a.csv", tmp_path, "s.yaml").read_bytes() == b"as it was fetched"
    store.pipe_file("/bucket/a.csv", b"another")
    assert place_of("memory://bucket/a.csv", tmp_path, "s.yaml").read_bytes() == b"another"
    assert not [path for path in cache.rglob("*") if path.name.startswith("tmp")]


def test_a_table_and_a_folder_of_pictures(store: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    store.pipe_file("/bucket/table.csv", CSV)
    found = load(Data(source="memory://bucket/table.csv", target="y"), tmp_path, "s.yaml")
    assert len(found.train.y) + len(found.validation.y) + len(found.test.y) == 60
    for n in range(40):
        picture = tmp_path / f"{n}.png"
        Image.fromarray(np.full((8, 8), 6 * n, dtype=np.uint8)).save(picture)
        store.pipe_file(f"/bucket/pictures/{'cat' if n % 2 else 'dog'}/{n}.png", picture.read_bytes())
    pictures = load(Data(source="memory://bucket/pictures"), tmp_path, "s.yaml")
    assert pictures.target.classes == ("cat", "dog")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_file_of_a_server(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(CSV)
    with served(tmp_path) as url:
        assert place_of(f"{url}/table.csv", tmp_path, "s.yaml").read_bytes() == CSV
        with pytest.raises(UserError, match=r"s.yaml: data.source: http://\S+/none.csv"):
            place_of(f"{url}/none.csv", tmp_path, "s.yaml: data.source")


def test_nothing_there_and_a_store_that_nobody_knows(store: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    store.pipe_file("/bucket/a.csv", b"one")
    with pytest.raises(UserError, match=r"memory://bucket/b.csv: no such file or folder"):
        place_of("memory://bucket/b.csv", tmp_path, "s.yaml")
    with pytest.raises(UserError, match=r"nowhere://a.csv cannot be read: ValueError"):
        place_of("nowhere://a.csv", tmp_path, "s.yaml")
