"""Data sets: read, kept apart by star, frozen on disk, and refused where they are not what they say."""

import csv
import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.datasets import (
    JUDGED,
    LICENCES,
    SPLITS,
    Labelled,
    ViewsRefused,
    assemble,
    join_labelled,
    label,
    leaks,
    open_dataset,
    public_dataset,
    read_views,
    scalar,
)
from models.datasets.public import public_rows
from models.datasets.records import masked_crc32c, parse_example, read_columns, read_records
from models.datasets.snapshots import CARD, ROWS, list_snapshots, read_snapshot, write_snapshot
from models.datasets.table import label_named, read_table
from models.inputs import GLOBAL_BINS, GLOBAL_LENGTH, LOCAL_BINS, LOCAL_LENGTH, SignalInputs

ABOUT = {"licence": "MIT", "origin": [{"file": "x", "sha256": "0"}], "settings": {"seed": 1}, "code": "1"}


def make_signal(seed: int, depth: float = 0.01, **scalars: float) -> SignalInputs:
    """SIMULATED: a box transit of a tenth of the period in white noise."""
    rng = np.random.default_rng(seed)
    views = {}
    for name, length in (
        ("global", GLOBAL_LENGTH),
        *((v, LOCAL_LENGTH) for v in ("local", "secondary", "odd", "even")),
    ):
        place = np.abs(np.linspace(-0.5, 0.5, length))
        inside = place < (0.05 if name == "global" else 0.125)
        views[f"{name}_flux"] = -depth * inside + depth / 20 * rng.standard_normal(length)
        views[f"{name}_filled"] = np.ones(length, dtype=bool)
    return SignalInputs(**views, depth=depth, scalars={"log10_snr": 1.5, "duration_over_period": 0.1} | scalars)


def make_rows(count: int, first: int = 1, seed: int = 0, source: str = "astronet") -> Labelled:
    """SIMULATED: one signal a star, planets, binaries and junk in turn."""
    words = [("PC", "EB", "J")[i % 3] for i in range(count)]
    period = [2.0 + 0.01 * i for i in range(count)]
    return label(
        [make_signal(seed * 1000 + i) for i in range(count)], range(first, first + count), period, words, source
    )


