"""What may go wrong with the next request, as the directions of a screenplay say it.

Each word turns into attempts in vain before the answer, or into what becomes of the answer itself. Refuses to know requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ccproxy.demo.chance import Chance
from ccproxy.demo.replies import Fate, Nothing, Refused

OVERLOADED = Refused(529, "overloaded_error", "Overloaded", (("x-should-retry", "true"),))
TOO_MANY = "This request would exceed your organization's rate limit of 2,000,000 input tokens per minute."
UNANSWERED = (
    "messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: {call}. Each `tool_use` block"
    " must have a corresponding `tool_result` block in the next message."
)
FATES = {"error": Fate.ERROR, "breaks": Fate.CUT, "leave": Fate.LEFT, "dark": Fate.DARK}
FIRST_WAIT_S = 0.5


@dataclass(slots=True)
class Trouble:
    """The trouble that lies ahead. `until` is how much of the answer comes before its fate."""

    before: list[Refused | Nothing] = field(default_factory=list)
    fate: Fate = Fate.WHOLE
    until: float = 0.5
    stall: float = 0.0
    twice: bool = False

    def note(self, word: str, rest: str) -> bool:
        """Take a direction; return whether it was one of these."""
        match word:
            case "overloaded":
                self.before += [OVERLOADED] * int(rest or 1)
            case "limited":
                headers = (("retry-after", rest), ("x-should-retry", "true"))
                self.before.append(Refused(429, "rate_limit_error", TOO_MANY, headers, after=60))
            case "no-answer":
                self.before.append(Nothing())
            case "stall":
                self.stall = float(rest)
            case "twice":
                self.twice = True
            case _ if word in FATES:
                self.fate, self.until = FATES[word], float(rest or 0.5)
            case _:
                return False
        return True


def wait_s(refused: Refused | Nothing, attempt: int, chance: Chance) -> float:
    """Return how long the client waits before it tries again: as long as it was asked to, or longer each time."""
    asked = dict(refused.headers).get("retry-after") if isinstance(refused, Refused) else None
    return float(asked) if asked else FIRST_WAIT_S * 2**attempt * chance.between(0.75, 1.0)


def unanswered(index: int, call: str) -> Refused:
    """Return what the API says to a request in which the result of a call is missing."""
    sentence = UNANSWERED.format(index=index, call=call)
    return Refused(400, "invalid_request_error", sentence, (("x-should-retry", "false"),))
