"""Files that are whole or absent, safe names, the words of a review, the exports: no sky is needed here."""

import csv
import errno
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from boundaries import Stop, boundaries, stop_at
from hypothesis import given
from hypothesis import strategies as st

from candidates import exports, review
from candidates.files import MAX_NAME, safe_name, write_durably, write_synced
from candidates.rows import complete, ranked, row_of_record

ANY_TEXT = st.text(min_size=1, max_size=300)


def test_a_durable_write_leaves_the_old_file_or_the_new_one_at_every_boundary(tmp_path):
    path = tmp_path / "notes.txt"
    write_durably(path, b"old")
    names = boundaries(lambda step: write_durably(path, b"old", step))
    assert names == ["file opened", "file written", "file synced", "file renamed", "folder synced"]
    for number, name in enumerate(names):
        write_durably(path, b"old")
        with pytest.raises(Stop, match=name):
            write_durably(path, b"new", stop_at(number))
        assert path.read_bytes() == (b"new" if name in ("file renamed", "folder synced") else b"old")
        assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


def test_a_full_disk_leaves_nothing_half(tmp_path):
    def full(boundary: str) -> None:
        if boundary == "file written":
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_durably(tmp_path / "page.html", b"x" * 1000, full)
    assert list(tmp_path.iterdir()) == []


def test_a_really_full_device_leaves_no_partial_file(tmp_path):
    link = tmp_path / "full.part"
    link.symlink_to("/dev/full")  # every write to it fails with ENOSPC
    with pytest.raises(OSError, match="No space left") as caught:
        write_synced(link, b"x" * 100_000)
    assert caught.value.errno == errno.ENOSPC
    assert not link.is_symlink()


def test_the_partial_file_is_named_after_the_file_and_the_token(tmp_path):
    seen: list[str] = []

    def look(boundary: str) -> None:
        if boundary == "file written":
            seen.extend(entry.name for entry in tmp_path.iterdir())

    write_durably(tmp_path / "a.json", b"1", look)
    (tmp_path / "a.json").unlink()
    write_durably(tmp_path / "a.json", b"1", look, token="17")
    assert seen == ["a.json.part", "a.json.17.part"]


def test_missing_folders_are_made(tmp_path):
    write_durably(tmp_path / "exports" / "deep" / "log.txt", b"1")
    assert (tmp_path / "exports" / "deep" / "log.txt").read_bytes() == b"1"


@given(ANY_TEXT)
def test_a_safe_name_is_one_plain_visible_file_name(text):
    name = safe_name(text)
    assert name.isascii()
    assert name.isprintable()
    assert 0 < len(name) <= MAX_NAME
    assert not set(name) & set("/\\:*?\"<>|%#& '\n\t\0")
    assert name[0] not in ".-"
    assert name[-1] != "."
    assert Path(name).name == name


@given(st.lists(ANY_TEXT, unique=True, max_size=20))
def test_different_texts_get_different_names(texts):
    assert len({safe_name(text) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    "hostile", ["../../etc/passwd", "..", ".", "/", "a/b", "-rf", "\0", "<script>", "con\r\nx", "x" * 500]
)
def test_hostile_names_stay_in_their_folder(hostile, tmp_path):
    path = tmp_path / safe_name(hostile)
    write_durably(path, b"1")
    assert path.parent == tmp_path
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_ordinary_names_stay_as_they_are():
    assert safe_name("261136679") == "261136679"
    assert safe_name("pi_Men_c+1.0-b") == "pi_Men_c+1.0-b"


def test_an_empty_text_has_no_name():
    with pytest.raises(ValueError, match="empty"):
        safe_name("")


# review


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("pc", "planet_candidate"),
        ("EB", "eclipsing_binary"),
        (" False Positive ", "false_positive"),
        ("false-alarm", "false_alarm"),
        ("kp", "known_planet"),
        ("unsure", "unsure"),
    ],
)
def test_a_decision_is_known_by_name_alias_and_manner_of_writing(word, name):
    assert review.parse_decision(word) == name


def test_an_unknown_decision_is_refused_in_one_line_with_the_nearest_word():
    with pytest.raises(review.InvalidDecision) as caught:
        review.parse_decision("eclipsing_binry")
    message = str(caught.value)
    assert "did you mean 'eclipsing_binary'?" in message
    assert "\n" not in message


