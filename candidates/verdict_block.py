"""The opinions of a signal as the evidence holds them, and the words for what it is called."""

from pipeline.verdict import MEANING, Called, Judgement

Block = dict[str, object]

CALLED = {called.replace(" ", "_"): str(called) for called in Called}  # as the evidence writes it, and as people say it


def judgement_block(judgement: Judgement) -> Block:
    """What it is called and why, each opinion, who agrees with whom, and all of them as one probability."""
    return {
        "disposition": judgement.called.replace(" ", "_"),
        "meaning": MEANING[judgement.called],
        "because": judgement.because,
        "opinions": [
            {
                "source": one.source,
                "says": str(one.says),
                "called": None if one.called is None else str(one.called),
                "because": one.because,
                "ln_odds": one.ln_odds,
            }
            for one in judgement.opinions
        ],
        "agreement": [{"between": list(pair), "agree": agree} for pair, agree in judgement.agreement.items()],
        "together": {
            "probability": judgement.probability,
            "prior": judgement.prior,
            "weighed": list(judgement.weighed),
            "capped_by": list(judgement.capped_by),
            "calibrated_on": "simulated stars",
        },
    }
