"""A client of Zenodo's deposit interface: one bundle becomes one deposit, however often it is interrupted.

Everything goes out through the one door, with its manners and retries. What is asked twice by mistake must do nothing
twice: a deposit is made by a single request that carries the mark of its bundle, and whoever does not know whether
that request arrived looks for the mark before making another. Files are compared by md5 before and after. Nothing is
published unless that is asked for in so many words.

The token is handed in, travels in a header to the one host, and is written nowhere.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import requests
from requests.auth import AuthBase

from candidates.bundle import Bundle, marker, md5_of, pieces
from candidates.files import Step, nothing, write_durably
from hunter.network.door import FILES, PORTAL, Door
from hunter.network.errors import ArchiveUnavailable, Denied, Faltered, Missing, shown

DEPOSITS = "/api/deposit/depositions"
PAGE = 100  # deposits in one answer
MOST_PAGES = 20
UPLOADS = 3  # of one file whose checksum is not what was sent


class DepositFailed(ArchiveUnavailable):
    """The deposit could not be made or finished; one line, and what was done stays done."""


@dataclass(frozen=True, slots=True)
class Deposit:
    """Where a bundle stands at an archive."""

    number: int
    page: str  # for a person
    published: bool
    doi: str  # reserved before publication, in force after


class _Bearer(AuthBase):
    """The token as a header; said explicitly, so that no .netrc takes its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Body:
    """A file as the body of a request, read anew by each attempt."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __len__(self) -> int:
        return self._path.stat().st_size

    def __iter__(self) -> Iterator[bytes]:
        yield from pieces(self._path)


class Zenodo:
    """One Zenodo, as one person's token sees it.

    Parameters
    ----------
    door : Door
    url : str
        ``https://sandbox.zenodo.org``, or another of its kind.
    token : str
    """

    def __init__(self, door: Door, url: str, token: str) -> None:
        self._door, self.url, self._auth = door, url.rstrip("/"), _Bearer(token)

    # ---- the whole

    def send(
        self,
        bundle: Bundle,
        publish: bool = False,
        say: Callable[[str], None] = lambda line: None,
        step: Step = nothing,
    ) -> Deposit:
        """Make the deposit of a bundle, or go on with the one that was begun; publish it if asked to.

        Parameters
        ----------
        bundle : Bundle
        publish : bool
            Without it the deposit stays a draft that only its owner sees.
        say : callable
            Told each thing that is done, in a line.
        step : callable
            Called at every boundary: ``"deposit known"``, ``"metadata sent"``, ``"file sent"`` and ``"published"``.

        Raises
        ------
        DepositFailed
            With the reason and the cure. Called again, it goes on from there.
        """
        with self._door.asking(), _alone(bundle.folder):
            try:
                return self._send(bundle, publish, say, step)
            except Missing as error:
                raise DepositFailed(f"{error}: is {self.url} a Zenodo, and the deposit still there?") from None

    def _send(self, bundle: Bundle, publish: bool, say: Callable[[str], None], step: Step) -> Deposit:
        found = self._known(bundle, say)
        if found is None:
            found = self._create(bundle, say)
        self._remember(bundle, found)
        step("deposit known")
        if found["submitted"]:
            say(f"deposit {found['id']} is published already: nothing was sent")
            return _deposit(found, self.url)
        found = self._put(f"{DEPOSITS}/{found['id']}", {"metadata": dict(bundle.metadata)})
        step("metadata sent")
        self._upload(bundle, found, say, step)
        if publish:
            found = self._publish(found, say)
            self._remember(bundle, found)
            step("published")
        return _deposit(found, self.url)

    # ---- the deposit

    def _state(self, bundle: Bundle) -> Path:
        """Where it is kept which deposit was begun; a file for each archive."""
        return bundle.folder / f"deposit-{(urlsplit(self.url).netloc or 'archive').replace(':', '-')}.json"

    def _remember(self, bundle: Bundle, found: Mapping[str, Any]) -> None:
        told = {"url": self.url, "bundle": bundle.key, "deposit": found["id"], "published": bool(found["submitted"])}
        write_durably(self._state(bundle), json.dumps(told, indent=1).encode() + b"\n")

    def _known(self, bundle: Bundle, say: Callable[[str], None]) -> dict[str, Any] | None:
        """The deposit that was begun, by our own note or by the mark on it."""
        try:
            number = json.loads(self._state(bundle).read_bytes())["deposit"]
        except (OSError, ValueError, KeyError, TypeError):
            number = None
        if isinstance(number, int):
            try:
                return self._get(f"{DEPOSITS}/{number}")
            except Missing:
                say(f"deposit {number} is not there any more")
        return self._marked(bundle)

    def _marked(self, bundle: Bundle) -> dict[str, Any] | None:
        """The newest of the person's deposits that carries the mark of this bundle."""
        mark = marker(bundle.key)
        for page in range(1, MOST_PAGES + 1):
            listed = self._get(f"{DEPOSITS}?size={PAGE}&page={page}&sort=mostrecent", list)
            for one in listed:
                if mark in str((one.get("metadata") or {}).get("notes", "")):
                    return _sound(one)
            if len(listed) < PAGE:
                return None
        return None

    def _create(self, bundle: Bundle, say: Callable[[str], None]) -> dict[str, Any]:
        """Make a deposit by a request that is never repeated blindly: it may have arrived though no answer came."""
        for attempt in range(1, self._door.settings.attempts + 1):
            try:
                made = self._ask("POST", DEPOSITS, json={"metadata": dict(bundle.metadata)}, attempts=1)
            except Faltered as error:
                if attempt == self._door.settings.attempts:
                    raise DepositFailed(f"{error}; no deposit is known to have been made: try again later") from None
                self._door.faltered(self.url, attempt)
                found = self._marked(bundle)
                if found is not None:
                    return found
                continue
            say(f"deposit {made['id']} made")
            return made
        raise AssertionError("not reached")

    def _upload(self, bundle: Bundle, found: Mapping[str, Any], say: Callable[[str], None], step: Step) -> None:
        """Send each file that is not there whole; afterwards hold the archive's list against ours."""
        wanted = {path.name: (path, md5_of(path)) for path in bundle.files}
        there = self._files(found)
        for name, (path, md5) in wanted.items():
            if there.get(name) == md5:
                continue
            for attempt in range(1, UPLOADS + 1):
                if self._send_file(found, path) == md5:
                    break
                if attempt == UPLOADS:
                    raise DepositFailed(
                        f"{shown(self.url)}: {name} arrives damaged: {UPLOADS} times another checksum; the draft "
                        f"{found['id']} is kept unpublished: try again later"
                    )
            say(f"{name} sent")
            step("file sent")
        there = self._files(self._get(f"{DEPOSITS}/{found['id']}"))
        wrong = [name for name, (_, md5) in wanted.items() if there.get(name) != md5] + sorted(set(there) - set(wanted))
        if wrong:
            raise DepositFailed(
                f"{shown(self.url)}: the draft {found['id']} does not hold exactly our files ({', '.join(wrong)}): "
                "look at it there, take away what is not ours, and send again"
            )

    def _files(self, found: Mapping[str, Any]) -> dict[str, str]:
        """Name to md5 of what the deposit holds."""
        return {
            str(file.get("filename")): str(file.get("checksum", "")).removeprefix("md5:")
            for file in found.get("files") or ()
        }

    def _send_file(self, found: Mapping[str, Any], path: Path) -> str:
        """Send one file; returns the md5 of what arrived."""
        bucket = str(found["links"].get("bucket", ""))
        if urlsplit(bucket)[:2] != urlsplit(self.url)[:2]:
            raise DepositFailed(
                f"{shown(self.url)} wants files at {shown(bucket)}, another host: nothing was sent there"
            )
        told = self._ask("PUT", f"{bucket.removeprefix(self.url)}/{quote(path.name)}", data=_Body(path), kind=FILES)
        return str(told.get("checksum", "")).removeprefix("md5:")

    def _publish(self, found: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
        """Publish; where no answer came, look whether it happened."""
        path = f"{DEPOSITS}/{found['id']}"
        for attempt in range(1, self._door.settings.attempts + 1):
            try:
                self._ask("POST", f"{path}/actions/publish", attempts=1)
            except Faltered as error:
                if attempt == self._door.settings.attempts:
                    raise DepositFailed(f"{error}; whether it is published is unknown: send again to see") from None
                self._door.faltered(self.url, attempt)
            now = self._get(path)
            if now["submitted"]:
                say(f"deposit {now['id']} published")
                return now
        raise DepositFailed(
            f"{shown(self.url)}: deposit {found['id']} was to be published and is not: look at it there"
        )

    # ---- one request

    def _get(self, path: str, kind: type = dict) -> Any:
        return self._ask("GET", path, answer=kind)

    def _put(self, path: str, document: Mapping[str, Any]) -> Any:
        return self._ask("PUT", path, json=document)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        kind: str = PORTAL,
        attempts: int | None = None,
        answer: type = dict,
        **more: Any,
    ) -> Any:
        """One request and its answer as JSON; what an archive refuses, in its own words."""
        url = f"{self.url}{path}"
        try:
            with self._door.session(kind, attempts) as session:
                reply = session.request(method, url, auth=self._auth, allow_redirects=False, **more)
        except Denied as error:
            raise DepositFailed(
                f"{error}: is it the token of this host, with deposit:write and deposit:actions? Make one at "
                f"{self.url}/account/settings/applications"
            ) from None
        except (Faltered, Missing, DepositFailed):
            raise
        except ArchiveUnavailable as error:
            raise DepositFailed(f"{error}{_why(error)}") from None
        if reply.is_redirect:  # followed, it would turn a POST into a GET, and carry the token elsewhere
            there = shown(urljoin(url, reply.headers["Location"]))
            raise DepositFailed(f"{shown(url)} sends us to {there}: write that host into [zenodo]")
        try:
            told: Any = reply.json()
        except ValueError:
            told = None
        if not (isinstance(told, dict) if answer is dict else isinstance(told, list)):
            raise Faltered(f"{shown(url)} answered with what is no {'list' if answer is list else 'object'} of JSON")
        return _sound(told) if answer is dict and kind == PORTAL and "/actions/" not in path else told


