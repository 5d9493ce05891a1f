"""Whether the right role comes first: profiles, halves of roles, the same reworded, and descriptions (ESCO)."""

from __future__ import annotations

import csv
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import DATA, Figure
from benchmarks.many_jobs import ROLES, roles, taxonomy
from benchmarks.rewording import reworded
from encoders.skill_pairs import OWN, read_pairs
from runtime import runtime_of
from utils.hebrew import forms, stem

DRAWS, CASES, TEXTS = 3, 250, 250


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked with, and the role that is meant."""

    skills: Sequence[str]
    text: str
    role: str


def profiles() -> list[Case]:
    with (DATA / "candidates_synthetic.csv").open(encoding="utf-8-sig", newline="") as file:
        return [Case(row["skills"].split(";"), "", row["target_role_id"]) for row in csv.DictReader(file)]


def halves(seed: int, most: int = CASES) -> list[Case]:
    """Return half of the skills of roles, rounded down, both chosen at random."""
    chance = random.Random(seed)
    chosen = chance.sample(roles(), most)
    return [Case(chance.sample(sorted(r["skills"]), max(1, len(r["skills"]) // 2)), "", r["id"]) for r in chosen]


def halves_reworded(seed: int, kinds: int) -> list[Case]:
    """Return halves, every skill changed in so many ways: none has the key of any skill of the taxonomy."""
    chance = random.Random(seed)
    return [
        Case([reworded(skill, chance, kinds, taxonomy()) for skill in case.skills], "", case.role)
        for case in halves(seed)
    ]


def descriptions(without_title_words: bool) -> list[Case]:
    """Return descriptions of roles as free text, and without every word of the title where that is asked."""
    chosen = random.Random(17).sample(roles(), TEXTS)
    return [Case((), _less_title(role) if without_title_words else role["description"], role["id"]) for role in chosen]


def _less_title(role: dict[str, str]) -> str:
    title = {stem(form) for form in forms(role["title"])}
    return " ".join(word for word in role["description"].split() if not {stem(f) for f in forms(word)} & title)


def found(instance: Path, draws: Sequence[Sequence[Case]], with_model: bool = True) -> tuple[float, float, float]:
    """Return MRR@10 and recall@10, the means over draws, and the milliseconds of processor time of a case."""
    from app import create_app
    from config import read_settings
    from matching.aliases import aliases
    from matching.recommend import recommend
    from models import db
    from search.search import WITHOUT_MEANING

    app = create_app(read_settings({"INSTANCE_DIR": str(instance)}))
    side = runtime_of(app).semantic if with_model else WITHOUT_MEANING
    ranks: list[int] = []
    with app.app_context():
        if with_model:
            side.lazy.load(60)
        recommend(db.session(), side, ROLES, draws[0][0].skills, "words", 10, aliases())
        began = time.process_time()
        for case in (case for cases in draws for case in cases):
            best = recommend(db.session(), side, ROLES, case.skills, case.text, 10, aliases()).fits
            ids = [one.id for one in best]
            ranks.append(ids.index(case.role) + 1 if case.role in ids else 0)
        spent = (time.process_time() - began) * 1000 / len(ranks)
        db.session.remove()
    return statistics.fmean(1 / r if r else 0 for r in ranks), statistics.fmean(r > 0 for r in ranks), spent


def quality(instance: Path) -> list[Figure]:
    draws_of_all = [halves(seed, len(roles())) for seed in range(DRAWS)]
    asked: list[tuple[str, Sequence[Sequence[Case]], bool, str, str]] = [
        ("Profiles, exact skills alone", [profiles()], False, ">= 0.967", ">= 1.0"),
        ("Profiles", [profiles()], True, ">= 0.967", ">= 1.0"),
        (f"Half of a role, mean of {DRAWS} draws of all roles", draws_of_all, True, ">= 0.963", ">= 0.988"),
        ("Half of a role, each skill reworded in one way", [halves_reworded(7, 1)], True, "", ">= 0.93"),
        ("Half of a role, each skill reworded in two ways", [halves_reworded(8, 2)], True, "", ">= 0.93"),
        ("Half of a role, each skill reworded in four ways", [halves_reworded(9, 4)], True, "", ">= 0.93"),
        ("The same four ways, without a model", [halves_reworded(9, 4)], False, "", ""),
        ("A role's description", [descriptions(False)], True, "", ">= 0.9"),
        ("A role's description without the words of its title", [descriptions(True)], True, "", ">= 0.9"),
        ("The same without the words of its title, without a model", [descriptions(True)], False, "", ""),
    ]
    figures = []
    for name, draws, with_model, mrr_bar, recall_bar in asked:
        mrr, recall, _ = found(instance, draws, with_model)
        figures.append(Figure(f"{name}: MRR@10", round(mrr, 4), bar=mrr_bar))
        figures.append(Figure(f"{name}: recall@10", round(recall, 4), bar=recall_bar))
    return figures


def tag_similarity(model: Path) -> list[Figure]:
    """Return how right it is to call two skills close; the cut-off was chosen by every other pair."""
    from encoders.onnx_encoder import OnnxEncoder
    from matching.pairs import called_close, pair_figures

    pairs = read_pairs(OWN)
    told = pair_figures(pairs, called_close(OnnxEncoder(model), pairs))
    return [
        figure
        for one in told
        for figure in (
            Figure(f"Close skills, {one.name} ({one.pairs} pairs): precision", round(one.precision, 3), bar=">= 0.9"),
            Figure(f"Close skills, {one.name}: recall", round(one.recall, 3)),
        )
    ]


def sharing(model: Path, jobs: Sequence[Sequence[str]], singly: int = 300, together: int = 2_000) -> list[Figure]:
    """Return what it saves to encode each skill once and in batches; times are of samples, scaled to all jobs."""
    from encoders.onnx_encoder import OnnxEncoder
    from indexing.embedding import TAG_BATCH

    named, different = sum(map(len, jobs)), sorted({skill for skills in jobs for skill in skills})
    sample = random.Random(2).sample(different, together)
    encoder = OnnxEncoder(model)
    encoder.encode_tags(sample[:50])
    began = time.process_time()
    for skill in sample[:singly]:
        encoder.encode_tags([skill])
    one_by_one_ms = (time.process_time() - began) * 1000 / singly
    began = time.process_time()
    for start in range(0, together, TAG_BATCH):
        encoder.encode_tags(sample[start : start + TAG_BATCH])
    batched_ms = (time.process_time() - began) * 1000 / together
    return [
        Figure(f"{len(jobs)} jobs: skills named, over different ones", round(named / len(different)), "times", ">= 5"),
        Figure("A skill encoded by itself", round(one_by_one_ms, 2), "CPU ms"),
        Figure("A skill encoded in batches", round(batched_ms, 2), "CPU ms"),
        Figure(
            f"{len(jobs)} jobs: each skill of each job by itself, over each once in batches",
            round(named * one_by_one_ms / (len(different) * batched_ms), 1), "times as long", ">= 10",
        ),
    ]  # fmt: skip
