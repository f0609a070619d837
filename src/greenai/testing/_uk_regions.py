"""The regions of the UK service, and a grid for each made from the national one."""

from __future__ import annotations

from typing import Final

REGIONS: Final = (
    (1, "Scottish Hydro Electric Power Distribution", "North Scotland", 0.25),
    (2, "SP Distribution", "South Scotland", 0.30),
    (3, "Electricity North West", "North West England", 0.55),
    (4, "NPG North East", "North East England", 0.45),
    (5, "NPG Yorkshire", "Yorkshire", 1.15),
    (6, "SP Manweb", "North Wales & Merseyside", 0.90),
    (7, "WPD South Wales", "South Wales", 1.60),
    (8, "WPD West Midlands", "West Midlands", 1.05),
    (9, "WPD East Midlands", "East Midlands", 1.55),
    (10, "UKPN East", "East England", 0.95),
    (11, "WPD South West", "South West England", 1.20),
    (12, "SSE South", "South England", 1.10),
    (13, "UKPN London", "London", 1.00),
    (14, "UKPN South East", "South East England", 0.85),
    (15, "England", "England", 1.06),
    (16, "Scotland", "Scotland", 0.28),
    (17, "Wales", "Wales", 1.35),
    (18, "GB", "GB", 0.97),
)
"""Id, network operator, short name (the service's documentation), and intensity as a share of the national one (made up).

Number 18 is in region-wide answers only, close to the national value but not equal to it.
"""

COUNTRIES: Final = {"england": 15, "scotland": 16, "wales": 17}

NO_MATCH: Final = frozenset({"W1", "W2", "W3", "W7"})
"""London districts the service does not know (its issue 10)."""

_AREAS = {
    1: "AB IV KW HS ZE DD PH",
    2: "G EH KY FK KA ML DG TD PA",
    3: "M BL OL LA PR BB CA SK WN FY",
    4: "NE SR DH TS DL",
    5: "LS BD HX HD WF S HU DN YO HG",
    6: "L CH LL WA",
    7: "CF SA NP LD",
    8: "B CV WV WS DY ST WR HR TF SY GL",
    9: "NG LE DE LN NN MK",
    10: "CB IP NR CO CM PE SG LU AL SS EN RM IG",
    11: "EX PL TQ TR BA BS TA",
    12: "SO PO RG OX SN SP BH DT GU SL HP",
    13: "E EC N NW SE SW W WC",
    14: "BN CT ME TN RH DA BR CR KT SM TW",
}
REGION_OF_AREA: Final = {area: region for region, areas in _AREAS.items() for area in areas.split()}
"""Region by postcode area, roughly: good enough for a fake, not for a plan. Northern Ireland (BT) has none."""

FACTORS: Final = {
    "Biomass": 120,
    "Coal": 937,
    "Dutch Imports": 474,
    "French Imports": 53,
    "Gas (Combined Cycle)": 394,
    "Gas (Open Cycle)": 651,
    "Hydro": 0,
    "Irish Imports": 458,
    "Nuclear": 0,
    "Oil": 935,
    "Other": 300,
    "Pumped Storage": 0,
    "Solar": 0,
    "Wind": 0,
}
"""gCO2/kWh, the service's documentation."""


def index(g_per_kwh: float) -> str:
    """The service's word for an intensity (bands of 2023; they change each January)."""
    bands = ((40, "very low"), (120, "low"), (200, "moderate"), (290, "high"))
    return next((word for below, word in bands if g_per_kwh < below), "very high")


def mix(g_per_kwh: float) -> list[dict[str, object]]:
    """A generation mix in percent of about this intensity, in the service's order of fuels."""
    gas, coal = FACTORS["Gas (Combined Cycle)"], FACTORS["Coal"]
    coal_share = min(1.0, max(0.0, (g_per_kwh - gas) / (coal - gas)))
    gas_share = min(1.0, g_per_kwh / gas) if not coal_share else 1 - coal_share
    rest = 1 - gas_share - coal_share
    shares = {"biomass": 0, "coal": coal_share, "imports": 0, "gas": gas_share, "nuclear": 0.3 * rest, "other": 0}
    shares |= {"hydro": 0.05 * rest, "solar": 0.1 * rest, "wind": 0.55 * rest}
    return [{"fuel": fuel, "perc": round(100 * share, 1)} for fuel, share in shares.items()]