def _sound(told: dict[str, Any]) -> dict[str, Any]:
    """A deposit as we need it: number, links, whether it is published."""
    if not isinstance(told.get("id"), int) or not isinstance(told.get("links"), dict):
        raise DepositFailed("the archive describes a deposit without number or links: is it a Zenodo?")
    return told | {"submitted": bool(told.get("submitted"))}


def _why(error: BaseException) -> str:
    """What the archive said of a request that it refused: ``: metadata.title: missing``."""
    for note in getattr(error, "__notes__", ()):
        try:
            said = json.loads(note)
            parts = [str(said.get("message", ""))]
            for one in said.get("errors") or ():
                messages = one.get("messages") or [one.get("message", "")]
                parts.append(f"{one.get('field', '')} {' '.join(map(str, messages))}".strip())
        except (ValueError, AttributeError, TypeError):
            continue
        told = "; ".join(part for part in parts if part)
        return ": " + "".join(letter if letter.isprintable() else " " for letter in told)[:300] if told else ""
    return ""


def _deposit(found: Mapping[str, Any], url: str) -> Deposit:
    told = found.get("metadata") or {}
    reserved = told.get("prereserve_doi") or {}
    page = found["links"].get("html") or found["links"].get("latest_draft_html") or f"{url}/deposit/{found['id']}"
    doi = found.get("doi") or told.get("doi") or reserved.get("doi") or ""
    return Deposit(int(found["id"]), str(page), bool(found["submitted"]), str(doi))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let nobody else on this machine send the same bundle meanwhile; a kill lets go of it."""
    with open(os.fspath(folder / ".sending"), "wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DepositFailed(f"{folder}: another process sends this bundle: wait for it") from None
        yield
