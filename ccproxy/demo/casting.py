"""Who plays: the sessions of the week out of the screenplays of the package, each with its client, machine, project and chance.

Projects are shared: what one session has edited, the next one reads. Refuses to know what is played.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date

from ccproxy import __version__
from ccproxy.demo import boxes, screenplay
from ccproxy.demo.beats import Story
from ccproxy.demo.chance import Chance
from ccproxy.demo.frame import Frame
from ccproxy.demo.session import Session
from ccproxy.demo.stage import Actor
from ccproxy.demo.versions import MODELS, NEWER, OLDER, Version
from ccproxy.demo.week import SECOND, Week
from ccproxy.demo.workspace import Workspace

HOMES = {"laptop": "/home/mara", "desk": "/home/mara", "runner": "/root"}
PLACES = {
    "harbor": "work/harbor",
    "lantern": "work/lantern",
    "tidepool": "data/tidepool",
    "fieldnotes": "src/fieldnotes",
}
BEGINS_S = 50.0  # after the minute that the screenplay names
UPDATED = "3 12:00"  # from then on the person's client is the newer one; the runner keeps what it has


def stories() -> Iterator[Story]:
    """Yield every session of the package's screenplays."""
    for name in boxes.names("stories"):
        yield from screenplay.read(name.removesuffix(".txt"), boxes.text("stories", name))


def edition(ending: date, seed: int) -> str:
    """Return what tells this demo from one of another week, chance, version or text."""
    digest = hashlib.blake2b(f"{__version__} {ending} {seed}".encode(), digest_size=4)
    for folder in ("projects", "stories", "texts"):
        for name in boxes.names(folder):
            digest.update(boxes.text(folder, name).encode())
    return digest.hexdigest()


def actors(week: Week, seed: int) -> list[Actor]:
    """Return every session, ready to be played."""
    people = Chance(seed, "people")
    account, devices = people.uuid(), {machine: people.hex(64) for machine in HOMES}
    files: dict[str, dict[str, str]] = {name: Workspace.of(name, "").files for name in PLACES}
    found: list[Actor] = []
    for story in stories():
        project, machine = story.says("project"), story.says("on", "laptop")
        headless = machine == "runner"
        at, chance = week.moment(story.says("when")), Chance(seed, story.name)
        frame = Frame(
            workspace=Workspace(project, _root(project, machine), files[project]),
            version=_version(story, week, at),
            chance=chance,
            session=chance.uuid(),
            device=devices[machine],
            account="" if headless else account,
            model=MODELS[story.says("model")],
            home=HOMES[machine],
            headless=headless,
            hints=story.says("hints", "on") == "on",
            life=story.says("cache", "5m"),
            shown=story.says("thinking", "shown") == "shown",
            thinks=story.says("thinking") != "off",
            effort=story.says("effort", "medium"),
            auto=story.says("mode") == "auto",
            servers=tuple(story.says("servers").split()),
        )
        found.append(Session(story, frame, at + round(chance.between(0, BEGINS_S) * SECOND)).play())
    return found


def _version(story: Story, week: Week, at: int) -> Version:
    return NEWER if at >= week.moment(UPDATED) and story.says("on") != "runner" else OLDER


def _root(project: str, machine: str) -> str:
    return f"/builds/{project}" if machine == "runner" else f"{HOMES[machine]}/{PLACES[project]}"