# ------------------------------------------------------------------------------------------------------ records


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(features: dict) -> bytes:
    """A tf.train.Example as TensorFlow writes it: lists packed."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, str):
            feature = field(1, field(1, value.encode()))
        elif np.asarray(value).dtype.kind == "f":
            feature = field(2, field(1, np.asarray(value, dtype="<f4").tobytes()))
        else:
            feature = field(3, field(1, b"".join(varint(int(v)) for v in np.atleast_1d(value))))
        entries += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, entries)


def write_records(path: Path, messages: list[bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as out:
        for message in messages:
            head = struct.pack("<Q", len(message))
            sums = masked_crc32c([head, message])
            out.write(head + struct.pack("<I", sums[0]) + message + struct.pack("<I", sums[1]))
    return path


def test_checksums_are_those_of_the_published_vectors():
    # RFC 3720, B.4: 32 zeros, 32 ones, ascending bytes; and the mask that TensorFlow adds
    for message, crc in ((bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)):
        assert masked_crc32c([message, b"", message])[2] == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert masked_crc32c([b""])[0] == 0xA282EAD8
    assert not len(masked_crc32c([]))


def test_records_come_back_as_they_were_written(tmp_path):
    messages = [b"", b"a", bytes(range(256)) * 9, b"last"]
    assert read_records(write_records(tmp_path / "r", messages)) == messages
    assert read_records(write_records(tmp_path / "none", [])) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.integers(0, 10_000), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_file_of_records_is_refused_wherever_it_is_damaged(tmp_path, where, bit, cut):
    good = write_records(tmp_path / "good", [example({"a": [1.5, 2.0], "n": 3, "t": "EB"})] * 3).read_bytes()
    where %= len(good)
    if cut and where % (len(good) // 3) == 0:
        return  # cut between records, it is a whole file of fewer
    bad = good[:where] if cut else bytes([*good[:where], good[where] ^ 1 << bit, *good[where + 1 :]])
    (tmp_path / "bad").write_bytes(bad)
    with pytest.raises(ViewsRefused, match=r"bad: .*(damaged|cut short)"):
        read_records(tmp_path / "bad")


@settings(max_examples=200, deadline=None)
@given(message=st.binary(max_size=60))
def test_any_bytes_are_an_example_or_refused(message):
    try:
        found = parse_example(message)
    except ValueError:
        return
    assert all(isinstance(name, str) for name in found)


@pytest.mark.parametrize("packed", [True, False])
def test_lists_are_read_packed_or_not(packed):
    numbers = [5, -1, 2**40]
    inner = field(1, b"".join(map(varint, numbers))) if packed else b"".join(varint(8) + varint(n) for n in numbers)
    floats = struct.pack("<2f", 1.5, -2.0)
    flat = field(1, floats) if packed else b"".join(bytes([13]) + floats[4 * i : 4 * i + 4] for i in range(2))
    found = parse_example(
        field(
            1,
            field(1, field(1, b"n") + field(2, field(3, inner))) + field(1, field(1, b"x") + field(2, field(2, flat))),
        )
    )
    assert found["n"].tolist() == numbers
    assert found["x"].tolist() == [1.5, -2.0]


def test_records_that_differ_from_each_other_are_refused(tmp_path):
    path = write_records(tmp_path / "r", [example({"a": [1.0]}), example({"b": [1.0]})])
    with pytest.raises(ViewsRefused, match="record 2 differs from the first in a, b"):
        read_columns([path])
    path = write_records(tmp_path / "r", [example({"a": [1.0]}), example({"a": [1.0, 2.0]})])
    with pytest.raises(ViewsRefused, match="the lists of a are empty or differ"):
        read_columns([path])
    path = write_records(tmp_path / "r", [b"\x0f"])
    with pytest.raises(ViewsRefused, match=r"record 1 is no tf\.train\.Example"):
        read_columns([path])


def astronet_columns(count: int = 12, first: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(first)
    return {
        "global_view": rng.normal(0, 0.1, (count, GLOBAL_BINS)).astype(np.float32),
        "local_view": rng.normal(0, 0.1, (count, LOCAL_BINS)).astype(np.float32) - np.eye(1, 61, 30, dtype=np.float32),
        "tic_id": np.arange(first, first + count) + 2**33,
        "row_id": np.arange(count),
        "Disposition": np.array([("PC", "EB", "J")[i % 3] for i in range(count)]),
        "Period": rng.uniform(1, 9, count).astype(np.float32),
        "Duration": rng.uniform(0.1, 0.2, count).astype(np.float32),
        "Transit_Depth": rng.uniform(500, 9000, count).astype(np.float32),
        "SN": rng.uniform(9, 90, count).astype(np.float32),
    }


def as_records(columns: dict[str, np.ndarray], spaces: bool = False) -> list[bytes]:
    names = {name: name.replace("_view", " view") if spaces else name for name in columns}
    count = len(columns["Disposition"])
    return [
        example({names[n]: str(v[i]) if v.dtype.kind == "U" else np.atleast_1d(v[i]) for n, v in columns.items()})
        for i in range(count)
    ]


def same(one: Labelled, other: Labelled) -> bool:
    rows = all(np.array_equal(getattr(one.rows, f), getattr(other.rows, f), equal_nan=True) for f in one.rows.__slots__)
    rest = ("planet", "reason", "tic", "source", "disposition", "period")
    return rows and all(np.array_equal(getattr(one, f), getattr(other, f)) for f in rest)


def test_a_clone_gives_exactly_the_rows_of_the_npz(tmp_path):
    columns = astronet_columns()
    np.savez(tmp_path / "astronet_triage_views.npz", **columns)
    messages = as_records(columns)
    clone = tmp_path / "Astronet-Triage" / "astronet" / "tfrecords"
    write_records(clone / "train-00000-of-00002", messages[:5])
    write_records(clone / "train-00001-of-00002", messages[5:9])
    write_records(clone / "val-00000-of-00001", messages[9:])
    of_npz, of_clone = (public_rows(place, "astronet-triage")[0] for place in (tmp_path, tmp_path / "Astronet-Triage"))
    assert same(of_npz, of_clone)
    assert same(of_npz, read_views(tmp_path / "astronet_triage_views.npz")[0])
    # an older copy of the records beside them: nobody can know which are meant
    write_records(tmp_path / "Astronet-Triage" / "old" / "test-00000-of-00001", messages)
    with pytest.raises(ViewsRefused, match="name the folder that is meant"):
        public_rows(tmp_path / "Astronet-Triage", "astronet-triage")
    assert same(of_npz, public_rows(clone, "astronet-triage")[0])


def test_several_clones_side_by_side_are_told_apart_by_what_they_hold(tmp_path):
    triage = astronet_columns()
    vetting = triage | {"secondary_view": triage["local_view"], "Disposition": np.array(["EB"] * 12)}
    nigraha = {
        "TIC_ID": np.arange(50, 58),
        "global_view": np.ones((8, GLOBAL_BINS), dtype=np.float32) - 2 * np.eye(8, GLOBAL_BINS, 100, dtype=np.float32),
        "local_view": np.ones((8, 81), dtype=np.float32) - 2 * np.eye(8, 81, 40, dtype=np.float32),
        "Disposition": np.array(["KP", "FP"] * 4),
        **{n: np.full(8, v, dtype=np.float32) for n, v in (("Period", 3.0), ("Duration", 2.0), ("T0", 1.0))},
        **{n: np.full(8, v, dtype=np.float32) for n, v in (("Depth", 0.99), ("DepthOdd", 0.99), ("DepthEven", 0.98))},
        **{n: np.full(8, v, dtype=np.float32) for n, v in (("snr", 20.0), ("TMag", 9.0))},
    }
    write_records(tmp_path / "a" / "test-00000-of-00001", as_records(triage))
    write_records(tmp_path / "b" / "test-00000-of-00001", as_records(vetting))
    large = tmp_path / "c" / "Large"
    write_records(large / "train" / "positive" / "toi-part-00000-of-00001.tfRecords", as_records(nigraha, True)[:4])
    write_records(large / "test" / "toi-test.tfRecords", as_records(nigraha, True)[4:])
    unlabelled = {n: v for n, v in nigraha.items() if n != "Disposition"}
    write_records(
        tmp_path / "c" / "predict" / "p.tfRecords",
        [example({n: np.atleast_1d(v[0]) for n, v in unlabelled.items()})],
    )
    rows = public_rows(tmp_path)[0]
    assert set(rows.disposition[rows.source == "astronet"]) == {"EB"}  # the later labels
    assert (rows.source == "nigraha").sum() == 8
    with pytest.raises(ViewsRefused, match=r"neither .* nor its records"):
        public_rows(tmp_path / "a", "nigraha")


# ------------------------------------------------------------------------------------------------------- splits


def test_the_leak_finder_finds_a_star_a_group_and_a_view_in_two_splits():
    data = assemble(make_rows(30), {}, [], {})
    assert leaks(data) == []
    split = data.split.copy()
    split[:] = "train"
    split[3] = "test"
    twice = data.labelled.take(np.array([*range(30), 3]))
    tic = replace(twice, tic=np.array([*range(30), 77]))
    group = np.array([*data.group, 900])
    weight = np.ones(31)
    # the same views under another star
    found = leaks(replace(data, labelled=tic, group=group, split=np.array([*split, "train"]), weight=weight))
    assert len(found) == 1
    assert found[0].startswith("views ")
    assert "train" in found[0]
    # the same star, and so the same group
    again = replace(data, labelled=twice, group=np.array([*data.group, data.group[3]]), weight=weight)
    assert {line.split()[0] for line in leaks(replace(again, split=np.array([*split, "train"])))} == {
        "TIC",
        "group",
        "views",
    }


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), cut=st.integers(5, 40))
def test_adding_data_never_moves_a_star_and_never_leaks(seed, cut):
    rng = np.random.default_rng(seed)
    everything = SMALL.take(rng.permutation(len(SMALL)))
    # neighbours at random, with periods that agree as often as not
    everything = replace(
        everything, tic=rng.permutation(len(SMALL)) + 1, period=rng.choice([2.0, 4.0, 7.3], len(SMALL))
    )
    stars = {int(t): {"ra": 10 + 0.05 * rng.integers(0, 60), "dec": 0.0} for t in everything.tic}
    old = assemble(everything.take(np.arange(cut)), stars, [3], {})
    settled = dict(zip(old.labelled.tic.tolist(), old.split.tolist(), strict=True))
    new = assemble(everything, stars, [3], {}, settled)
    assert leaks(old) == leaks(new) == []
    after = dict(zip(new.labelled.tic.tolist(), new.split.tolist(), strict=True))
    # but for the neighbours of a star that is held out: it must not be learnt from through them
    tied = set(new.labelled.tic[new.group == new.group[new.labelled.tic == 3][0]].tolist()) if 3 in after else set()
    assert all(after[star] == side for star, side in settled.items() if star not in tied)
    assert {after[star] for star in tied} <= {"test"}
    assert len(new) + new.notes.get("rows that would tie two splits together", 0) == len(everything)


SMALL = make_rows(60)


def test_simulated_rows_train_and_judge_nothing_beside_real_ones(tmp_path):
    real = write_snapshot(tmp_path, "public", make_rows(60), **ABOUT)
    host = make_rows(60, seed=5, source="injected")  # put into the same stars
    far = make_rows(20, first=900, seed=6, source="injected")
    made = write_snapshot(tmp_path, "injected", join_labelled([host, far]), **ABOUT)
    data = open_dataset([made, real])  # in any order
    alone = open_dataset(real)
    assert leaks(data) == []
    assert set(data.split[data.labelled.source == "injected"]) == {"train"}
    assert (data.labelled.tic[data.labelled.source == "injected"] >= 900).sum() == 20
    judged = ~np.isin(alone.split, ["train"])
    assert data.notes["rows for training only whose star is judged on"] == judged.sum()
    sides = dict(zip(data.labelled.tic.tolist(), data.split.tolist(), strict=True))
    assert all(sides[t] == s for t, s in zip(alone.labelled.tic.tolist(), alone.split.tolist(), strict=True))
    assert not data.synthetic
    # alone they are split like any other, and say that nothing in them is real
    only = open_dataset(made)
    assert set(only.split) == set(SPLITS)
    assert only.synthetic


def test_held_out_stars_lie_in_the_test_part_of_every_set(tmp_path):
    one = write_snapshot(tmp_path, "csv", make_rows(40, source="csv"), **ABOUT)
    two = write_snapshot(tmp_path, "toi", make_rows(40, seed=3, source="toi"), **ABOUT)
    data = open_dataset([one, two], held_out=range(1, 20))
    assert set(data.split[data.labelled.tic < 20]) == {"test"}
    assert leaks(data) == []


def test_nothing_of_the_real_sets_lies_on_two_sides_whatever_is_joined(shared_data, tmp_path):
    folder = shared_data / "labelled_views"
    together = public_dataset(folder, JUDGED)
    assert leaks(together) == []
    assert set(together.split[np.isin(together.labelled.tic, JUDGED)]) == {"test"}
    # the same stars as two sets, in the other order, with a signal put into each of fifty of them
    sets = []
    for name in ("nigraha", "astronet-triage"):
        rows, stars, notes = public_rows(folder, name)
        sets.append(write_snapshot(tmp_path, name, rows, stars=stars, dropped=notes, held_out=JUDGED, **ABOUT))
    hosts = np.unique(together.labelled.tic)[::200][:50]
    made = replace(make_rows(50, source="injected"), tic=hosts)
    sets.append(write_snapshot(tmp_path, "injected", made, **ABOUT))
    joined = open_dataset(sets, JUDGED)
    assert leaks(joined) == []
    assert set(joined.split[np.isin(joined.labelled.tic, JUDGED)]) == {"test"}
    assert set(joined.split[joined.labelled.source == "injected"]) == {"train"}
    alone = open_dataset(sets[0], JUDGED)
    side = dict(zip(joined.labelled.tic.tolist(), joined.split.tolist(), strict=True))
    moved = {int(t) for t, s in zip(alone.labelled.tic, alone.split, strict=True) if side[int(t)] != s}
    # none but neighbours of a star that is held out
    assert {str(side[t]) for t in moved} <= {"test"}


# ---------------------------------------------------------------------------------------------------- snapshots


def test_a_set_comes_back_to_the_last_bit_and_is_named_by_what_it_holds(tmp_path):
    rows = make_rows(40)
    stars = {5: {"ra": 10.0, "dec": -60.0}}
    extra = {"alias": np.linspace(0, 1, 40), "what": np.array(["planet", "wrong signal"] * 20)}
    folder = write_snapshot(tmp_path, "csv", rows, stars=stars, extra=extra, dropped={"too short": 3}, **ABOUT)
    found = read_snapshot(folder)
    assert same(found.labelled, rows)
    assert found.stars == stars
    assert found.extra["what"].tolist() == extra["what"].tolist()
    assert np.array_equal(found.extra["alias"], extra["alias"])
    assert folder.name == f"csv-{found.id[:12]}"
    assert found.card["labels"] == {"EB": 13, "J": 13, "PC": 14}
    assert sum(n for part in found.card["splits"].values() for n in part.values()) == 40
    assert found.card["dropped"] == {"too short": 3}
    # again: the same name, and not written twice
    stamp = (folder / ROWS).stat().st_mtime_ns
    assert write_snapshot(tmp_path, "csv", rows, stars=stars, extra=extra, dropped={"too short": 3}, **ABOUT) == folder
    assert (folder / ROWS).stat().st_mtime_ns == stamp
    # other content or origin: another name
    others = {
        write_snapshot(tmp_path, "csv", rows.take(np.arange(39)), **ABOUT).name,
        write_snapshot(tmp_path, "csv", rows, **ABOUT | {"settings": {"seed": 2}}).name,
        write_snapshot(tmp_path, "csv", rows, **ABOUT).name,
        folder.name,
    }
    assert len(others) == 4
    assert {path.name for path, card, problem in list_snapshots(tmp_path) if card and problem is None} == others


@pytest.mark.parametrize("where", [0.01, 0.5, 0.999])
def test_a_flipped_byte_in_a_set_is_refused(tmp_path, where):
    folder = write_snapshot(tmp_path, "csv", make_rows(12), **ABOUT)
    data = bytearray((folder / ROWS).read_bytes())
    data[int(where * len(data))] ^= 4
    (folder / ROWS).write_bytes(data)
    with pytest.raises(ViewsRefused, match="sha256 differs"):
        read_snapshot(folder)


def test_a_card_that_was_changed_is_refused(tmp_path):
    folder = write_snapshot(tmp_path, "csv", make_rows(12), **ABOUT)
    card = json.loads((folder / CARD).read_text())
    for change in (
        {"licence": "public domain"},
        {"origin": []},
        {"words": card["words"] | {"disposition": ["EB"] * 3}},
    ):
        (folder / CARD).write_text(json.dumps(card | change))
        with pytest.raises(ViewsRefused, match="the id differs"):
            read_snapshot(folder)
    (folder / CARD).write_text(json.dumps(card | {"format": 99}))
    with pytest.raises(ViewsRefused, match="has format 99"):
        read_snapshot(folder)
    (folder / CARD).write_text("[1]")
    with pytest.raises(ViewsRefused, match="not the card"):
        read_snapshot(folder)


def test_a_set_without_rows_or_with_nan_views_is_not_written(tmp_path):
    rows = make_rows(3)
    with pytest.raises(ViewsRefused, match=r"no row is left .*\(too short: 3\)"):
        write_snapshot(tmp_path, "csv", rows.take(np.arange(0)), dropped={"too short": 3}, **ABOUT)
    rows.rows.local_flux[1, 4] = np.nan
    with pytest.raises(ViewsRefused, match="local_flux holds values that are not finite"):
        write_snapshot(tmp_path, "csv", rows, **ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_a_set_of_the_public_views_is_the_folder_they_came_from(tmp_path):
    np.savez(tmp_path / "astronet_triage_views.npz", **astronet_columns(40))
    labelled, stars, notes = public_rows(tmp_path)
    folder = write_snapshot(tmp_path / "sets", "public", labelled, stars=stars, dropped=notes, **ABOUT)
    direct, built = public_dataset(tmp_path, [2**33 + 4]), open_dataset(folder, [2**33 + 4])
    assert direct.id == built.id == open_dataset(tmp_path, [2**33 + 4]).id
    assert direct.sets == tuple(LICENCES.values())[:2]  # AstroNet's alone are here


def test_a_folder_that_is_no_set_is_refused(tmp_path):
    with pytest.raises(ViewsRefused, match="nor a built data set"):
        open_dataset(tmp_path)
    with pytest.raises(ViewsRefused, match="nor a built data set"):
        open_dataset([tmp_path, tmp_path])
    with pytest.raises(ViewsRefused, match="no data set is here"):
        read_snapshot(tmp_path)


# ---------------------------------------------------------------------------------------------------------- CSV


def write_table(path: Path, rows: list[dict]) -> Path:
    with open(path, "w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def table_row(seed: int = 0, **changes) -> dict:
    signal = make_signal(seed)
    cells = {f"global_{k}": repr(float(v)) for k, v in enumerate(signal.global_flux)}
    cells |= {f"local_{k}": repr(float(v)) for k, v in enumerate(signal.local_flux)}
    return cells | {"centroid_offset": "1.5", "label": "planet"} | changes


def test_a_table_gives_the_rows_of_its_views(tmp_path):
    path = write_table(
        tmp_path / "t.csv",
        [
            table_row(k, label=word, tic=str(k + 1), period="3.5", depth="0.01")
            for k, word in enumerate(("PC", "eb", "Junk"))
        ],
    )
    rows, stars, notes = read_table(path)
    assert rows.disposition.tolist() == ["PC", "EB", "J"]
    assert rows.tic.tolist() == [1, 2, 3]
    assert scalar(rows.rows, "centroid_offset").tolist() == [1.5] * 3
    assert scalar(rows.rows, "log10_period") == pytest.approx(np.log10(3.5))
    bare = [replace(make_signal(k), odd_filled=np.zeros(256, bool), even_filled=np.zeros(256, bool)) for k in range(3)]
    expected = label(bare, [1, 2, 3], [3.5] * 3, ["PC", "EB", "J"], "csv")
    assert rows.rows.local_flux == pytest.approx(expected.rows.local_flux, abs=1e-6)
    assert rows.rows.global_flux == pytest.approx(expected.rows.global_flux, abs=1e-6)
    assert not rows.rows.odd_filled.any()
    assert (stars, notes) == ({}, {})


def test_a_table_may_name_files_instead(tmp_path):
    signal = make_signal(1)
    np.savez(tmp_path / "a.npz", **{"global": signal.global_flux, "local": signal.local_flux, "odd": signal.odd_flux})
    path = write_table(tmp_path / "t.csv", [{"path": "a.npz", "label": "KP", "centroid_offset": "", "tic": "7"}])
    rows, _, _ = read_table(path)
    assert rows.planet.tolist() == [True]
    assert (rows.rows.odd_filled > 0).all()
    assert not (rows.rows.even_filled > 0).any()
    assert np.isnan(scalar(rows.rows, "centroid_offset")).all()


def test_rows_without_a_star_are_stars_of_their_own(tmp_path):
    rows, _, notes = read_table(write_table(tmp_path / "t.csv", [table_row(k) for k in (0, 1, 0)]))
    assert (rows.tic < 0).all()
    assert rows.tic[0] == rows.tic[2] != rows.tic[1]
    assert notes == {"rows without a star (kept, each its own)": 3}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label": "comet"}, "row 2, column label: 'comet' is unknown"),
        ({"global_7": "nan"}, "row 2, column global_7: nan is not finite"),
        ({"local_255": ""}, "row 2, column local_255: is empty"),
        ({"local_3": "deep"}, "row 2, column local_3: 'deep' is no number"),
        ({"centroid_offset": "inf"}, "row 2, column centroid_offset: inf is not finite"),
        ({"tic": "-4"}, "row 2, column tic: '-4' is no TIC"),
    ],
)
def test_a_wrong_cell_is_refused_with_its_row_and_column(tmp_path, changes, words):
    path = write_table(tmp_path / "t.csv", [table_row(tic="1"), table_row(tic="2") | changes])
    with pytest.raises(ViewsRefused, match=words):
        read_table(path)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda row: row.pop("global_2047"), "1 columns of the views are missing, the first is global_2047"),
        (lambda row: row.pop("label"), "column label is missing"),
        (lambda row: row.update(global_2048="0"), "unknown column global_2048"),
        (lambda row: row.update(path="a.npz"), "one or the other"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path, edit, words):
    row = table_row()
    edit(row)
    with pytest.raises(ViewsRefused, match=words):
        read_table(write_table(tmp_path / "t.csv", [row]))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"local": np.zeros(256)}, "holds no array global"),
        ({"global": np.zeros(2000), "local": np.zeros(256)}, r"global of .* has shape \(2000,\), not \(2048,\)"),
        ({"global": np.full(2048, np.nan), "local": np.zeros(256)}, "global of .* is not finite in bin 0"),
        ({"global": np.array([{}] * 2048), "local": np.zeros(256)}, "no npz of plain arrays"),
        ({"global": np.zeros(2048), "local": np.zeros(256), "extra": np.zeros(3)}, "unknown array extra"),
    ],
)
def test_a_wrong_file_of_a_row_is_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ViewsRefused, match=f"row 1, column path: .*{words}"):
        read_table(write_table(tmp_path / "t.csv", [{"path": "a.npz", "label": "KP"}]))


def test_a_file_that_is_no_table_is_refused(tmp_path):
    for name, data in (("empty.csv", b""), ("binary.csv", b"\xff\xfe\x00label"), ("head.csv", b"label,path\n")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ViewsRefused, match=r"missing|cannot be read|holds no row"):
            read_table(tmp_path / name)
    with pytest.raises(ViewsRefused, match="cannot be read"):
        read_table(tmp_path / "nowhere.csv")


def test_labels_are_known_by_code_and_by_word():
    assert [label_named(w) for w in ("pc", "Eclipsing Binary", "false-alarm", "IS", "V", "?")] == [
        "PC",
        "EB",
        "FA",
        "IS",
        "V",
        None,
    ]
