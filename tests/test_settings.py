"""Settings: what wins over what, and how a mistake is answered."""

import os
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunter import settings
from hunter.settings import SettingsError, load


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("HUNTER_"):
            monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path):
    def put(text):
        (tmp_path / "hunter.toml").write_text(text)
        return str(tmp_path)

    return put


def refusal(home, **options):
    with pytest.raises(SettingsError) as caught:
        load(home, options.pop("overrides", None), **options)
    return str(caught.value)


def test_a_home_without_a_file_runs_on_the_defaults(tmp_path):
    found = load(str(tmp_path))
    assert found.file is None
    assert found.hunt.threshold == 0.85
    assert found.database == str(tmp_path / "state" / "hunter.sqlite")


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(write, monkeypatch):
    home = write("[hunt]\nthreshold = 0.5\n[search]\nsnr = 6.0\n[compute]\nworkers = 1\n")
    monkeypatch.setenv("HUNTER_SEARCH__SNR", "7.5")
    monkeypatch.setenv("HUNTER_COMPUTE__WORKERS", "2")
    found = load(home, {"compute.workers": 3, "search.period_min": None})
    assert (found.hunt.threshold, found.search.snr, found.compute.workers) == (0.5, 7.5, 3)


def test_an_unknown_key_is_answered_with_its_line_and_the_nearest_name(write):
    assert refusal(write("[search]\n\nsnrr = 7\n")) == (
        "hunter.toml:3: [search] unknown key 'snrr' (did you mean 'snr'?)"
    )


def test_an_unknown_table_is_answered_with_its_line_and_the_nearest_name(write):
    assert (
        refusal(write("[hunt]\n[serch]\nsnr = 7\n")) == "hunter.toml:2: unknown table [serch] (did you mean 'search'?)"
    )


def test_light_commands_too_refuse_an_unknown_table(write):
    assert "unknown table [serch]" in refusal(write("[serch]\n"), light=True)


def test_a_value_of_the_wrong_type_names_place_value_and_default(write):
    line = refusal(write('[compute]\nworkers = "two"\n'))
    assert line.startswith('hunter.toml:2: [compute] workers = "two": ')
    assert line.endswith("(default 0)")


@pytest.mark.parametrize("value", ["1.5", "-0.1", "nan", "inf", "true", '"0.9"'])
def test_a_probability_out_of_range_or_no_number_is_refused(write, value):
    assert "[hunt] threshold" in refusal(write(f"[hunt]\nthreshold = {value}\n"))


def test_all_mistakes_are_told_at_once(write):
    told = refusal(write("[hunt]\nthreshold = 2\ncombin = 'all'\n[compute]\nbatch = 0\n")).splitlines()
    assert len(told) == 3


def test_broken_toml_is_one_line_with_the_file(write):
    told = refusal(write("[hunt\nthreshold = 2\n"))
    assert "hunter.toml: not TOML" in told
    assert "\n" not in told


def test_a_wrong_variable_in_the_environment_is_named(write, monkeypatch):
    monkeypatch.setenv("HUNTER_SEARCH__SNRR", "8")
    assert "HUNTER_SEARCH__SNRR: [search] unknown key 'snrr' (did you mean 'snr'?)" in refusal(write(""))


def test_text_in_the_environment_needs_no_quotes(write, monkeypatch):
    monkeypatch.setenv("HUNTER_COMPUTE__BACKEND", "numpy")
    assert load(write("")).compute.backend == "numpy"


def test_the_nearest_folder_upwards_with_a_file_is_the_home(write, tmp_path, monkeypatch):
    write('[paths]\nhome = "hunt"\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert load().home == tmp_path / "hunt"


def test_without_any_home_the_cure_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "hunter init" in refusal(None)


def test_a_relative_archive_starts_at_the_file(write, tmp_path):
    assert load(write('[archive]\nsource = "curves"\n')).archive.source == str(tmp_path / "curves")


def test_changing_a_setting_changes_the_digest_of_its_table_alone(write):
    one, other = load(write("")), load(write("[search]\nsnr = 9.0\n"))
    assert one.digest("search") != other.digest("search")
    assert one.digest("clean", "detrend") == other.digest("clean", "detrend")


def test_a_password_in_the_database_url_is_never_shown(write):
    found = load(write('[state]\nurl = "postgresql+psycopg://hunter:secret@db/hunt"\n'))
    assert "secret" not in str(found.as_dict())


def test_the_template_documents_every_setting_and_is_itself_valid(tmp_path):
    text = settings.template()
    for table, key, _ in settings.known_keys():
        section = text.partition(f"[{table}]\n")[2].partition("\n[")[0].splitlines()
        number = next(n for n, line in enumerate(section) if line.removeprefix("# ").startswith(f"{key} = "))
        above = section[number - 1] if number else ""
        assert "  # " in section[number] or above.endswith(":"), f"[{table}] {key} has no comment beside it"
    (tmp_path / "hunter.toml").write_text(text)
    assert load(str(tmp_path)).hunt.threshold == 0.85


def test_every_default_in_the_template_is_the_default_in_force(tmp_path):
    text = settings.template()
    defaults = [line for line in text.splitlines()[2:] if re.match(r"# \w+ = [^ ]", line)]
    assert len(defaults) > 50
    wakened = re.sub(r"(?m)^# (\w+ = [^ ])", r"\1", text.split("\n", 2)[2])
    (tmp_path / "hunter.toml").write_text(wakened)
    found, plain = load(str(tmp_path)), load(str(tmp_path / "elsewhere"))
    assert found.digest(*settings.DECISIVE) == plain.digest(*settings.DECISIVE)


@given(st.text(max_size=200))
def test_any_text_at_all_is_settings_or_a_refusal(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("wild")
    (folder / "hunter.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(SettingsError):  # anything else fails the test
        load(str(folder), light=True)
