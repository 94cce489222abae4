"""``<clock>``: what time the guest starts with, and its timers."""

from __future__ import annotations

from vms.definition.nodes import Many, Node
from vms.definition.properties import Choice, Integer, Text, YesNo
from vms.definition.sentences import say

TIMERS = ("rtc", "pit", "hpet", "tsc", "kvmclock", "hypervclock", "platform", "armvtimer")


class Timer(Node):
    """``<timer>``"""

    natural_key = "name"
    name = Choice("@name", TIMERS, required=True)
    present = YesNo("@present")
    tick_policy = Choice("@tickpolicy", ("delay", "catchup", "merge", "discard"))
    track = Choice("@track", ("boot", "guest", "wall", "realtime"))
    frequency = Integer("@frequency")
    mode = Choice("@mode", ("auto", "native", "emulate", "paravirt", "smpsafe"))
    catchup_threshold = Integer("catchup@threshold", 0, 2**32 - 1)
    catchup_slew = Integer("catchup@slew", 0, 2**32 - 1)
    catchup_limit = Integer("catchup@limit", 0, 2**32 - 1)


class Clock(Node):
    """``<clock>``"""

    born = {"offset": "utc"}
    offset = Choice("@offset", ("utc", "localtime", "timezone", "variable", "absolute"), required=True)
    adjustment = Text("@adjustment", r"[+-]?[0-9]+|reset", say("Seconds, or “reset”."))
    basis = Choice("@basis", ("utc", "localtime"))
    timezone = Text("@timezone", r"[a-zA-Z0-9_.+\-/]+", say("A name such as “Asia/Ho_Chi_Minh”."))
    start = Integer("@start")
    timers = Many("timer", Timer)
