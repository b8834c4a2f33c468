"""A run folder opened for reading."""

from pathlib import Path

from hpsearch.folder import Folder
from hpsearch.lock import hold
from hpsearch.run import open_run
from hpsearch.search.progress import Logged, Quiet
from hpsearch.terminal import standing


def test_the_status_names_the_stage_of_a_launch_that_is_at_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.create()
    folder.study.write_text("name: s\ndata: {source: sklearn:iris}\nsearch: {trials: 4}\n")
    with hold(folder.root), Logged(Quiet(), folder.log) as report:
        report.stage("search")
        report.stage("squeeze")
        report.note("not a stage: export")
        found = open_run(folder.root).status()
        assert (found["launched"], found["stage"]) == (True, "squeeze")
        assert "a launch is at it, stage squeeze" in standing(found, folder.root)
    found = open_run(folder.root).status()
    assert (found["launched"], found["stage"]) == (False, None)
    with hold(folder.root), Logged(Quiet(), folder.log):  # the next launch, before its first stage
        found = open_run(folder.root).status()
        assert (found["launched"], found["stage"]) == (True, None)
        assert "a launch is at it, stage setting up" in standing(found, folder.root)
