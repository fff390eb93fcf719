"""What is written is true: every command, option, setting, link and folder that the documents name exists."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer

from hunter import settings
from hunter.cli import app

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = typer.main.get_command(app)
SHELL_ENDS = {"|", "||", "&&", ";", ">", ">>", "2>", "&"}


def every_command(command=COMMAND, path=()):
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from every_command(below, (*path, name))
    else:
        yield path


def code_lines(page):
    """The lines of all fenced blocks, a trailing backslash joined."""
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", page.read_text(), re.M | re.S):
        yield from block.replace("\\\n", " ").splitlines()


def hunter_calls(lines):
    """The words of each call of ``hunter`` in lines of shell."""
    for line in lines:
        words = shlex.split(line, comments=True)
        while words:
            end = next((n for n, word in enumerate(words) if word in SHELL_ENDS), len(words))
            call, words = words[:end], words[end + 1 :]
            call = call[1:] if call[:1] == ["$"] else call
            while call and re.fullmatch(r"\w+=.*", call[0]):
                call = call[1:]
            if call and Path(call[0]).name == "hunter":
                yield call[1:]


def mistakes_in(words):
    """What of one call does not exist: the command or its options."""
    command, rest = COMMAND, list(words)
    while hasattr(command, "commands"):
        if not rest or rest[0].startswith("-"):
            break
        if rest[0] not in command.commands:
            return [f"no command {rest[0]!r} in: hunter {' '.join(words)}"]
        command = command.commands[rest.pop(0)]
    known = {"--help", "--debug"} | {option for parameter in command.params for option in parameter.opts}
    asked = [word.partition("=")[0] for word in rest if re.match(r"--?[a-zA-Z]", word)]
    return [f"no option {word} in: hunter {' '.join(words)}" for word in asked if word not in known]


def every_call(page):
    inline = re.findall(
        r"(?<!`)`(hunter(?: [^`]+)?)`(?!`)", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    )
    return [*hunter_calls(code_lines(page)), *hunter_calls(inline)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_that_a_page_shows_exists(page):
    calls = every_call(page)
    if page == README:
        assert len(calls) > 15
    assert [mistake for call in calls for mistake in mistakes_in(call)] == []


def test_a_command_or_option_that_does_not_exist_is_noticed():
    assert mistakes_in(["statsu"])
    assert mistakes_in(["run", "--home", "x", "--limt", "3"])
    assert mistakes_in(["export", "lgo"])
    assert not mistakes_in(["export", "log", "--out", "-"])
    told = [*hunter_calls(["$ HUNTER_HOME=x hunter status --json | jq .total  # so", "cd x && hunter run"])]
    assert told == [["status", "--json"], ["run"]]


def test_every_command_appears_in_the_readme():
    text = README.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `hunter ")]
    missing = []
    for path in every_command():
        mine = [row for row in rows if re.search(rf"`hunter {path[0]}\b", row)]
        if not mine or (len(path) > 1 and not any(re.search(rf"[` ]{path[1]}`", row) for row in mine)):
            missing.append(" ".join(path))
    assert missing == []


def test_every_example_in_the_help_is_itself_a_valid_call():
    wrong = []
    for path in every_command():
        command = COMMAND
        for name in path:
            command = command.commands[name]
        examples = [line.strip() for line in command.help.partition("Examples:")[2].splitlines() if line.strip()]
        wrong += [mistake for call in hunter_calls(examples) for mistake in mistakes_in(call)]
    assert wrong == []


def test_the_settings_file_is_the_template_of_the_code():
    assert (ROOT / "hunter.toml").read_text() == settings.template("hunt")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_a_page_names_exists(page):
    known = {(table, key) for table, key, _ in settings.known_keys()}
    named = re.findall(r"`\[(\w+)\] (\w+)", page.read_text())
    assert [name for name in named if name not in known] == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_link_within_the_repository_leads_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"\w+:", link)]
    broken = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = page if not path else page.parent / path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def anchors(page):
    """The names under which a page's headings can be linked."""
    headings = re.findall(r"^#+ +(.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_map_of_the_house_matches_the_tree():
    text = README.read_text().partition("## The house")[2].partition("\n## ")[0]
    mapped = set(re.findall(r"^\| `(\w+)/`", text, re.M))
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    folders = {name.split("/")[0] for name in tracked if "/" in name and not name.startswith(".")}
    assert mapped == folders
    for path in re.findall(
        r"`((?:hunter|pipeline|models|candidates|state|tests|benchmarks|docs)/[^`* ]+)`", README.read_text()
    ):
        assert (ROOT / path).exists() or path in ("candidates/index.html",), path


def test_the_changelog_has_a_section_for_what_stands_here():
    from hunter import __version__

    headings = re.findall(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert {"Unreleased", __version__} & set(headings)
