"""The rows' files of a run: where each trial's row lies, and which rows need not lie there any more."""

from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass

from hpsearch.folder import Folder
from hpsearch.pack import checkpoint
from hpsearch.pack.checkpoint import Head
from hpsearch.search import standing
from hpsearch.search.standing import Row


@dataclass(frozen=True)
class Shelf:
    """All rows' files, by leg."""

    folder: Folder
    heads: dict[int, Head]

    @classmethod
    def look(cls, folder: Folder) -> "Shelf":
        """Reads the heads of all files.

        Raises:
            DamagedError: one of them cannot be read.
        """
        return cls(folder, {leg: checkpoint.head(path) for leg, path in folder.rows_of_legs().items()})

    def ended(self) -> dict[int, int]:
        """Trials that ended, and the leg whose file has the record: the last, where a leg was split."""
        return {trial: leg for leg, head in sorted(self.heads.items()) for trial in head.ended()}

    def rows(self) -> dict[int, int]:
        """Trials that ended and whose tensors are on disk, and in which leg's file."""
        return {trial: leg for trial, leg in self.ended().items() if trial in self.heads[leg].stored}

    def lost(self, rows: Sequence[Row], direction: str, budget_bytes: float) -> set[int]:
        """Finished trials that are worth their place on the disk and whose file is gone.

        One that was thinned in the file of its own leg, or of a later one, is gone on purpose.
        """
        ended, stored = self.ended(), self.rows()
        legs = {row["number"]: row["outcome"]["leg"] for row in rows if row["outcome"]}
        kept = standing.kept(rows, direction, budget_bytes)
        return {trial for trial in kept if trial not in stored and ended.get(trial, -1) < legs[trial]}

    def sweep(self, keep: Set[int], waiting: Set[int], running: Collection[int]) -> None:
        """Leaves out the tensors of finished trials that are not to be kept.

        Files of `running` legs, and those with a trial that waits for its end, are theirs who train it.
        """
        mine = self.rows()
        for leg, head in self.heads.items():
            trials = {record.trial for record in head.records}
            if leg not in running and not trials & waiting:
                checkpoint.thin(self.folder.rows(leg), {t for t in trials & keep if mine.get(t) == leg})
