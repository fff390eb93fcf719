"""What a hunt remembers: nouns come back as they were, the same value has the same bytes, nothing foreign is read."""

import dataclasses
import io
import json
import pickle
import types
import typing
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hunter.archives.base import Fetched
from hunter.checkpoints import NOUNS, Damaged, decode, digest_of, encode, files_of, inputs_of
from pipeline.types import Finding, LightCurve, Star, TransitSignal, Verdict

RECORDS = sorted(name for name, noun in NOUNS.items() if dataclasses.is_dataclass(noun))
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
AWKWARD = np.array([0.0, -0.0, 1.0, np.nan, np.inf, -np.inf, 5e-324])
CURVE = LightCurve(np.arange(7) / 3.0, 1 + np.sin(np.arange(7.0)), np.full(7, 5e-324))  # it refuses what is awkward


def same(one: object, other: object) -> bool:
    """Whether two values are the same bit for bit; NaN is NaN, and -0 is not 0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, part.name), getattr(other, part.name)) for part in dataclasses.fields(one))
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return repr(one) == repr(other)


def example(kind: object, within: tuple[object, ...] = ()) -> object:
    """A value of an annotated type, from the annotation alone, so that no noun to come is forgotten."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return example(next(part for part in inside if part not in within), within)  # a noun may hold its own kind
    if origin is np.ndarray:
        wanted = typing.get_args(inside[1])[0] if typing.get_args(inside[1]) else np.float64
        name = str(wanted)
        if "bool" in name:
            return np.array([True, False])
        return np.arange(7) if "int" in name else AWKWARD
    if origin is tuple:
        return (
            (example(inside[0], within),) * 2
            if inside[-1] is Ellipsis
            else tuple(example(part, within) for part in inside)
        )
    if origin in (dict, typing.get_origin(typing.Mapping[str, int])):
        return {"a": example(inside[1], within) if len(inside) > 1 else 1.5}
    if origin is typing.Literal:
        return inside[0]
    if kind is LightCurve:
        return CURVE
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{part.name: example(hints[part.name], (*within, kind)) for part in dataclasses.fields(kind)})
    if isinstance(kind, type) and issubclass(kind, str) and kind is not str:
        return next(iter(kind))
    if kind is object or kind is typing.Any:
        return {"deep": [1, None, "ü", (2.5, False)]}
    return {str: "TIC 1 \0 \u2603", int: -3, float: float("nan"), bool: True, types.NoneType: None}[kind]


@pytest.mark.parametrize("name", RECORDS)
def test_every_noun_comes_back_bit_for_bit(name):
    value = example(NOUNS[name])
    data = encode(value)
    assert same(decode(data), value)
    assert encode(decode(data)) == data


@pytest.mark.parametrize("name", sorted(set(NOUNS) - set(RECORDS)))
def test_every_word_of_every_enumeration_comes_back(name):
    for word in NOUNS[name]:
        assert decode(encode(word)) is word


@settings(max_examples=60, deadline=None)
@given(
    array=st.one_of(
        arrays(np.float64, st.integers(0, 40), elements=NUMBERS),
        arrays(np.float32, st.tuples(st.integers(0, 5), st.integers(0, 5)), elements=st.floats(width=32)),
        arrays(np.bool_, st.integers(0, 40)),
        arrays(np.int64, st.integers(0, 40)),
    )
)
def test_any_array_comes_back_bit_for_bit_nan_and_infinities_too(array):
    assert same(decode(encode((array, {"again": array}))), (array, {"again": array}))


LONG = st.one_of(
    arrays(np.float64, 200, elements=st.sampled_from([0.0, -0.0, np.nan, 1.5])),
    arrays(np.float64, st.integers(64, 300), elements=st.floats(width=32)),
    arrays(np.float64, st.integers(64, 300), elements=NUMBERS),
    arrays(np.int64, st.integers(64, 300), elements=st.integers(-(2**62), 2**62)),
    st.tuples(st.sampled_from([0.0, -0.0, np.nan, -1e300]), st.integers(1, 400)).map(
        lambda run: np.full(run[1], run[0])
    ),
    st.lists(st.integers(40, 90), max_size=4).map(lambda runs: np.repeat(np.arange(len(runs)), runs)),
    st.integers(64, 200).map(lambda n: np.arange(3.0 * n)[::3]),  # with steps in memory
)


@settings(max_examples=150, deadline=None)
@given(one=LONG, other=LONG)
def test_long_arrays_come_back_bit_for_bit_however_they_are_packed(one, other):
    value = (one, [other, one.copy(), other.astype(other.dtype)], {"again": one})
    data = encode(value)
    assert same(decode(data), value)
    assert encode(decode(data)) == data


def test_what_says_little_takes_little_room():
    noise = np.random.default_rng(1).normal(1, 1e-3, 18_000)
    plain, single = len(encode(noise)), len(encode(noise.astype(np.float32).astype(np.float64)))
    assert single < 0.51 * plain
    assert len(encode([noise, noise.copy()])) < 1.01 * plain
    assert len(encode([noise, np.full(18_000, 120 / 86400), np.repeat(np.arange(52), 350)])) < 1.03 * plain


