"""What the flow benchmark is asked to measure; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.arguments import AUTO, chosen_settings, preset_for
from benchmarks.datasets import find_jobs
from benchmarks.flow.names import folder_name
from benchmarks.flow.table import METHODS, OWN, Label, check_matches, check_method
from benchmarks.flow.upload.servers import SERVERS
from benchmarks.pages.folder import check_folder
from flow.settings import FlowSettings
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.data.files import make_folder
from patchbatch.errors import PatchBatchError
from patchbatch.models import DEFAULT_MODEL, check_model


@dataclass(frozen=True)
class FlowBenchmark:
    """What is measured.

    Attributes
    ----------
    dataset, root
        Which pairs: a name of `DATASETS`, and its folder or the one that holds it.
    methods
        Names of `benchmarks.flow.table.METHODS`, `NAME=FOLDER` or `NAME=module:function`.
    models
        That "patchbatch" is run with, one after the other: names, weights files, package.module:factory.
    preset
        Of "patchbatch"; "auto" takes the one that belongs to the data set.
    matcher
        Of "patchbatch", in place of that of its settings.
    settings
        A TOML file of settings of "patchbatch"; None takes the preset's.
    device, precision
        As for `flow.pipeline.estimate_flow`.
    refine
        False leaves the refinement out.
    seed
        For the random choices of the matcher; None takes the settings'.
    limit
        Only the first so many pairs; None = all.
    keep_invalid
        Count the pixels of Sintel's `invalid` mask too.
    matches
        `NAME=FOLDER` with match lists that the dense stages of "patchbatch" make dense.
    testing
        The pairs whose truth is not published: fields and times, no errors.
    """

    dataset: str
    root: str
    methods: tuple[str, ...] = (OWN,)
    models: tuple[str, ...] = (DEFAULT_MODEL,)
    preset: str = AUTO
    matcher: str | None = None
    settings: str | None = None
    device: str = AUTO
    precision: str = AUTO
    refine: bool = True
    seed: int | None = None
    limit: int | None = None
    keep_invalid: bool = False
    matches: tuple[str, ...] = ()
    testing: bool = False

    def pairs(self) -> list[FlowPair]:
        """List the pairs; raises `PatchBatchError` if there are none."""
        return find_jobs(self.root, (self.dataset,), limit=self.limit, testing=self.testing)

    def labels(self) -> list[Label]:
        """Return what is measured on every pair, in the order of the table."""
        found = []
        for word in dict.fromkeys(self.methods):
            if word in METHODS and METHODS[word].models:
                found += [Label(word, model) for model in dict.fromkeys(self.models)]
            else:
                found.append(Label(word.partition("=")[0], None))
        return found + [Label(word.partition("=")[0], None) for word in dict.fromkeys(self.matches)]

    @property
    def needs_pipeline(self) -> bool:
        """Whether stages of this project run, so that their settings count."""
        return OWN in self.methods or bool(self.matches)

    @property
    def resolved_preset(self) -> str:
        """The preset's name, "auto" resolved."""
        return preset_for(self.preset, self.dataset)

    def flow_settings(self) -> FlowSettings:
        """Return the settings of every stage; raises `PatchBatchError` for a file of anything else."""
        return chosen_settings(self.resolved_preset, self.settings, self.matcher, self.seed)

    def check(self) -> None:
        """Refuse what can be refused before anything is computed.

        Raises
        ------
        PatchBatchError
            For unknown names, files and folders that are not there.
        """
        for word in self.methods:
            check_method(word)
        for word in self.matches:
            check_matches(word)
        if OWN in self.methods:
            for model in self.models:
                check_model(model)
        if self.needs_pipeline:
            self.flow_settings()
        names = [folder_name(label) for label in self.labels()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise PatchBatchError(f"two methods are called {twice}; give each a name of its own")
        self.pairs()


@dataclass(frozen=True)
class Running:
    """How a measurement is run, which changes none of its figures but times.

    Attributes
    ----------
    folder
        Where the result of every pair is kept as it is made, so that a stopped run goes on; None keeps none.
    write
        Folder for the flow fields, None for none.
    suffix
        Of the flow fields: one of `patchbatch.data.formats.FLOW_SUFFIXES`.
    submission
        Archive for the server of the data set, None for none.
    jobs
        Processes of this machine that share the pairs.
    report
        Folder for a page about all pairs, None for none.
    pictures
        Whether the page has pictures of the pairs.
    """

    folder: str | None = None
    write: str | None = None
    suffix: str = ".npz"
    submission: str | None = None
    jobs: int = 1
    report: str | None = None
    pictures: bool = True

    def check(self, benchmark: FlowBenchmark) -> None:
        """Refuse what can be refused before anything is computed; makes the folders.

        Raises
        ------
        PatchBatchError
            For folders that cannot be used, and a submission that could not be made.
        """
        if self.submission is not None:
            check_submission(self.submission, self.write, benchmark)
        if self.report is not None and benchmark.testing:
            raise PatchBatchError("--report shows errors, and testing pairs have no truth; leave it out")
        check_folder(self.report)
        for folder in (self.folder, self.write):
            if folder is not None:
                make_folder(folder)


def check_submission(file: str, write: str | None, benchmark: FlowBenchmark) -> None:
    """Refuse a submission that could not be made after the run.

    Raises
    ------
    PatchBatchError
        Says what is missing.
    """
    if benchmark.dataset not in SERVERS:
        raise PatchBatchError(
            f"--submission: there is a form for {', '.join(SERVERS)}, not {benchmark.dataset}"
        )
    if Path(file).suffix.lower() != ".zip" or not Path(file).absolute().parent.is_dir():
        raise PatchBatchError(
            f"{file}: the submission is a .zip in a folder that exists; choose another name"
        )
    if not benchmark.testing or benchmark.limit is not None:
        raise PatchBatchError("--submission takes all testing pairs: give --testing, and no --limit")
    if write is None:
        raise PatchBatchError("--submission needs --write DIR, where the fields are kept that it is made of")
    if len(benchmark.labels()) > 1:
        raise PatchBatchError("--submission is of one method; give one --method and one --model")
    SERVERS[benchmark.dataset].check_pairs(benchmark.pairs())
