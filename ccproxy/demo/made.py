"""Long files, line by line, each kind by its own rule: logs, tables, and code that a program has written.

The same at each run. Refuses to know who reads them.
"""

from __future__ import annotations

from collections.abc import Callable

from ccproxy.demo.chance import Chance

CARRIERS = ("maersk", "hapag", "evergreen", "cosco", "zim")
NOUNS = (
    "arrival",
    "berth",
    "carrier",
    "charge",
    "container",
    "crane",
    "customs",
    "depot",
    "gate",
    "hold",
    "lane",
    "leg",
)
TYPES = ("string", "string", "number", "number", "boolean", "string | null", "number | null", "string[]")
COUNTRIES = ("DE", "NL", "BE", "FR", "ES", "PT", "IT", "GR", "PL", "SE", "DK", "GB")
BIRDS = ("heron", "kingfisher", "red kite", "dipper", "grebe", "wren", "lapwing", "curlew", "siskin", "egret")
PLACES = ("below the weir", "by the ford", "over the reeds", "at the old mill", "on the far bank", "near the lock")


def text(kind: str, lines: int, seed: str) -> str:
    """Return so many lines of a kind of file."""
    chance, write = Chance("made", kind, seed), KINDS[kind]
    return "\n".join(write(number, chance) for number in range(lines)) + "\n"


def _clock(number: int, chance: Chance) -> str:
    seconds = number * 1.8 + chance.between(0, 1.6)
    return f"{int(seconds) // 3600 % 24:02}:{int(seconds) // 60 % 60:02}:{seconds % 60:06.3f}"


def _importer(number: int, chance: Chance) -> str:
    clock, carrier, manifest = _clock(number, chance), chance.pick(CARRIERS), chance.hex(8)
    if number % 37 == 36:
        attempt = 1 + number % 4
        return f"{clock} WARNING harbor.retry carrier={carrier} manifest={manifest} attempt={attempt} ReadTimeout after 30.0s"
    if number % 211 == 210:
        held = "advisory lock 7341 is held by backend 22816"
        return f"{clock} ERROR harbor.importer carrier={carrier} manifest={manifest} {held}"
    rows, took = round(chance.between(40, 2400)), chance.between(80, 1900)
    told = f"rows={rows} took={took:.0f}ms queue={number % 61}"
    return f"{clock} INFO harbor.importer carrier={carrier} manifest={manifest} {told}"


def _build(number: int, chance: Chance) -> str:
    clock, module = _clock(number, chance), chance.pick(("chart", "table", "api", "theme", "app", "scale", "filter"))
    if number % 53 == 52:
        return f"[{clock}] warn  src/{module}: the prop `size` is deprecated, use `height`"
    size, took = chance.between(0.4, 38), chance.between(1, 90)
    return f"[{clock}] info  transformed src/{module}/{chance.hex(4)}.tsx ({size:.1f} kB, {took:.0f} ms)"


def _rows(number: int, chance: Chance) -> str:
    region, currency = chance.pick(("north", "south", "east", "west")), chance.pick(("EUR", "EUR", "EUR", "USD", "CHF"))
    return f"{1042 + number},{region},2026-10-{1 + number % 28:02},{chance.between(20, 900):.2f},{currency}"


def _schema(number: int, chance: Chance) -> str:
    """Return a line of types that were made from a description of an API."""
    if number % 9 == 0:
        return f"export interface {chance.pick(NOUNS).title()}{chance.pick(NOUNS).title()}{number // 9} {{"
    if number % 9 == 8:
        return "}"
    return f"  /** {chance.pick(NOUNS)} of the {chance.pick(NOUNS)} */ {chance.pick(NOUNS)}_{number % 9}: {chance.pick(TYPES)};"


def _ports(number: int, chance: Chance) -> str:
    country = chance.pick(COUNTRIES)
    code = country + chance.letters(3).upper()
    north, east = chance.between(35, 60), chance.between(-9, 25)
    return f'    "{code}": Port("{code}", zone="Europe/{country}", at=({north:.4f}, {east:.4f}), berths={1 + number % 17}),'


def _notes(number: int, chance: Chance) -> str:
    if number % 12 == 0:
        return f"\n## Walk {number // 12 + 1}\n"
    return f"- {chance.pick(BIRDS)} {chance.pick(PLACES)}, {1 + number % 5} seen, wind {chance.pick(('N', 'W', 'SW', 'E'))}"


def _profile(number: int, chance: Chance) -> str:
    """Return a line of what a profiler tells about callers and callees."""
    if number % 8 == 0:
        return "----------------------------------------------------------+-------------"
    place = "/usr/lib/go/src" if number % 3 else "."
    call = f"{chance.pick(('encoding/gob', 'runtime', 'index', 'store', 'os'))}.{chance.pick(NOUNS)}{chance.hex(2)}"
    return f"{chance.between(0.01, 2):>41.2f}s {chance.between(0.1, 60):.2f}% |   {call} {place}/{call}.go"


def _gotest(number: int, chance: Chance) -> str:
    name = f"Test{chance.pick(BIRDS).title().replace(' ', '')}{chance.pick(PLACES).title().replace(' ', '')}"
    if number % 2 == 0:
        return f"=== RUN   {name}/{number // 2}"
    return f"    --- PASS: {name}/{number // 2} ({chance.between(0, 0.3):.2f}s)"


def _patch(number: int, chance: Chance) -> str:
    """Return a line of a change to code."""
    if number % 40 == 0:
        before, after = f"-{number + 11},{7 + number % 5}", f"+{number + 14},{9 + number % 11}"
        return f"@@ {before} {after} @@ class {chance.pick(NOUNS).title()}Feed:"
    sign = chance.pick((" ", " ", "+", "+", "-"))
    name, value = chance.pick(NOUNS), chance.pick(NOUNS)
    return f"{sign}        self._{name} = {value}.{chance.pick(('between', 'since', 'of', 'first'))}({name}, {chance.pick(NOUNS)}_at)"


KINDS: dict[str, Callable[[int, Chance], str]] = {
    "importer": _importer, "build": _build, "rows": _rows, "schema": _schema, "ports": _ports, "notes": _notes,
    "profile": _profile, "gotest": _gotest, "patch": _patch,
}  # fmt: skip