@given(st.text(max_size=100))
def test_any_word_is_a_decision_or_refused_in_one_short_line(word):
    try:
        said = review.parse_decision(word)
    except review.InvalidDecision as error:
        said = str(error)
    assert said in review.NAMES or (said.startswith("unknown decision") and "\n" not in said and len(said) < 600)


def test_aliases_and_names_are_unique():
    words = [*review.NAMES, *review.ALIASES]
    assert len(set(words)) == 2 * len(review.DECISIONS)


def test_the_review_command_survives_a_shell(tmp_path):
    name = "FILE_it's; rm -rf ~ $(x)_p1.000000"
    script = review.command(name).replace("hunter review", "printf '%s\\n'")
    out = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert out == [name, "--decision", "pc", "--reason", "why"]


def test_decisions_are_listed_without_control_characters():
    rows = [{"decision": "unsure", "because": "look\n\x1b[31m again", "reviewer": "anna", "at": "2026-01-02"}]
    text = review.format_decisions(rows)
    assert "\x1b" not in text
    assert text.startswith("2026-01-02  unsure  by anna: look")
    assert review.format_decisions([]) == "not reviewed yet"


# exports

TEXT = st.text(max_size=40)
LOG_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["TIC", "KIC", "EPIC", "FILE"]),
            "key": TEXT,
            "phase": st.sampled_from([None, *exports.STAGES]),
            "status": st.sampled_from(["QUEUED", "RUNNING", "CANDIDATE", "NO_SIGNAL", "QUARANTINED", "HELD"]),
            "best_period": st.none() | st.floats(min_value=1e-3, max_value=1e4),
            "changed_at": st.none() | st.floats(min_value=0, max_value=4e9),
            "error": st.none() | TEXT,
        }
    ),
    max_size=10,
)


def parsed(lines) -> list[list[str]]:
    return list(csv.reader(io.StringIO("".join(lines), newline="")))


def test_the_log_has_exactly_the_columns_others_read():
    row = {
        "kind": "TIC",
        "key": "261136679",
        "phase": "publish",
        "status": "CANDIDATE",
        "best_period": 6.26789,
        "changed_at": 1767323045.0,
        "error": None,
    }
    assert list(exports.processed_stars([row])) == [
        "TIC_ID,LAST_STAGE,STATUS,BEST_PERIOD,UPDATED_AT,ERROR\n",
        "261136679,DONE,CANDIDATE,6.267890,2026-01-02T03:04:05Z,\n",
    ]


@pytest.mark.parametrize(
    ("phase", "stage"),
    [
        (None, ""),
        ("fetch", "phase1"),
        ("clean", "phase1"),
        ("search", "phase2"),
        ("fold", "phase3"),
        ("vet", "phase3"),
        ("score", "predict"),
        ("finished", "DONE"),
    ],
)
def test_phases_have_the_stage_names_of_the_log(phase, stage):
    assert exports.last_stage(phase, "RUNNING") == stage
    assert exports.last_stage(phase, "NO_SIGNAL") == "DONE"


def test_an_unknown_phase_is_refused():
    with pytest.raises(ValueError, match="unknown phase 'dream'"):
        exports.last_stage("dream", "RUNNING")


@given(LOG_ROWS)
def test_the_log_survives_wild_rows_and_runs_in_no_spreadsheet(rows):
    table = parsed(exports.processed_stars(rows))
    assert len(table) == len(rows) + 1
    for line, row in zip(table[1:], rows, strict=True):
        assert len(line) == 6
        assert "\n" not in line[5]
        for cell in line:
            assert not cell.lstrip(" ").startswith(("=", "+", "-", "@"))
            assert cell == "".join(cell.splitlines())
        if row["best_period"] is not None:
            assert float(line[3]) == pytest.approx(row["best_period"], abs=5.1e-7)


def test_a_formula_becomes_text():
    row = {"kind": "FILE", "key": "=1+1", "phase": None, "status": "QUEUED", "best_period": None, "changed_at": None}
    line = parsed(exports.processed_stars([{**row, "error": '=HYPERLINK("http://x")'}]))[1]
    assert line[0] == "FILE =1+1"
    assert line[5] == '\'=HYPERLINK("http://x")'


