"""Train one network with every loss, choose each loss's option, and judge what comes out on real pairs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from benchmarks.descriptors.rows import RAW_ERROR, Contender, evaluate
from benchmarks.descriptors.settings import DescriptorBenchmark
from benchmarks.descriptors.summary import summary_rows
from benchmarks.environment import describe_environment
from benchmarks.flow import runner
from benchmarks.flow.settings import FlowBenchmark
from benchmarks.losses.settings import NETWORK, LossesBenchmark, Run
from benchmarks.progress import Figure, Progress
from benchmarks.report import markdown
from benchmarks.scenes import Shuffled, in_memory
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.files import atomic_path, read_bytes
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train.batch import BatchLoss, rank1
from patchbatch.descriptors.train.loop import Trainer
from patchbatch.descriptors.train.samples.sources import PairSource, Sample
from patchbatch.descriptors.train.settings import ObjectiveSettings, SourceSettings, TrainSettings
from patchbatch.descriptors.weights import save_weights
from patchbatch.devices import resolve_device
from patchbatch.models import load_model
from patchbatch.runs.fingerprint import checkout_commit

FIGURES = ("raw-error", "near-miss", "rank1@3px")
HELD_OUT_SEED, HELD_OUT_SCENES = 2**31, 40
RANK = Figure("rank-1 at 3 px on held-out scenes", higher=True)
WEIGHTS, JUDGED = "net.safetensors", "judged.json"


class Study:
    """The trainings and judgements of a benchmark, with the scenes that they share.

    Parameters
    ----------
    benchmark
        What is measured.
    """

    def __init__(self, benchmark: LossesBenchmark):
        self.benchmark, self.device = benchmark, resolve_device(benchmark.device)
        street = 0.4 if benchmark.streets else 0.0
        look = SourceSettings(crop=benchmark.budget.crop, street=street, real=0)
        self._sources = [
            PairSource(benchmark.photos, benchmark.streets, [], look, seed, count, held_out=held_out)
            for seed, count, held_out in (
                (0, benchmark.budget.scenes, False), (HELD_OUT_SEED, HELD_OUT_SCENES, True),
            )
        ]  # fmt: skip
        self._scenes: list[list[Sample]] = []

    @property
    def scenes(self) -> tuple[list[Sample], list[Sample]]:
        """To learn from, and held out; made when they are first needed."""
        if not self._scenes:
            self._scenes = [in_memory(source) for source in self._sources]
        return self._scenes[0], self._scenes[1]

    def trained(self, run: Run) -> PatchNet:
        """Train a network, go on with it where it was stopped, or take it if it is there."""
        folder = self.benchmark.work / run.name
        if not self.is_trained(run):
            torch.manual_seed(run.seed)
            net = PatchNet(NETWORK).to(self.device)
            net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            budget = self.benchmark.budget
            schedule = TrainSettings(
                steps=run.steps, batch=budget.batch, warmup=-(-run.steps // 10), seed=run.seed,
                report_every=run.steps, validate_every=run.steps,
            )  # fmt: skip
            order = Shuffled(self.scenes[0], run.seed, run.steps * budget.batch)
            Trainer(net, order, None, schedule, _objective(run), folder).run(workers=0)
            save_weights(net, folder / WEIGHTS, asdict_of_words(run))
        return load_model(folder / WEIGHTS, str(self.device))

    def held_out(self, run: Run) -> float:
        """Return the share of matches of held-out scenes that are nearest within 3 px, percent."""
        judged = BatchLoss(self.trained(run), _objective(run), False, 0)
        return rank1(judged, iter(DataLoader(self.scenes[1], batch_size=4)))  # type: ignore[arg-type]

    def judged(self, run: Run, flow: bool) -> list[dict[str, Any]]:
        """Return the rows of a run, one a data set; with the final flow too where it is asked for.

        They are kept beside the network, with what they were measured on, and measured once.
        """
        kept = self.benchmark.work / run.name / JUDGED
        asked = self.benchmark.judged_on() | {"flow": flow, "commit": checkout_commit(Path(__file__))}
        if kept.exists() and (held := json.loads(read_bytes(kept)))["asked"] == asked:
            rows: list[dict[str, Any]] = held["rows"]
            return rows
        rows = self._judge(run, flow)
        with atomic_path(kept) as temporary:
            temporary.write_text(json.dumps({"asked": asked, "rows": rows}, indent=1), encoding="utf-8")
        return rows

    def is_trained(self, run: Run) -> bool:
        """Whether the network of a run is there from before."""
        return (self.benchmark.work / run.name / WEIGHTS).exists()

    def _judge(self, run: Run, flow: bool) -> list[dict[str, Any]]:
        """Do the work of `judged`."""
        net, pairs = self.trained(run), self.benchmark.pairs()
        descriptors = DescriptorBenchmark(self.benchmark.root, points=self.benchmark.points)
        contenders = [Contender(run.name, net)]
        # Losses are compared, so all of them are judged on the same pairs: the first that fails ends the run.
        with Progress(len(pairs), figure=RAW_ERROR, strict=True) as progress:
            scores = list(evaluate(pairs, contenders, descriptors, str(self.device), progress))
        told = {"loss": run.loss, "option": run.option, "margin": run.value, "seed": run.seed}
        rows = []
        for row in summary_rows(scores):
            figures = {name: row[name] for name in FIGURES}
            more = self._flow(run, row["dataset"]) if flow else {}
            rows.append(told | {"steps": run.steps, "dataset": row["dataset"]} | figures | more)
        return rows

    def _flow(self, run: Run, dataset: str) -> dict[str, float]:
        """Return the figures of the final flow on a data set."""
        weights = str(self.benchmark.work / run.name / WEIGHTS)
        asked = FlowBenchmark(
            dataset, self.benchmark.root, models=(weights,), limit=self.benchmark.limit,
            device=self.benchmark.device,
        )  # fmt: skip
        final = next(row for row in runner.run(asked)["rows"] if row["stage"] == "final")
        names = ("EPE", "Fl-all-per-image", "Out-All")
        return {name: final["metrics"][name] for name in names if name in final["metrics"]}


def _objective(run: Run) -> ObjectiveSettings:
    if run.option == "temperature":
        return ObjectiveSettings(loss=run.loss, temperature=run.value)
    return ObjectiveSettings(loss=run.loss, options=((run.option, run.value),))


def asdict_of_words(run: Run) -> dict[str, str]:
    """Return a run for the header of its weights."""
    return {name: str(value) for name, value in asdict(run).items()}


def run(benchmark: LossesBenchmark) -> dict[str, Any]:
    """Measure, and return the report.

    Returns
    -------
    dict
        `rows`, one per loss, seed, budget and data set: "loss", "option" and its value "margin" (also of a
        threshold or a temperature), "seed", "steps", "dataset", "raw-error", "near-miss", "rank1@3px", of
        seed 0 the figures of the final flow too; `trials`, the held-out score of every value tried;
        `environment`.
    """
    study = Study(benchmark)
    trials = _tried(study, benchmark.trials())
    runs = []
    for loss in dict.fromkeys(trial["loss"] for trial in trials):
        best = max((one for one in trials if one["loss"] == loss), key=lambda one: one["held-out"])
        runs += benchmark.runs(Run(**{name: value for name, value in best.items() if name != "held-out"}))
    rows: list[dict[str, Any]] = []
    with Progress(len(runs), "run", RAW_ERROR, strict=True, lines=True) as progress:
        for one in runs:
            with progress.trying(one.name):
                known, found = study.is_trained(one), study.judged(one, flow=one.seed == 0)
                mean = statistics.fmean(row["raw-error"] for row in found)
                progress.tell({one.loss: mean}, known=known)
                rows += found
    settings = {
        "losses": list(benchmark.losses), "budget": benchmark.budget.to_table(), "points": benchmark.points,
        "photos": [str(folder) for folder in benchmark.photos],
        "streets": [str(folder) for folder in benchmark.streets], "network": NETWORK.to_dict(),
    }  # fmt: skip
    environment = describe_environment(str(study.device)) | {"settings": settings}
    return {
        "benchmark": "losses", "root": benchmark.root, "environment": environment, "trials": trials,
        "rows": rows,
    }  # fmt: skip


def _tried(study: Study, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the runs with their scores on held-out scenes."""
    trials = []
    with Progress(len(runs), "run", RANK, strict=True, lines=True) as progress:
        for one in runs:
            with progress.trying(one.name):
                known, score = study.is_trained(one), study.held_out(one)
                progress.tell({one.loss: score}, known=known)
                trials.append(asdict(one) | {"held-out": score})
    return trials


def format_tables(report: dict[str, Any]) -> str:
    """Return a Markdown table for each data set: short budget with its spread, then the long one."""
    rows = report["rows"]
    tables = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        mine = [row for row in rows if row["dataset"] == dataset]
        flow = [name for name in ("Fl-all-per-image", "Out-All", "EPE") if name in mine[0]]
        cells = []
        for loss, steps in dict.fromkeys((row["loss"], row["steps"]) for row in mine):
            group = [row for row in mine if (row["loss"], row["steps"]) == (loss, steps)]
            label = f"{group[0]['option']} {group[0]['margin']:g}"
            figures = [_spread([row[name] for row in group]) for name in FIGURES]
            final = [f"{group[0][name]:.2f}" for name in flow]
            cells.append([loss, label, str(steps), *figures, *final])
        header = ["loss", "option", "steps", *FIGURES, *(f"flow: {name}" for name in flow)]
        tables.append(markdown(header, cells, labels=2, heading=f"{DATASETS[dataset].help}"))
    return "\n\n".join(tables)


def _spread(values: Sequence[float]) -> str:
    mean = f"{statistics.fmean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.2f}"
