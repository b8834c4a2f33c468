"""Every path of a run."""

from dataclasses import fields
from pathlib import Path

from hpsearch.folder import Folder


def test_every_path_of_a_run_lies_within_it_and_no_two_are_one(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    names = [name for name, value in vars(Folder).items() if isinstance(value, property)]
    paths = [getattr(folder, name) for name in names]
    paths = [path.root if isinstance(path, Folder) else path for path in paths]
    paths += [folder.rows(1), folder.rows(2), folder.leg_log(1)]
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to(tmp_path) and path != tmp_path for path in paths)
    assert [field.name for field in fields(Folder)] == ["root"]
