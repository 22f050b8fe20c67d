"""People and a run: a blind study is written, filled in, and read beside what judge and measurer had said."""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rushes.audit.people import PeopleAudit, audit_people
from rushes.audit.study import study_pairs, write_study
from rushes.cli import main
from rushes.judge.labels import read_label_file
from rushes.judge.stored import stored_scores
from rushes.pipeline import improve
from rushes.prompts.captions import read_clip_folder
from rushes.prompts.stated import lacking
from rushes.recipe.plugin import PluginSpec
from rushes.records import Clip, Sample, Scored
from rushes.statistics.resampling import Resampling
from rushes.store.run import Run
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

HOW = Resampling(num_resamples=200)
EVIL = "</script><script>alert(1)</script> \"'><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("runs") / "run"
    recipe = tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))
    recipe = recipe.model_copy(update={"measure": recipe.measure.model_copy(update={"num_prompts": 8})})
    assert improve(recipe, found) is not None
    return found


@pytest.fixture(scope="module")
def scores(home: Path) -> dict[str, float]:
    """The measurer's score of each clip, by the beginning of its key."""
    with Run.view(home) as run:
        return {
            each.subject[0][:12]: each.outcome.value
            for each in run.measurements.all()
            if len(each.subject) == 1 and isinstance(each.outcome, Scored)
        }


def shown(folder: Path) -> list[dict[str, str]]:
    """The pairs of a page, in order."""
    page = (folder / "index.html").read_text(encoding="utf-8")
    return [
        {"clip": clip, "other": other}
        for clip, other in re.findall(r'<section data-clip="([0-9a-f]{12})" data-other="([0-9a-f]{12})">', page)
    ]


def fill_in(path: Path, pairs: list[dict[str, str]], choose: Callable[[str, str], str], rater: str) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, ["clip", "other", "preferred", "rater"], quoting=csv.QUOTE_ALL)
        rows.writeheader()
        rows.writerows({**pair, "preferred": choose(pair["clip"], pair["other"]), "rater": rater} for pair in pairs)
    return path


def clips_of(home: Path) -> tuple[dict[str, Clip], str, str]:
    with Run.view(home) as run:
        scorecard = run.scorecard()
        assert scorecard is not None
        return {clip.key[:12]: clip for clip in run.clips.all()}, scorecard.base_model, scorecard.tuned_model


