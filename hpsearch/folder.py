"""Every path of a run."""

from dataclasses import dataclass
from pathlib import Path

from hpsearch.errors import DiskFullError, UserError
from hpsearch.files import is_full


@dataclass(frozen=True)
class Folder:
    """The run folder: who wants a file of a run asks here for its path."""

    root: Path

    @property
    def study(self) -> Path:
        return self.root / "study.yaml"

    @property
    def origin(self) -> Path:
        """Where the study file stood: its relative paths begin there."""
        return self.root / "origin.json"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.journal"

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def trials(self) -> Path:
        return self.root / "trials.csv"

    @property
    def summary(self) -> Path:
        return self.root / "summary.json"

    @property
    def ensemble(self) -> Path:
        return self.root / "ensemble"

    @property
    def members(self) -> Path:
        return self.ensemble / "members.json"

    def nets(self, what: str) -> Path:
        """The nets of a result: ensemble, student or best."""
        return self.root / "nets" / f"{what}.safetensors"

    @property
    def student(self) -> "Folder":
        """The student's own search, a run in small."""
        return Folder(self.root / "student")

    @property
    def prolonged(self) -> "Folder":
        """Trials that went on."""
        return Folder(self.root / "prolonged")

    @property
    def again(self) -> "Folder":
        """The winners with new seeds."""
        return Folder(self.root / "again")

    @property
    def refit(self) -> "Folder":
        """The winners, trained on the validation part as well."""
        return Folder(self.root / "refit")

    @property
    def ablation(self) -> "Folder":
        """The ladder of tricks."""
        return Folder(self.root / "ablation")

    @property
    def export(self) -> Path:
        return self.root / "export"

    @property
    def check(self) -> Path:
        return self.root / "check.json"

    @property
    def checked(self) -> Path:
        """What the verdicts of the checks are about."""
        return self.pictures / "about.json"

    @property
    def pictures(self) -> Path:
        """Of the checks."""
        return self.root / "checks"

    @property
    def log(self) -> Path:
        return self.root / "logs" / "launch.log"

    @property
    def mark(self) -> Path:
        """By which other nodes know whether they see this folder."""
        return self.root / "logs" / "mark"

    def rows(self, leg: int) -> Path:
        """The rows that a leg handed back."""
        return self.root / "rows" / f"{leg:05d}.safetensors"

    def rows_of_legs(self) -> dict[int, Path]:
        """The rows' files that are there, by leg."""
        found = (self.root / "rows").glob("*.safetensors")
        return {int(path.stem): path for path in sorted(found) if path.stem.isdecimal()}

    def leg_log(self, leg: int) -> Path:
        return self.root / "logs" / f"leg-{leg:05d}.log"

    def hang(self, leg: int) -> Path:
        """What a leg was doing when it hung."""
        return self.root / "logs" / f"leg-{leg:05d}.hang"

    def probe_hang(self, process: int) -> Path:
        """What a process was doing when it hung in trying nets out."""
        return self.root / "logs" / f"probe-{process}.hang"

    def trial(self, number: int) -> Path:
        """The folder that a training function of the user's own has for a trial."""
        return self.root / "trials" / f"{number:05d}"

    def create(self) -> None:
        """Makes the folders of a run.

        Raises:
            UserError: something else is in the way, or it may not be written there.
        """
        try:
            for path in (self.root, self.root / "rows", self.root / "logs"):
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if is_full(error):
                raise DiskFullError(f"{self.root}: cannot be made: no space left on the disk") from None
            raise UserError(f"{self.root}: cannot be made: {error.strerror}") from None
