"""What the field around a star says, as the block ``field`` of the evidence and as words."""

from collections.abc import Mapping
from typing import Any

from pipeline.contamination import Contamination
from pipeline.pixels.evidence import HostStar, SectorPixels, SkyOffset
from pipeline.surroundings import Surroundings

NO_FIELD = "the field around the star was not looked at"
PPM = 1e6


def field_block(found: Surroundings | None) -> dict[str, Any]:
    """The block: ``not_run`` with its reason, or what pixels and neighbours say."""
    if found is None:
        return {"status": "not_run", "reason": NO_FIELD}
    if found.light is None and not found.pixels.sectors:
        return {"status": "not_run", "reason": "; ".join(found.notes) or "neither pixels nor neighbours are at hand"}
    return {
        "status": "done",
        "light": None if found.light is None else _light(found.light),
        "offset": None if found.pixels.offset is None else _offset(found.pixels.offset),
        "sectors": [_sector(sector) for sector in found.pixels.sectors],
        "hosts": [_host(host) for host in found.pixels.hosts],
        "elsewhere_probability": found.pixels.elsewhere,
        "notes": list(found.notes),
    }


def _light(light: Contamination) -> dict[str, Any]:
    return {
        "source": light.source,
        "target_fraction": light.fraction,
        "least_fraction": light.least,
        "aperture_depth_ppm": light.aperture_depth * PPM,
        "own_depth_ppm": light.own_depth * PPM,
        "radius_factor": light.radius_factor,
        "corrected_before": light.depth_corrected_before,
        "possible_hosts": light.possible_hosts,
        "stars": [
            {
                "name": f"{share.kind} {share.key}",
                "separation_arcsec": share.separation,
                "tmag": share.tmag,
                "fraction": share.fraction,
                "required_depth": share.required_depth,
                "possible_host": share.possible_host,
            }
            for share in light.stars
        ],
        "stars_of_less_light": light.untold,
    }


def _offset(offset: SkyOffset) -> dict[str, Any]:
    long, short, angle = offset.ellipse
    return {
        "arcsec": offset.arcsec,
        "arcsec_err": offset.arcsec_err,
        "sigma": offset.sigma,
        "east_arcsec": offset.east,
        "east_arcsec_err": offset.east_err,
        "north_arcsec": offset.north,
        "north_arcsec_err": offset.north_err,
        "correlation": offset.correlation,
        "ellipse_arcsec": [long, short],
        "ellipse_degrees_east_of_north": angle,
        "independent_pseudo_transits": offset.independent,
    }


def _sector(sector: SectorPixels) -> dict[str, Any]:
    return {
        "uri": sector.product.uri,
        "sha256": sector.product.sha256,
        "sector": sector.product.sector,
        "prf": sector.prf,
        "transits": sector.transits,
        "pseudo_transits": sector.shifts,
        "dip_snr": None if sector.fit is None else sector.fit.snr,
        "reduced_chi_square": None if sector.fit is None else sector.fit.chi_square,
        "offset_arcsec": None if sector.offset is None else sector.offset.arcsec,
        "offset_sigma": None if sector.offset is None else sector.offset.sigma,
        "not_used": sector.reason,
    }


def _host(host: HostStar) -> dict[str, Any]:
    return {
        "name": host.name,
        "tmag": host.tmag,
        "separation_arcsec": host.separation,
        "sigma": host.sigma,
        "required_depth": host.required_depth,
        "probability": host.probability,
    }


def host_rows(block: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The most probable hosts as rows of name and words."""
    if block["status"] != "done":
        return []
    rows = [
        (
            host["name"],
            f"{host['probability']:.1%}, {host['separation_arcsec']:.1f}″ from the target"
            + ("" if host["tmag"] is None else f", Tmag {host['tmag']:.2f}"),
        )
        for host in block["hosts"][:4]
    ]
    if block["elsewhere_probability"] is not None:
        rows.append(("no listed star", f"{block['elsewhere_probability']:.1%}"))
    return rows