def test_timings_are_summed_by_stage_and_unknown_ones_stay_empty():
    row = {
        "kind": "TIC",
        "key": "1",
        "status": "NO_SIGNAL",
        "ms": {"fetch": 10.04, "clean": 5.0, "search": 100.0, "publish": 2.0},
    }
    assert list(exports.timings([row, {**row, "ms": {}}])) == [
        "TIC_ID,PHASE1_MS,PHASE2_MS,PHASE3_MS,PREDICT_MS,TOTAL_MS,STATUS\n",
        "1,15.0,100.0,,,117.0,NO_SIGNAL\n",
        "1,,,,,,NO_SIGNAL\n",
    ]


@given(st.dictionaries(st.sampled_from(list(exports.STAGES)), st.floats(min_value=0, max_value=1e9)))
def test_the_total_is_the_sum_of_all_phases(spent):
    line = parsed(exports.timings([{"kind": "TIC", "key": "1", "status": "X", "ms": spent}]))[1]
    if spent:
        assert float(line[5]) == pytest.approx(sum(spent.values()), abs=0.051)
    else:
        assert line[5] == ""


RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "name": TEXT,
            "kind": st.just("TIC"),
            "key": TEXT,
            "period": st.floats(min_value=0.1, max_value=1000),
            "depth": st.floats(min_value=-1, max_value=1),
            "snr": st.floats(allow_nan=False, allow_infinity=False),
            "probability": st.none() | st.floats(min_value=0, max_value=1),
            "decision": st.none() | TEXT,
        }
    ),
    max_size=8,
)


@given(RECORDS)
def test_the_table_says_the_same_in_csv_and_json(records):
    table = parsed(exports.table(records))
    listed = json.loads(exports.table_json(records))
    assert len(table) == len(records) + 1 == len(listed) + 1
    for line, item in zip(table[1:], listed, strict=True):
        row = dict(zip(table[0], line, strict=True))
        assert float(row["period_days"]) == item["period_days"]
        assert float(row["depth_ppm"]) == item["depth_ppm"]
        assert row["rank"] == str(item["rank"])


def test_the_table_has_its_header_without_candidates():
    assert next(iter(exports.table([]))).startswith("rank,name,target,probability,")
    assert json.loads(exports.table_json([])) == []


# rows


def test_a_record_of_the_state_becomes_a_row_in_the_units_of_the_pages():
    row = row_of_record(
        {"name": "a", "kind": "TIC", "key": "7", "period": 2.0, "duration": 0.125, "depth": 1e-3, "decision": "unsure"}
    )
    assert (row["target"], row["period_days"], row["duration_hours"], row["depth_ppm"], row["review"]) == (
        "TIC 7",
        2.0,
        3.0,
        1000.0,
        "unsure",
    )
    assert row_of_record(row) == row


def test_a_candidate_whose_evidence_is_missing_or_torn_keeps_its_row_and_says_so(tmp_path):
    (tmp_path / "b.json").write_text('{"name": "b"')
    (tmp_path / "c.json").write_text('{"name": "c"}')
    rows = complete(tmp_path, [{"name": name, "snr": 8.0} for name in "abc"])
    assert [row["snr"] for row in rows] == [8.0] * 3
    assert all("cannot be read" in row["problem"] for row in rows)


def test_the_ranking_is_by_probability_then_snr_then_name():
    rows = [
        {"name": "d", "probability": None, "snr": 99.0},
        {"name": "c", "probability": 0.9, "snr": 8.0},
        {"name": "b", "probability": 0.9, "snr": 8.0},
        {"name": "a", "probability": 0.9, "snr": 20.0},
        {"name": "e", "probability": 0.99, "snr": 7.2},
    ]
    assert [row["name"] for row in ranked(rows)] == list("eabcd")


def test_looking_at_candidates_imports_nothing_heavy():
    code = (
        "import sys, candidates.reading, candidates.rows, candidates.review, candidates.exports, candidates.files\n"
        "import candidates.wording\n"
        "heavy = {'numpy', 'matplotlib', 'astropy', 'scipy', 'jax', 'torch', 'jinja2', 'jsonschema', 'PIL'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