@pytest.mark.parametrize("lengths", [[-1, 3], [2**62, 1], [0, 1], [2**62, 2**62], [1]])
def test_forged_lengths_of_runs_are_damage(lengths):
    with pytest.raises(Damaged):
        decode(forged({"runs": "a0", "lengths": "a1"}, a0=np.array([1.0, 2.0]), a1=np.array(lengths)))


TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), NUMBERS, st.text(), st.sampled_from(Verdict)),
    lambda part: st.one_of(
        st.lists(part),
        st.lists(part).map(tuple),
        st.dictionaries(st.one_of(st.text(), st.integers()), part),
    ),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(tree=TREES)
def test_any_tree_of_plain_values_comes_back_even_if_it_looks_like_ours(tree):
    for value in (tree, {"noun": "Star", "fields": tree}, {"array": "a0", "dict": tree}):
        assert same(decode(encode(value)), value)


def test_the_same_value_has_the_same_bytes_whenever_it_is_stored():
    data = encode((CURVE, Star(tmag=9.5)))
    again = LightCurve(CURVE.time.copy(), CURVE.flux[:], CURVE.flux_err.copy())
    assert encode((again, Star(tmag=9.5))) == data
    # the names of the parts and their times would be the first to differ from day to day
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        assert [(part.filename, part.date_time[0]) for part in parts.infolist()] == [
            ("tree.npy", 1980),
            ("a0.npy", 1980),
            ("a1.npy", 1980),
            ("a2.npy", 1980),
        ]


def test_numpy_numbers_come_back_as_plain_ones():
    found = decode(encode((np.float64(1.5), np.int32(3), np.bool_(True))))
    assert [type(part) for part in found] == [float, int, bool]


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 3j, ValueError("x"), print])
def test_what_is_no_noun_is_not_stored(value):
    with pytest.raises(TypeError):
        encode((1, value))


def test_an_array_of_objects_is_not_stored():
    with pytest.raises(TypeError, match="pickle"):
        encode(np.array([object()], dtype=object))


def forged(tree: object, **more: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez(out, tree=np.frombuffer(json.dumps(tree).encode(), dtype=np.uint8), **more)
    return out.getvalue()


@pytest.mark.parametrize(
    "tree",
    [
        {"noun": "Path", "fields": {}},
        {"noun": "os.system", "fields": {"command": "true"}},
        {"noun": "Star", "fields": {"mass_of_the_moon": 1}},
        {"noun": "Star", "fields": []},
        {"noun": "Verdict", "fields": {"value": "pass"}},
        {"noun": ["Star"], "fields": {}},
        {"enum": "Verdict", "value": "maybe"},
        {"enum": "Star", "value": 1},
        {"enum": "nothing"},
        {"array": "a7"},
        {"array": []},
        {"tuple": 5},
        {"dict": [[[], 1]]},
        {"dict": 3},
        {"unknown": 1},
        {},
    ],
)
def test_a_forged_tree_builds_nothing(tree):
    with pytest.raises(Damaged):
        decode(forged(tree))


def test_a_tree_deeper_than_any_of_ours_is_damage_not_a_crash():
    deep = b"[" * 100_000 + b"]" * 100_000
    out = io.BytesIO()
    np.savez(out, tree=np.frombuffer(deep, dtype=np.uint8))
    with pytest.raises(Damaged):
        decode(out.getvalue())


def test_a_pickle_is_never_opened(tmp_path):
    touched = tmp_path / "touched"

    class Trap:
        def __reduce__(self):
            return (touched.touch, ())

    out = io.BytesIO()
    text = np.frombuffer(json.dumps({"array": "a0"}).encode(), dtype=np.uint8)
    np.savez(out, tree=text, a0=np.array([Trap()], dtype=object))
    for data in (out.getvalue(), pickle.dumps(Trap())):
        with pytest.raises(Damaged):
            decode(data)
    assert not touched.exists()


WHOLE = encode((CURVE, AWKWARD, TransitSignal(3.0, 1.5, 0.1, 1e-3, 12.0)))


@settings(max_examples=100, deadline=None)
@given(length=st.integers(0, len(WHOLE) - 1))
def test_a_truncated_result_is_damaged(length):
    with pytest.raises(Damaged):
        decode(WHOLE[:length])


@settings(max_examples=100, deadline=None)
@given(
    data=st.one_of(
        st.binary(),
        st.binary().map(lambda tail: b"PK\x03\x04" + tail),
        st.binary().map(lambda tail: b"\x93NUMPY" + tail),
    )
)
def test_random_bytes_are_damaged(data):
    with pytest.raises(Damaged):
        decode(data)


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, len(WHOLE) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_is_damage_or_a_value_and_nothing_else(place, bit):
    bad = bytearray(WHOLE)
    bad[place] ^= 1 << bit
    with suppress(Damaged):  # any other exception would end the hunt
        decode(bytes(bad))  # the sha256 of the record catches what the zip's own sums let through


def test_the_digest_of_the_files_does_not_hang_on_the_settings():
    assert files_of(inputs_of("files", "one")) == files_of(inputs_of("files", "other"))
    assert files_of(inputs_of("files", "one")) != files_of(inputs_of("others", "one"))
    assert inputs_of("files", "one") != inputs_of("files", "other")
    assert digest_of("a", "b") != digest_of("ab", "")


def test_every_result_of_the_chain_is_a_noun_it_may_store():
    for noun in (Fetched, LightCurve, TransitSignal, Finding):
        assert NOUNS[noun.__name__] is noun
