"""A hunt from beginning to end, in one straight line. Read this file first.

Every phase is handed what the phases before it gave, and runs once for each target (or signal) of the batch;
``memory.each`` reads what was computed before and stores what is new. A target whose phase fails leaves the
line with an outcome; the others go on.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from candidates.evidence import build_evidence, candidate_name, confirmation_block
from candidates.fit_block import fit_block
from candidates.publish import Staged, stage
from candidates.wording import confirmation_text
from hunter import confirming
from hunter.archives.base import Archive, Fetched
from hunter.checkpoints import Item, Kept, Memory, digest_of, files_of
from hunter.known import known_block
from hunter.notebooks import FileNotebook
from hunter.outcomes import Failure, judge
from hunter.populations import field_tables, tables_key
from hunter.settings import Settings
from models.inputs import SignalInputs
from pipeline import clean as cleaning
from pipeline import confirm as second
from pipeline import features as describing
from pipeline import fit as fitting
from pipeline import fold as folding
from pipeline import search as searching
from pipeline import surroundings as around
from pipeline import validation as validating
from pipeline import vet as vetting
from pipeline.alone import alone, eclipsing, left_out, pixels_alone
from pipeline.confirm import Confirmation
from pipeline.fit import TransitFit
from pipeline.limb_darkening import Band
from pipeline.portrait import Portrait, portray
from pipeline.surroundings import Surroundings
from pipeline.types import (
    CleanedLightCurve,
    Evidence,
    Finding,
    FoldedViews,
    Score,
    SearchResult,
    Star,
    Target,
    TransitSignal,
    Verdict,
)
from pipeline.validation import Validation
from pipeline.vetting.case import VetSettings
from state.status import Status
from state.store import CandidateRow, Claim, PhaseRun, SignalRow

if TYPE_CHECKING:
    from models.scorer import Scorer

SIGNAL_COLUMNS = {item.name for item in fields(SignalRow)}  # the database keeps less of a signal than the evidence
NO_FIT = 'fits are switched off: [fit] sampler is "none"'


@dataclass(frozen=True, slots=True)
class Model:
    """The model that scores tonight: where it is and what it is; loaded when the first signal asks for it."""

    sha256: str
    load: "Callable[[], Scorer]"


@dataclass(frozen=True, slots=True)
class Tools:
    """What the chain is handed from outside: the archive, the model, the folder, the versions, the clock."""

    archive: Archive
    model: Model | None  # None: signals wait at score
    backend: str  # search kernel
    candidates: Path
    versions: Mapping[str, str]
    now: Callable[[], float]
    name_taken: Callable[[str, int], bool]  # whether a candidate of another target has this name
    step: Callable[[str], None] = lambda name: None
    device: Any = None  # hunter.device.Device, where a process of its own searches


@dataclass(frozen=True, slots=True)
class Ending:
    """Where a target left the chain, and what is to be recorded of it in one transaction."""

    claim: Claim
    outcome: Status
    because: str
    best: TransitSignal | None = None
    signals: tuple[SignalRow, ...] = ()
    staged: tuple[Staged, ...] = ()
    candidates: tuple[CandidateRow, ...] = ()
    runs: tuple[PhaseRun, ...] = ()  # publishing, which ends with the claim
    model: str | None = None
    failure: Failure | None = None


def hunt(claims: Sequence[Claim], tools: Tools, settings: Settings, memory: Memory) -> Iterator[Ending]:
    """Walk a batch of targets through all phases, each as far as it goes.

    The endings come one by one, so that each is recorded before the pages of the next are made.
    """
    targets = {(claim.id, 0): target_of(claim) for claim in claims}
    asked = {(claim.id, 0): Kept(digest_of(claim.kind, claim.key, files_of(claim.inputs))) for claim in claims}
    sources = {(claim.id, 0): claim.sources for claim in claims}

    def fetch(item: Item, _: None) -> Fetched:
        return tools.archive.fetch(targets[item], sources[item])

    def clean(item: Item, fetched: Fetched) -> CleanedLightCurve:
        observations = [tools.archive.read(product) for product in fetched.products]
        return cleaning.clean(observations, settings.clean, settings.detrend)

    def search(item: Item, cleaned: CleanedLightCurve, fetched: Fetched) -> SearchResult:
        return search_together([item], [[cleaned, fetched]])[0]

    def search_together(items: list[Item], values: list[list[Any]]) -> list[SearchResult]:
        curves, stars = [cleaned.flat for cleaned, _ in values], [fetched.star for _, fetched in values]
        if tools.device is not None:
            return list(tools.device.search_many(curves, settings.search, stars))
        return searching.search_many(curves, settings.search, stars, tools.backend)

    def confirm(item: Item, cleaned: CleanedLightCurve, result: SearchResult, fetched: Fetched) -> Confirmation:
        return second_opinion(cleaned, result, signal_of(result, item), fetched.star, settings)

    beside: dict[Item, tuple[TransitSignal, ...]] = {}  # the eclipses that each signal is judged without

    def judged(item: Item, cleaned: CleanedLightCurve, result: SearchResult) -> tuple[TransitSignal, CleanedLightCurve]:
        """A signal, and the light curve it is judged by."""
        return signal_of(result, item), alone(cleaned, beside[item], settings.search.mask_width)

    def fold(item: Item, cleaned: CleanedLightCurve, result: SearchResult, _: None) -> FoldedViews:
        signal, curve = judged(item, cleaned, result)
        views = folding.fold(curve, signal, settings.fold, settings.detrend)
        return replace(views, notes=(*views.notes, *left_out(curve, beside[item])))

    def vet(
        item: Item, cleaned: CleanedLightCurve, views: FoldedViews, result: SearchResult, fetched: Fetched
    ) -> tuple[Finding, ...]:
        signal, curve = judged(item, cleaned, result)
        return vetting.vet(curve, views, signal, fetched.star, settings.vet)

    def score(
        item: Item,
        cleaned: CleanedLightCurve,
        views: FoldedViews,
        result: SearchResult,
        fetched: Fetched,
        findings: tuple[Finding, ...],
    ) -> Score:
        assert tools.model is not None
        signal, curve = judged(item, cleaned, result)
        inputs = inputs_of(curve, views, signal, fetched.star, findings)
        prior = settings.score.prior or None
        return opinion(tools.model.load(), inputs, settings.hunt.threshold, prior)

    def look_around(
        item: Item, cleaned: CleanedLightCurve, result: SearchResult, fetched: Fetched, *_: None
    ) -> Surroundings:
        field = tools.archive.field_of(targets[whole(item)], sources[whole(item)], fetched.products)
        return around.look_around(
            replace(targets[whole(item)], star=fetched.star),
            signal_of(result, item),
            cleaned,
            [pixels_alone(pixels, beside[item], settings.search.mask_width) for pixels in field.pixels],
            field.stars,
            field.prf,
            field.crowding,
            field.contamination_ratio,
            field.notes,
            settings.pixels,
        )

    def notebook(item: Item) -> FileNotebook:
        """The chain of a fit, in the cache beside what is stored of the target."""
        folder = memory.folder / f"{item[0] // 1000:06d}"
        token = next(claim.token for claim in claims if claim.id == item[0])
        return FileNotebook(folder / f"fit.{item[0]}.{item[1]}.chain.npz", str(token), tools.step)

    def fit(
        item: Item, cleaned: CleanedLightCurve, views: FoldedViews, result: SearchResult, fetched: Fetched
    ) -> TransitFit:
        signal, curve = judged(item, cleaned, result)
        others = [other for other in result.signals if other is not signal and other.alias_of is None]
        return posterior(curve, views, signal, fetched.star, others, settings, notebook(item))

    def validate(
        item: Item,
        cleaned: CleanedLightCurve,
        views: FoldedViews,
        result: SearchResult,
        fetched: Fetched,
        surroundings: Surroundings,
        _: None,
    ) -> Validation:
        (signal, curve), star = judged(item, cleaned, result), fetched.star
        population, contrast, notes = field_tables(settings.validate, targets[whole(item)])
        return validating.assess(
            curve, views, signal, star, surroundings, settings.vet, settings.validate, population, contrast, notes
        )

    def versions(phase: str, version: int, *tables: str) -> str:
        return digest_of(phase, version, settings.digest(*tables))

    each = memory.each
    fetched = each("fetch", versions("fetch", 1, "archive"), {i: (asked[i],) for i in targets}, fetch)
    cleaned = each("clean", versions("clean", cleaning.VERSION, "clean", "detrend"), joined(fetched), clean)
    found = each(
        "search",
        digest_of(versions("search", searching.VERSION, "search"), tools.backend),
        joined(cleaned, fetched),
        search,
        together=search_together,
    )
    signals = signals_over_threshold(found)
    confirmations: dict[Item, Kept] = {}
    if settings.search.confirm == "tls":
        confirmations = each(
            "confirm",
            digest_of(
                versions("confirm", second.VERSION, "search.confirm"), tools.versions.get("transitleastsquares", "")
            ),
            of_signals(signals, cleaned, found, fetched),
            confirm,
        )
    views: dict[Item, Kept] = {}
    findings: dict[Item, Kept] = {}
    others: dict[Item, Kept] = {}
    for number in sorted({number for _, number in signals}):  # what the stronger are decides what the weaker is
        turn = [item for item in signals if item[1] == number]
        for item in turn:
            beside[item] = stronger(item, cleaned[whole(item)], found[whole(item)].get(), findings, settings)
            others[item] = Kept(digest_of("beside", *(other.number for other in beside[item])))
        folded = each(
            "fold",
            versions("fold", folding.VERSION, "fold", "detrend"),
            {i: (cleaned[whole(i)], found[whole(i)], others[i]) for i in turn},
            fold,
        )
        views |= folded
        findings |= each(
            "vet",
            versions("vet", vetting.VERSION, "vet"),
            {i: (cleaned[whole(i)], views[i], found[whole(i)], fetched[whole(i)]) for i in folded},
            vet,
        )
    scores: dict[Item, Kept] = {}
    if tools.model is not None:
        scores = each(
            "score",
            digest_of(versions("score", describing.VERSION, "hunt", "score"), tools.model.sha256),
            {i: (cleaned[whole(i)], views[i], found[whole(i)], fetched[whole(i)], findings[i]) for i in findings},
            score,
        )

    # only what may become a candidate has its field looked at
    survivors = [item for item in scores if scores[item].get().probability >= settings.hunt.threshold]
    fields = {
        whole(item): Kept(digest_of("field", tools.archive.field_key(targets[whole(item)], sources[whole(item)])))
        for item in survivors
    }
    surroundings = each(
        "field",
        versions("field", around.VERSION, "pixels"),
        {i: (cleaned[whole(i)], found[whole(i)], fetched[whole(i)], fields[whole(i)], others[i]) for i in survivors},
        look_around,
    )
    fits: dict[Item, Kept] = {}
    if settings.fit.sampler != "none":
        fits = each(
            "fit",
            versions("fit", fitting.VERSION, "fit"),
            {i: (cleaned[whole(i)], views[i], found[whole(i)], fetched[whole(i)]) for i in surroundings},
            fit,
        )
        for item in fits:
            notebook(item).remove()  # what the chain gave is stored

    tables = {
        whole(item): Kept(digest_of("tables", tables_key(settings.validate, targets[whole(item)])))
        for item in survivors
    }
    validations: dict[Item, Kept] = {}
    if settings.validate.method != "none":
        validations = each(
            "validate",
            versions("validate", validating.VERSION, "vet", "validate"),
            {
                i: (cleaned[whole(i)], views[i], found[whole(i)], fetched[whole(i)], surroundings[i], tables[whole(i)])
                for i in surroundings
            },
            validate,
        )

    for claim in claims:
        if claim.id in memory.lost:
            continue
        try:
            ending = conclude(
                claim, tools, settings, memory, fetched, cleaned, found, confirmations, views, findings, scores,
                surroundings, fits, validations, beside,
            )  # fmt: skip
        except Exception as error:
            failure = judge(error, "publish", claim.deferrals)
            ending = Ending(claim, failure.outcome, failure.because, failure=failure)
        yield ending


def conclude(
    claim: Claim,
    tools: Tools,
    settings: Settings,
    memory: Memory,
    fetched: Mapping[Item, Kept],
    cleaned: Mapping[Item, Kept],
    found: Mapping[Item, Kept],
    confirmations: Mapping[Item, Kept],
    views: Mapping[Item, Kept],
    findings: Mapping[Item, Kept],
    scores: Mapping[Item, Kept],
    surroundings: Mapping[Item, Kept],
    fits: Mapping[Item, Kept],
    validations: Mapping[Item, Kept],
    beside: Mapping[Item, tuple[TransitSignal, ...]],
) -> Ending:
    """Decide the outcome of one target, and stage the pages of its candidates."""
    failure = memory.failures.get(claim.id)
    if failure is not None:
        return Ending(claim, failure.outcome, failure.because, failure=failure)
    result: SearchResult = found[claim.id, 0].get()
    rows = tuple(
        signal_row(
            signal,
            cleaned[claim.id, 0].get(),
            *(part.get((claim.id, signal.number)) for part in (confirmations, findings, scores)),
        )
        for signal in result.signals
    )
    if not result.signals:
        best = f"{result.best.snr:.1f} at {result.best.period:.4f} d" if result.best else "; ".join(result.notes)
        because = f"no signal over S/N {settings.search.snr:g}: the strongest is {best or 'none'}"
        return Ending(claim, Status.NO_SIGNAL, because, result.best, rows)
    if tools.model is None:
        return Ending(claim, Status.HELD, "no usable model: `hunter models list` says why", result.best, rows)
    over = [
        signal
        for signal in result.signals
        if (claim.id, signal.number) in scores
        and scores[claim.id, signal.number].get().probability >= settings.hunt.threshold
    ]
    highest = max(scores[item].get().probability for item in scores if item[0] == claim.id)
    if not over:
        because = f"scored {highest:.3f} at most, below {settings.hunt.threshold:g}"
        return Ending(claim, Status.CLEARED, because, result.best, rows, model=tools.model.sha256)
    target = replace(target_of(claim), star=fetched[claim.id, 0].get().star)
    memory.watch("publish", claim.name)
    staged: list[Staged] = []
    candidates: list[CandidateRow] = []
    runs: list[PhaseRun] = []
    with ExitStack() as unfinished:
        for signal in over:
            began = time.perf_counter()
            item = (claim.id, signal.number)
            curve = alone(cleaned[claim.id, 0].get(), beside[item], settings.search.mask_width)
            name = candidate_name(target, signal)
            if tools.name_taken(name, claim.id):
                sectors = [product.sector for product in cleaned[claim.id, 0].get().products if product.sector]
                name = candidate_name(target, signal, sector=min(sectors, default=0))
            nearby = surroundings[item].get()
            fitted = fits[item].get().undiluted(nearby.light) if item in fits else None
            evidence = build_evidence(
                target=target,
                cleaned=cleaned[claim.id, 0].get(),
                result=result,
                signal=signal,
                views=views[item].get(),
                findings=findings[item].get(),
                score=scores[item].get(),
                run=run_block(tools, settings, memory, claim),
                name=name,
                fit=fit_block(fitted or NO_FIT),
                known=known_block(settings, target, signal, tools.now()),
                confirmation=confirmations[item].get() if item in confirmations else None,
                explanation=explanation(
                    tools.model.load(),
                    inputs_of(curve, views[item].get(), signal, target.star, findings[item].get()),
                ),
                surroundings=nearby,
                validation=validations[item].get() if item in validations else None,
                portrait=portrait(curve, views[item].get(), signal, target.star, settings.vet),
                vet=settings.vet,
                left_aside=[*fetched[claim.id, 0].get().superseded, *fetched[claim.id, 0].get().refused],
            )
            pages = stage(
                tools.candidates,
                evidence,
                cleaned[claim.id, 0].get(),
                result,
                views[item].get(),
                nearby,
                f"{claim.id}-{claim.token}",
                tools.step,
                fitted,
            )
            unfinished.callback(pages.discard)
            staged.append(pages)
            candidates.append(candidate_row(signal, evidence, pages, scores[item].get(), tools.now()))
            spent = time.perf_counter() - began
            digest = digest_of("publish", *(sha256 for _, sha256 in pages.files.values()))
            runs.append(PhaseRun(claim.id, "publish", item[1], digest, "", "", spent, memory.device, tools.now()))
        unfinished.pop_all()  # all are staged: from here on they belong to the ending
    because = f"{len(over)} of {len(result.signals)} signals scored {settings.hunt.threshold:g} or more"
    return Ending(
        claim,
        Status.CANDIDATE,
        because,
        result.best,
        rows,
        tuple(staged),
        tuple(candidates),
        tuple(runs),
        model=tools.model.sha256,
    )


def whole(item: Item) -> Item:
    """The target that a signal belongs to."""
    return item[0], 0


def joined(*kept: Mapping[Item, Kept]) -> dict[Item, tuple[Kept, ...]]:
    """The results of several phases for each target that came through all of them."""
    return {item: tuple(part[item] for part in kept) for item in kept[0] if all(item in part for part in kept)}


def signals_over_threshold(found: Mapping[Item, Kept]) -> list[Item]:
    """One item for each signal; a harmonic of a stronger signal is recorded, not walked again."""
    return [
        (item[0], signal.number)
        for item, kept in found.items()
        for signal in kept.get().signals
        if signal.alias_of is None
    ]


def of_signals(signals: Sequence[Item], *kept: Mapping[Item, Kept]) -> dict[Item, tuple[Kept, ...]]:
    return {item: tuple(part[whole(item)] for part in kept) for item in signals}


def signal_of(result: SearchResult, item: Item) -> TransitSignal:
    return next(signal for signal in result.signals if signal.number == item[1])


def stronger(
    item: Item, cleaned: Kept, result: SearchResult, findings: Mapping[Item, Kept], settings: Settings
) -> tuple[TransitSignal, ...]:
    """The stronger signals of the same star that are eclipses, by the tests that they were put to."""
    judged = {number: kept.get() for (target, number), kept in findings.items() if target == item[0]}
    if not judged:
        return ()
    signal, width = signal_of(result, item), settings.search.mask_width
    return eclipsing(cleaned.get(), signal, result.signals, judged, width, settings.vet)


def target_of(claim: Claim) -> Target:
    return Target(claim.kind, claim.key, Star(**claim.star))


def inputs_of(
    cleaned: CleanedLightCurve, views: FoldedViews, signal: TransitSignal, star: Star, findings: Sequence[Finding]
) -> SignalInputs:
    """The views and scalars of one signal, as the networks take them."""
    scalars = describing.features(cleaned, views, signal, star, findings)
    return SignalInputs(
        global_flux=views.global_view.flux,
        global_filled=views.global_view.filled,
        local_flux=views.local_view.flux,
        local_filled=views.local_view.filled,
        secondary_flux=views.secondary.flux,
        secondary_filled=views.secondary.filled,
        odd_flux=views.odd.flux,
        odd_filled=views.odd.filled,
        even_flux=views.even.flux,
        even_filled=views.even.filled,
        depth=signal.depth,
        scalars=scalars,
    )


def opinion(scorer: "Scorer", inputs: SignalInputs, threshold: float, prior: float | None) -> Score:
    said: dict[str, Any] = scorer.score([inputs], prior)[0]
    return Score(
        probability=said["probability"],
        raw=said["raw"],
        model=scorer.name,
        model_sha256=scorer.sha256,
        threshold=threshold,
        prior=said["prior"],
        member_spread=said["member_spread"],
        classes=said["classes"],
        members=tuple(said["members"]),
        entropy=said["entropy"],
        disagreement=said["disagreement"],
        conformal_set=None if said["conformal_set"] is None else tuple(said["conformal_set"]),
        conformal_coverage=said["conformal_coverage"],
        conformal_note="model without conformal sets: train it again to have them" * (said["conformal_set"] is None),
    )


def explanation(scorer: "Scorer", inputs: SignalInputs) -> dict[str, Any]:
    """What moved the score; a candidate is published even where its score cannot be explained, and says so."""
    from models.explain import explain_signal

    try:
        return explain_signal(scorer, inputs).to_json()
    except Exception as error:
        return {"status": "error", "reason": f"{type(error).__name__}: {error}"}


def portrait(
    cleaned: CleanedLightCurve, views: FoldedViews, signal: TransitSignal, star: Star, settings: VetSettings
) -> Portrait | str:
    """The shapes and curves to be drawn; a candidate is published even where they break, and says so."""
    try:
        return portray(cleaned, views, signal, star, settings)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def posterior(
    cleaned: CleanedLightCurve,
    views: FoldedViews,
    signal: TransitSignal,
    star: Star,
    others: Sequence[TransitSignal],
    settings: Settings,
    notebook: FileNotebook,
) -> TransitFit:
    """The fit of one signal; a candidate is published even where it breaks, and says so."""
    try:
        return fitting.fit(cleaned, views, signal, star, others, settings.fit, notebook)
    except OSError:
        raise  # of the disk, which is no matter of the fit
    except Exception as error:
        return TransitFit("error", f"{type(error).__name__}: {error}")


def second_opinion(
    cleaned: CleanedLightCurve, result: SearchResult, signal: TransitSignal, star: Star, settings: Settings
) -> Confirmation:
    missions = {product.mission for product in cleaned.products}
    band: Band | None = (
        "TESS" if missions == {"TESS"} else "Kepler" if missions and missions <= {"Kepler", "K2"} else None
    )
    return confirming.confirm_apart(
        cleaned.flat,
        signal,
        [other for other in result.signals if other.number < signal.number and other.alias_of is None],
        star,
        (float(result.period.min()), float(result.period.max())),
        band=band,
        seconds=settings.search.confirm_seconds,
        memory_mb=settings.search.confirm_memory_mb,
    )


def signal_row(
    signal: TransitSignal,
    cleaned: CleanedLightCurve,
    confirmation: Kept | None,
    findings: Kept | None,
    score: Kept | None,
) -> SignalRow:
    judged = [] if findings is None else [asdict(finding) for finding in findings.get()]
    if confirmation is not None:
        judged.append(recorded(confirmation.get()))
    known = {name: value for name, value in asdict(signal).items() if name in SIGNAL_COLUMNS}
    detectors = {
        (item.sector, item.camera, item.ccd)
        for item in cleaned.products
        if item.mission == "TESS" and item.sector is not None and item.camera is not None and item.ccd is not None
    }
    return SignalRow(
        **known,
        probability=None if score is None else score.get().probability,
        findings=judged,
        detectors=sorted(detectors),
    )


def recorded(confirmation: Confirmation) -> dict[str, Any]:
    """The second opinion as one more line among what is said of a signal."""
    status = {None: Verdict.ERROR, True: Verdict.PASS, False: Verdict.FAIL}[confirmation.agrees]
    note = confirmation_text(confirmation_block(confirmation))
    return asdict(Finding("second_search", status, confirmation.sde, confirmation.odd_even_sigma, None, note))


def candidate_row(signal: TransitSignal, evidence: Evidence, pages: Staged, score: Score, now: float) -> CandidateRow:
    files: dict[str, str] = {}
    for kind, (path, sha256) in pages.files.items():
        files |= {f"{kind}_file": path.name, f"{kind}_sha256": sha256}
    verdict: Any = evidence.document["verdict"]
    return CandidateRow(
        name=evidence.name,
        ephemeris_key=f"p{signal.period:.4f}",
        period=signal.period,
        epoch=signal.epoch,
        duration=signal.duration,
        depth=signal.depth,
        snr=signal.snr,
        sde=signal.sde,
        probability=score.probability,
        disposition=verdict["disposition"],
        flux=verdict["flux"]["disposition"],
        published_at=now,
        **files,
    )


def run_block(tools: Tools, settings: Settings, memory: Memory, claim: Claim) -> dict[str, Any]:
    return {
        "settings": settings.as_dict(),
        "versions": dict(tools.versions),
        "device": memory.device,
        "timings": {phase: round(seconds, 6) for phase, seconds in memory.seconds.get(claim.id, {}).items()},
        "finished_at": datetime.fromtimestamp(tools.now(), UTC).isoformat(timespec="seconds"),
    }
