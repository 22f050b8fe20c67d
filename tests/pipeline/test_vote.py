"""Votes of people on a run: the folder that raters get is blind, hostile files are refused, the result is decoded."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rushes.audit.people import audit_people
from rushes.cli import main
from rushes.errors import FileCorrupt, InputError
from rushes.judge.labels import read_label_file
from rushes.pipeline import improve
from rushes.records import Scored
from rushes.statistics.resampling import Resampling
from rushes.store.check import examine
from rushes.store.recipe_copy import recipe_of
from rushes.store.run import Run
from rushes.store.video import read_video
from rushes.vote.folder import clip_file, folder_of, keep_study, studies, the_study
from rushes.vote.pairs import Wanted, make_study
from rushes.vote.records import OVERALL, Replies, Reply, ShownPair, Study, VoteResult
from rushes.vote.replies import MAX_BYTES, add, all_replies, checked, keep, read_replies, replies_of
from rushes.vote.result import BY_DIMENSION, vote_result
from tests.support.studio import address, client
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

HOW = Resampling(num_resamples=200)
Vote = Callable[[ShownPair, str], str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))
    recipe = recipe.model_copy(update={"measure": recipe.measure.model_copy(update={"num_prompts": 8})})
    home = tmp_path_factory.mktemp("runs") / "run"
    assert improve(recipe, home) is not None
    with Run.view(home) as run:
        keep_study(run, make_study(run, recipe, Wanted(seed=3)))
    return home


@pytest.fixture
def home(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def tuned_of(home: Path) -> set[str]:
    """Keys of the tuned model's clips."""
    with Run.view(home) as run:
        scorecard = run.scorecard()
        assert scorecard is not None
        return {clip.key for clip in run.clips.all() if clip.model == scorecard.tuned_model}


def measured(home: Path) -> dict[str, float]:
    with Run.view(home) as run:
        return {
            each.subject[0]: each.outcome.value
            for each in run.measurements.all()
            if len(each.subject) == 1 and isinstance(each.outcome, Scored)
        }


def attentive(choose: Vote) -> Vote:
    """Passes every check, and votes on the rest."""
    right = {"noise_left": "right", "noise_right": "left", "same": "tie"}
    return lambda pair, question: right.get(pair.check or "", "") or choose(pair, question)


def ballot(study: Study, rater: str, choose: Vote) -> Replies:
    replies = [
        Reply(pair=pair.name, question=question, choice=choose(pair, question), seconds=2.0)  # type: ignore[arg-type]
        for pair in study.pairs
        for question in pair.questions
    ]
    return checked(study, rater, replies)


def result(home: Path, study: Study) -> VoteResult:
    with Run.view(home) as run:
        return vote_result(run, recipe_of(home), study, all_replies(home, study), HOW)


# ---------------------------------------------------------------------------------------------- the study


def test_a_study_asks_each_prompt_once_with_both_models_on_either_side(home: Path) -> None:
    study, tuned = the_study(home), tuned_of(home)
    pairs = [pair for pair in study.pairs if pair.check is None]
    assert len(pairs) == len({pair.text for pair in pairs}) == 16
    assert all(len({pair.left in tuned, pair.right in tuned}) == 2 for pair in pairs)
    assert sum(pair.left in tuned for pair in pairs) == 8, "each model is on the left in half of them"
    assert all(pair.questions == (pair.dimension, OVERALL) for pair in pairs)
    kinds = [pair.check for pair in study.pairs if pair.check]
    assert sorted(kinds) == ["again", "noise_left", "noise_left", "same"] or len(kinds) == 4
    again = next(pair for pair in study.pairs if pair.check == "again")
    first = next(pair for pair in study.pairs if pair.name == again.repeats)
    assert (again.left, again.right) == (first.right, first.left)
    with Run.view(home) as run:
        assert make_study(run, recipe_of(home), Wanted(seed=3)) == study
        assert make_study(run, recipe_of(home), Wanted(seed=4)).study != study.study