def test_a_study_shows_both_models_blindly_once_for_each_prompt(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    assert main(["export", "study", str(home), "--out", str(out), "--num", "6"]) == 0
    pairs, (clips, base, tuned) = shown(out), clips_of(home)
    assert len(pairs) == 12, "six prompts in each of two dimensions"
    lefts = set()
    for pair in pairs:
        one, other = clips[pair["clip"]], clips[pair["other"]]
        assert {one.model, other.model} == {base, tuned}
        assert (one.prompt_key, one.seed_index) == (other.prompt_key, other.seed_index)
        lefts.add(one.model)
    assert lefts == {base, tuned}, "a model that is always on the left is not blind"
    assert len({clips[pair["clip"]].prompt_key for pair in pairs}) == 12
    names = [path.relative_to(out).as_posix() for path in sorted(out.rglob("*.mp4"))]
    assert names == [f"clips/{n:03d}-{side}.mp4" for n in range(1, 13) for side in ("left", "right")]
    page = (out / "index.html").read_text(encoding="utf-8")
    assert base not in page and tuned[:12] not in page and "http" not in page and page.count("<video ") == 24


def test_every_text_on_the_page_is_escaped(home: Path, tmp_path: Path) -> None:
    with Run.view(home) as run:
        (pair, *_) = study_pairs(run, 1, 0)
        evil = type(pair)(pair.first, pair.second, EVIL)
        page = write_study(tmp_path / "study", run, [evil], EVIL).read_text(encoding="utf-8")
    assert page.count("<script") == 1 and "<img" not in page and html.unescape(page).count(EVIL) == 2


def test_people_who_choose_as_the_measurer_agree_with_it_and_the_wins_are_counted(
    home: Path, scores: dict[str, float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "study"
    assert main(["export", "study", str(home), "--out", str(out)]) == 0
    pairs, (clips, _, tuned) = shown(out), clips_of(home)

    def as_measured(one: str, other: str) -> str:
        return "first" if scores[one] > scores[other] else "second" if scores[one] < scores[other] else "tie"

    files = [fill_in(tmp_path / f"{name}.csv", pairs, as_measured, name) for name in ("ann", "bob")]
    assert main(["judge", "people", str(home), *map(str, files)]) == 0
    assert "Fleiss' kappa 1.00" in capsys.readouterr().out
    made = PeopleAudit.model_validate_json((home / "audit" / "people.json").read_bytes())
    assert (made.num_raters, made.num_items, made.kind, made.notes) == (2, len(pairs), "preferences", ())
    ahead = [
        (scores[a] - scores[b]) * (1 if clips[a].model == tuned else -1) for a, b in (each.values() for each in pairs)
    ]
    (everything, *others) = made.wins
    assert everything.dimension == "all" and {each.dimension for each in others} == {"Composition", "Mechanics"}
    counted = (everything.num_won, everything.num_tied, everything.num_lost)
    assert counted == (sum(d > 0 for d in ahead), sum(d == 0 for d in ahead), sum(d < 0 for d in ahead))
    assert everything.win_rate is not None
    assert everything.win_rate.value == pytest.approx((counted[0] + counted[1] / 2) / len(pairs))
    by = {(each.who, each.dimension): each for each in made.opinions}
    with_measurer, with_judge = by["measurer", "all"], by["judge", "all"]
    assert with_measurer.accuracy is not None and with_measurer.accuracy.value == 1.0
    assert with_judge.accuracy is not None and with_judge.accuracy.value < 1.0
    assert with_judge.num_pairs == with_measurer.num_pairs == len(pairs)


def test_scores_of_people_are_compared_by_rank_and_by_pair(
    home: Path, scores: dict[str, float], tmp_path: Path
) -> None:
    rows = [f"{name},{-10 * score + 3},ann" for name, score in scores.items()] + ["nonesuch,1,ann"]
    path = tmp_path / "scores.csv"
    path.write_text("\n".join(["clip,score,rater", *rows]) + "\n", encoding="utf-8")
    made = audit_people(home, [path], HOW)
    by = {(each.who, each.dimension): each for each in made.opinions}
    found = by["measurer", "Mechanics"]
    assert found.spearman is not None and found.spearman.value == pytest.approx(-1.0)
    assert found.num_pairs > 0 and found.accuracy is not None and made.wins == ()
    assert by["judge", "all"].spearman is not None and made.num_raters == 1 and made.raters_agree is None
    assert "there is no clip called 'nonesuch'" in made.notes[0]


def test_a_person_counts_once_over_all_files_and_kinds_do_not_mix(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    assert main(["export", "study", str(home), "--out", str(out), "--num", "2"]) == 0
    one = fill_in(tmp_path / "one.csv", shown(out), lambda *_: "first", "ann")
    two = fill_in(tmp_path / "two.csv", shown(out), lambda *_: "second", "ann")
    made = audit_people(home, [one, two], HOW)
    assert made.num_raters == 1 and len(made.notes) == 4 and "in an earlier file too" in made.notes[0]
    other = tmp_path / "scores.csv"
    other.write_text(f"clip,score\n{shown(out)[0]['clip']},1\n", encoding="utf-8")
    assert main(["judge", "people", str(home), str(one), str(other)]) == 2
    assert read_label_file(other).kind == "scores"


def test_a_run_without_a_comparison_has_no_study(tmp_path: Path) -> None:
    assert main(["export", "study", str(tmp_path / "nowhere")]) == 2


def test_what_people_prefer_among_takes_is_a_judge(tmp_path: Path) -> None:
    model, home, labels = make_tiny_wan(tmp_path / "model"), tmp_path / "run", tmp_path / "labels.csv"
    plain = tiny_recipe(model)
    people = PluginSpec(use="rushes.judge.people:PeopleSpec", options={"path": str(labels)})
    recipe = plain.model_copy(
        update={
            "judge": plain.judge.model_copy(update={"judge": people}),
            "weights": plain.weights.model_copy(update={"kind": "rank"}),
        }
    )
    assert improve(recipe, home, until="generate") is None
    out = tmp_path / "study"
    assert main(["export", "study", str(home), "--of", "takes", "--out", str(out)]) == 0
    pairs = shown(out)
    assert len(pairs) >= 4, "two takes of each prompt that passed the screen"
    best = {min(pair["clip"], pair["other"]) for pair in pairs}
    fill_in(labels, pairs, lambda one, other: "first" if one < other else "second", "ann")
    assert improve(recipe, home, until="train") is None
    with Run.view(home) as run:
        samples = [each for each in run.read_derived("samples-0", Sample) or [] if each.source == "own"]
        votes = run.votes.all()
    assert len(votes) == len(pairs) and {vote.p_first for vote in votes} <= {0.0, 1.0}
    weights = {sample.clip_key[:12]: sample.weight for sample in samples}
    assert len(weights) == 2 * len(pairs) and all((weights[name] > 1.0) == (name in best) for name in weights)


@pytest.mark.parametrize("name", ["RaterSpec", "ChooserSpec"])
def test_judges_of_scores_and_of_preferences_are_compared_with_people_by_what_they_said(
    name: str, tmp_path: Path
) -> None:
    plain, home = tiny_recipe(make_tiny_wan(tmp_path / "model")), tmp_path / "run"
    judge = plain.judge.model_copy(update={"judge": PluginSpec(use=f"tests.support.raters:{name}")})
    weights = plain.weights.model_copy(update={"kind": "rank"})
    recipe = plain.model_copy(update={"judge": judge, "weights": weights})
    assert improve(recipe, home, until="judge") is None
    with Run.view(home) as run:
        clips = [clip for clip in run.clips.all() if clip.origin == "model"]
        said, who = stored_scores(run, judge, clips)
    assert len(said) >= 8, "all takes of the training prompts"
    rows = [f"{clip.key[:12]},{3 * said[clip.key] + 1}" for clip in clips if clip.key in said]
    path = tmp_path / "scores.csv"
    path.write_text("\n".join(["clip,score", *rows]) + "\n", encoding="utf-8")
    found = {(each.who, each.dimension): each for each in audit_people(home, [path], HOW).opinions}["judge", "all"]
    assert found.source == who and found.num_clips == len(said) and found.num_left_out == 0
    assert found.spearman is not None and found.spearman.value == pytest.approx(1.0)
    assert found.accuracy is not None and found.accuracy.value == 1.0 and found.num_pairs == len(said) // 2


def test_an_exported_dataset_is_a_folder_of_scored_videos(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    assert main(["export", "dataset", str(home), "--out", str(out)]) == 0
    found = read_clip_folder(out, TINY_SHAPE, is_trained_on=True)
    with Run.view(home) as run:
        samples = run.read_derived("samples-0", Sample) or []
    assert len(found.clips) == len(samples) and lacking(found.clips) == {}
    assert sorted(clip.stated.weight or 0.0 for clip in found.clips) == pytest.approx(
        sorted(sample.weight for sample in samples)
    )
    assert sum(clip.stated.score is not None for clip in found.clips) == sum(each.source == "own" for each in samples)
