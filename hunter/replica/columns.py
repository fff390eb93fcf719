"""The columns of the portal's replies and how it describes them, as recorded replies have them.

Two columns of observations, ``sequence_number`` and ``provenance_name``, are younger than the recording.
"""

from typing import Any

Field = tuple[str, str]

COUNT: list[Field] = [("Column1", "string")]


def _fields(text: str) -> list[Field]:
    pairs = []
    for word in text.split():
        name, _, kind = word.partition(":")
        pairs.append((name, {"": "string", "s": "string", "f": "float", "i": "int", "b": "boolean"}[kind]))
    return pairs


OBSERVATION = _fields(
    "intentType obs_collection provenance_name instrument_name project filters wavelength_region target_name"
    " target_classification obs_id s_ra:f s_dec:f dataproduct_type proposal_pi calib_level:i t_min:f t_max:f"
    " t_exptime:f em_min:f em_max:f obs_title t_obs_release:f proposal_id proposal_type sequence_number:i s_region"
    " jpegURL dataURL dataRights mtFlag:b srcDen:f obsid objID distance:f"
)

PRODUCT = _fields(
    "obsID obs_collection dataproduct_type obs_id description type dataURI productType productGroupDescription"
    " productSubGroupDescription productDocumentationURL project prvversion proposal_id productFilename size:i"
    " parent_obsid dataRights calib_level:i filters"
)

TIC = _fields(
    "ID version HIP:i TYC UCAC TWOMASS SDSS ALLWISE GAIA APASS KIC:i objType typeSrc ra:f dec:f POSflag pmRA:f"
    " e_pmRA:f pmDEC:f e_pmDEC:f PMflag plx:f e_plx:f PARflag gallong:f gallat:f eclong:f eclat:f Bmag:f e_Bmag:f"
    " Vmag:f e_Vmag:f umag:f e_umag:f gmag:f e_gmag:f rmag:f e_rmag:f imag:f e_imag:f zmag:f e_zmag:f Jmag:f e_Jmag:f"
    " Hmag:f e_Hmag:f Kmag:f e_Kmag:f TWOMflag prox:f w1mag:f e_w1mag:f w2mag:f e_w2mag:f w3mag:f e_w3mag:f w4mag:f"
    " e_w4mag:f GAIAmag:f e_GAIAmag:f Tmag:f e_Tmag:f TESSflag SPFlag Teff:f e_Teff:f logg:f e_logg:f MH:f e_MH:f"
    " rad:f e_rad:f mass:f e_mass:f rho:f e_rho:f lumclass lum:f e_lum:f d:f e_d:f ebv:f e_ebv:f numcont:i contratio:f"
    " disposition duplicate_id priority:f objID"
)

# columns of observations by the type the portal's configuration gives them; those it separates by ";"
DOUBLES = {"s_ra", "s_dec", "t_min", "t_max", "t_obs_release", "t_exptime", "em_min", "em_max"}
FLOATS = {"distance", "srcDen"}
WHOLE = {"calib_level": "int", "sequence_number": "int", "obsid": "long", "objID": "long"}
SEPARATED = {"obs_collection", "project", "filters", "wavelength_region", "target_classification"}


def configuration(identifier: str) -> dict[str, Any] | None:
    """The description of the columns of a service, as the client asks for it before its first query."""
    name = identifier.lower()
    if name in ("mast.caom.cone", "mast.caom.filtered", "mast.caom.filtered.position"):
        return _selected() | {column: _observation(column) for column, _ in OBSERVATION}
    if name == "mast.caom.products":
        return _selected() | {column: _typed(column, kind) for column, kind in PRODUCT}
    if name in ("mast.catalogs.tess.cone", "mast.catalogs.tic.cone", "mast.catalogs.filtered.tic.rows"):
        return _selected() | {column: {"text": column} for column, _ in TIC}
    return None


def _selected() -> dict[str, Any]:
    return {"_selected_": {"text": "selected", "type": "boolean", "hidden": True}}


def _observation(column: str) -> dict[str, Any]:
    if column == "mtFlag":
        return {"text": column, "type": "boolean"}
    if column in DOUBLES:
        kind = "double"
    elif column in FLOATS:
        kind = "float"
    else:
        kind = WHOLE.get(column, "char")
    found: dict[str, Any] = {"text": column, "vot.datatype": kind}
    if kind == "char":
        found["vot.arraysize"] = "*"
    if column in SEPARATED:
        found["separator"] = ";"
    return found


def _typed(column: str, kind: str) -> dict[str, Any]:
    return {"text": column, "vot.datatype": {"int": "int", "float": "double"}.get(kind, "char")}