def test_nothing_in_the_folder_tells_which_model_made_a_clip(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "send"
    assert main(["vote", "export", str(home), "--seed", "3", "--out", str(out)]) == 0
    page = (out / "index.html").read_text(encoding="utf-8")
    study, tuned = the_study(home), tuned_of(home)
    clips = {key for pair in study.pairs for key in (pair.left, pair.right)}
    assert not [key for key in clips if key[:8] in page]
    assert not re.search(
        r"\b(base|tuned|noise|again|checkpoint)\b", re.sub(r"<(script|style)>.*?</\1>|<meta.*?>", "", page, flags=re.S)
    )
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert files == sorted(["index.html", *(clip_file(p, s) for p in study.pairs for s in ("left", "right"))])
    assert {path.stat().st_mtime for path in folder_of(home, study.study).rglob("*.mp4")} == {0.0}
    with Run.view(home) as run:
        by_key = {clip.key: run.blobs.read_video(clip.frames) for clip in run.clips.all() if clip.key in clips}
    for pair in study.pairs:
        for side in ("left", "right"):
            shown = read_video(out / clip_file(pair, side)).frames_THWC[:, 4::10, 4::10]
            frames = by_key[getattr(pair, side)]
            error = np.abs(frames.repeat(10, 1).repeat(10, 2)[:, 4::10, 4::10].astype(int) - shown).mean()
            assert (error > 20) == (pair.check == f"noise_{side}"), pair.check
    assert {pair.left in tuned for pair in study.pairs} == {True, False}


def test_the_page_knows_pairs_and_questions_and_runs_no_text(home: Path) -> None:
    from rushes.vote.folder import page_of

    study = the_study(home)
    evil = "</script><script>alert(1)</script>\u2028 \"'><img src=x onerror=alert(1)>"
    pairs = (study.pairs[0].model_copy(update={"text": evil}), *study.pairs[1:])
    page = page_of(study.model_copy(update={"pairs": pairs}))
    assert "<script>alert" not in page and "<img" not in page
    data = re.search(r'<script type="application/json" id="study">(.*?)</script>', page, re.S)
    assert data is not None
    known = json.loads(data[1])
    assert known["pairs"][0]["text"] == evil
    assert known.keys() == {"study", "questions", "pairs"}
    assert {name for pair in known["pairs"] for name in pair} == {"name", "text", "left", "right", "questions"}
    assert "connect-src" not in page and "default-src 'none'" in page


# ---------------------------------------------------------------------------------------------- the result


def test_sides_are_decoded(home: Path) -> None:
    study, tuned = the_study(home), tuned_of(home)
    for rater in ("ann", "bob"):
        prefer = attentive(lambda pair, _: "left" if pair.left in tuned else "right")
        keep(home, study, ballot(study, rater, prefer))
    keep(
        home,
        study,
        ballot(study, "cy", attentive(lambda pair, question: "tie" if question == OVERALL else "cannot_tell")),
    )
    found = result(home, study)
    overall, own = found.questions
    assert (overall.name, own.name) == (OVERALL, BY_DIMENSION)
    win = overall.audit.wins[0]
    assert (win.dimension, win.num_pairs, win.num_won, win.num_lost) == ("all", 16, 16, 0)
    assert win.win_rate is not None and win.win_rate.value == pytest.approx(2.5 / 3)
    assert own.audit.wins[0].win_rate is not None and own.audit.wins[0].win_rate.value == 1.0
    assert (own.num_votes, own.num_cannot_tell) == (32, 16)
    assert [(each.rater, each.num_pairs, each.num_passed, each.num_consistent) for each in found.raters] == [
        ("ann", 16, 3, 1),
        ("bob", 16, 3, 1),
        ("cy", 16, 3, 1),
    ]
    # Two of three agree in every pair: 2 of 6 ordered pairs of votes; by chance left, right and tie differ.
    assert overall.alpha is not None and overall.alpha.value < 0.5


def test_judge_and_measurer_beside_people(home: Path) -> None:
    study, scores = the_study(home), measured(home)

    def as_measured(pair: ShownPair, _: str) -> str:
        gap = scores[pair.left] - scores[pair.right]
        return "left" if gap > 0 else "right" if gap < 0 else "tie"

    keep(home, study, ballot(study, "ann", attentive(as_measured)))
    rows = {row.who: row for row in result(home, study).questions[0].audit.opinions if row.dimension == "all"}
    assert rows["measurer"].decided is not None and rows["measurer"].decided.value == 1.0
    assert rows["measurer"].kappa is not None and rows["measurer"].kappa.value == pytest.approx(1.0)
    assert rows["measurer"].accuracy is not None and rows["measurer"].accuracy.value == 1.0
    assert rows["judge"].decided is not None and rows["judge"].decided.value < 1.0, "it says something else"


def test_a_rater_who_does_not_look_is_left_out(home: Path) -> None:
    study, tuned = the_study(home), tuned_of(home)
    keep(home, study, ballot(study, "ann", attentive(lambda pair, _: "left" if pair.left in tuned else "right")))
    wrong = {"noise_left": "left", "noise_right": "right", "same": "left"}
    keep(
        home,
        study,
        ballot(
            study, "<b>eve", lambda pair, _: wrong.get(pair.check or "", "left" if pair.right in tuned else "right")
        ),
    )
    found = result(home, study)
    assert [(each.rater, each.num_passed, each.is_left_out) for each in found.raters] == [
        ("<b>eve", 0, True),
        ("ann", 3, False),
    ]
    win = found.questions[0].audit.wins[0]
    assert win.win_rate is not None and win.win_rate.value == 1.0 and found.with_all == 0.5
    assert any("left out" in note and "<b>eve" in note for note in found.notes)


def test_the_command_line_from_the_plan_to_the_report(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["vote", "plan", str(home), "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["num_pairs"] == 16 and planned["needed"]["0.6"] > planned["needed"]["0.7"] > 10
    study, tuned = the_study(home), tuned_of(home)
    assert main(["vote", "result", str(home)]) == 2
    assert "no votes in study" in capsys.readouterr().err
    file = tmp_path / "votes.json"
    file.write_text(
        ballot(study, "ann", attentive(lambda p, _: "left" if p.left in tuned else "right")).model_dump_json()
    )
    assert main(["vote", "import", str(home), str(file)]) == 0
    assert "36 new votes of ann" in capsys.readouterr().out
    assert main(["vote", "result", str(home)]) == 0
    shown = capsys.readouterr().out
    assert "16 / 0 / 0" in shown and "100%" in shown
    labels = folder_of(home, study.study) / "preferences.csv"
    assert read_label_file(labels).kind == "preferences"
    wins = audit_people(home, [labels], HOW).wins
    assert (wins[0].num_pairs, wins[0].num_won) == (16, 16), "the labels say the same to `rushes judge people`"
    assert main(["report", str(home), "--rebuild"]) == 0
    page = (home / "report.html").read_text(encoding="utf-8")
    assert "Blind votes on pairs" in page and "16 / 0 / 0" in page


def test_takes_become_labels_for_the_judge(home: Path, tmp_path: Path) -> None:
    with Run.view(home) as run:
        study = make_study(run, recipe_of(home), Wanted(of="takes", num=2))
        keep_study(run, study)
    assert len(studies(home)) == 2
    keep(home, study, ballot(study, "ann", attentive(lambda pair, _: "left")))
    assert main(["vote", "result", str(home), "--study", study.study]) == 0
    labels = read_label_file(folder_of(home, study.study) / "preferences.csv")
    pairs = [pair for pair in study.pairs if pair.check is None]
    assert [labels.p_first(pair.left[:12], pair.right[:12]) for pair in pairs] == [1.0] * len(pairs)


# ---------------------------------------------------------------------------------------------- files of others


def test_a_later_file_of_the_same_person_extends_and_another_is_refused(home: Path) -> None:
    study = the_study(home)
    whole = ballot(study, "ann", lambda *_: "left")
    half = whole.model_copy(update={"replies": whole.replies[:5]})
    assert (add(home, study, half), add(home, study, whole), add(home, study, whole)) == (5, len(whole.replies) - 5, 0)
    with pytest.raises(InputError, match="has voted here before") as caught:
        add(home, study, half)
    assert "--replace" in str(caught.value)
    assert len(replies_of(home, study, "ann").replies) == len(whole.replies)
    add(home, study, half, replace=True)
    assert len(replies_of(home, study, "ann").replies) == 5


def _changed(good: str, **changes: object) -> bytes:
    return json.dumps({**json.loads(good), **changes}).encode()


HOSTILE: dict[str, Callable[[str], bytes]] = {
    "no JSON": lambda good: b"{",
    "not text": lambda good: b"\xff\xfe\x00",
    "deep": lambda good: b"[" * 100_000,
    "large": lambda good: b" " * (MAX_BYTES + 1),
    "another version": lambda good: _changed(good, rushes_votes=2),
    "another study": lambda good: _changed(good, study="0" * 12),
    "a path for a study": lambda good: _changed(good, study="../../etc"),
    "more than asked": lambda good: _changed(good, is_admin=True),
    "no name": lambda good: _changed(good, rater=""),
    "a long name": lambda good: _changed(good, rater="a" * 41),
    "control characters": lambda good: _changed(good, rater="ann\x1b[2J"),
    "a name as a list": lambda good: _changed(good, rater=["ann"]),
    "twice": lambda good: _changed(good, replies=json.loads(good)["replies"][:1] * 2),
    "no such pair": lambda good: good.replace("p0001", "p9999").encode(),
    "a pair by a path": lambda good: good.replace("p0001", "../x").encode(),
    "no such question": lambda good: good.replace('"overall"', '"other"').encode(),
    "no such choice": lambda good: good.replace('"left"', '"both"').encode(),
    "no number": lambda good: good.replace("2.0", "NaN").encode(),
    "endless": lambda good: good.replace("2.0", "1e999").encode(),
    "before it began": lambda good: good.replace("2.0", "-1.0").encode(),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_file_is_refused_and_nothing_of_it_is_stored(home: Path, tmp_path: Path, how: str) -> None:
    study = the_study(home)
    good = ballot(study, "ann", lambda *_: "left").model_dump_json()
    file = tmp_path / "votes.json"
    file.write_bytes(good.encode())
    assert read_replies(file, study).rater == "ann"
    file.write_bytes(HOSTILE[how](good))
    with pytest.raises(InputError) as caught:
        read_replies(file, study)
    assert len(str(caught.value)) < 2000 and "\x1b" not in str(caught.value)
    assert main(["vote", "import", str(home), str(file)]) == 2
    assert not (folder_of(home, study.study) / "replies").exists()


def test_a_name_that_looks_like_a_path_stays_in_its_folder(home: Path) -> None:
    study = the_study(home)
    name = "../../../evil\u202e/x"[:12]
    keep(home, study, ballot(study, name, lambda *_: "left"))
    folder = folder_of(home, study.study) / "replies"
    assert [path.name for path in folder.glob("*.json")] and replies_of(home, study, name).rater == name
    assert not list(home.parent.glob("evil*"))


def test_altered_votes_are_found_set_aside_and_never_counted(home: Path) -> None:
    study = the_study(home)
    keep(home, study, ballot(study, "ann", lambda *_: "left"))
    (file,) = (folder_of(home, study.study) / "replies").glob("*.json")
    said = file.read_bytes().replace(b'"left"', b'"right"', 1)
    file.write_bytes(said)
    with pytest.raises(FileCorrupt):
        result(home, study)
    assert [each.place for each in examine(home).findings] == [file.relative_to(home).as_posix()]
    assert main(["check", str(home), "--heal"]) == 0
    assert not examine(home).findings and not file.exists()
    assert file.with_name(f"{file.name}.damaged").read_bytes() == said, "people's votes are never thrown away"
    with Run.view(home) as run:
        assert run.is_done, "no run has to make anything again for it"


# ---------------------------------------------------------------------------------------------- the studio

HERE = {"origin": "http://127.0.0.1:8600"}


def test_the_studio_stores_votes_as_they_come(home: Path) -> None:
    study, tuned = the_study(home), tuned_of(home)
    web, at = client(home, may_write=True), address(home, f"vote/{the_study(home).study}")
    whole = ballot(study, "ann", attentive(lambda pair, _: "left" if pair.left in tuned else "right"))
    for num in (3, 2, len(whole.replies)):  # an undo in between
        part = whole.model_copy(update={"replies": whole.replies[:num]})
        answer = web.post(f"{at}/replies", content=part.model_dump_json(), headers=HERE)
        assert answer.json() == {"stored": num}
        assert len(web.get(f"{at}/replies", params={"rater": "ann"}).json()["replies"]) == num
        assert replies_of(home, study, "ann") == part
    page = web.get(address(home, "vote")).text
    assert "100% (" in page and f"{len(whole.replies)} of {len(whole.replies)}" in page
    assert web.post(address(home, "vote"), data={"keep": study.study}, headers=HERE).status_code == 303
    assert (folder_of(home, study.study) / "result.json").is_file()


@pytest.mark.parametrize("how", HOSTILE)
def test_the_studio_refuses_hostile_votes(home: Path, how: str) -> None:
    study = the_study(home)
    web, at = client(home, may_write=True), address(home, f"vote/{study.study}/replies")
    good = ballot(study, "ann", lambda *_: "left").model_dump_json()
    answer = web.post(at, content=HOSTILE[how](good), headers=HERE)
    assert answer.status_code in (400, 413) and len(answer.text) < 1000
    assert not (folder_of(home, study.study) / "replies").exists()


def test_without_write_nobody_votes_and_no_study_is_made(home: Path) -> None:
    study = the_study(home)
    web, at = client(home), address(home, f"vote/{study.study}")
    assert web.get(at).status_code == 403
    body = ballot(study, "ann", lambda *_: "left").model_dump_json()
    assert web.post(f"{at}/replies", content=body, headers=HERE).status_code == 405
    assert web.post(address(home, "vote"), data={"num": "2"}, headers=HERE).status_code == 405
    assert not (folder_of(home, study.study) / "replies").exists() and len(studies(home)) == 1
    assert "--write" in web.get(address(home, "vote")).text


def test_the_page_for_voting_and_its_clips_tell_nothing(home: Path) -> None:
    study = the_study(home)
    web, at = client(home, may_write=True), address(home, f"vote/{study.study}")
    page = web.get(at).text
    assert not [key for pair in study.pairs for key in (pair.left, pair.right) if key[:8] in page]
    assert web.get(f"{at}/clips/{study.pairs[0].name}-left.mp4").content[4:8] == b"ftyp"
    for wrong in ("p9999-left.mp4", "..%2F..%2F..%2Fstudy.json", "study.json", "p0001-left.mp4/"):
        assert web.get(f"{at}/clips/{wrong}").status_code in (404, 307)
    assert web.get(address(home, "vote/000000000000")).status_code == 404
    assert web.get("/voting/vote.html.j2").status_code == 404
    made = web.post(address(home, "vote"), data={"num": "3", "of": "models"}, headers=HERE)
    assert made.status_code == 303 and len(studies(home)) == 2
