"""Those who look at one text console, and who of them writes."""

from __future__ import annotations

import os
import threading
from typing import Any


class Seat:
    """Somebody who looks."""

    def __init__(self, name: str, view_only: bool) -> None:
        self.name = name
        self.view_only = view_only
        #: readable when there is something to see
        self.wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._awake = False
        self._lock = threading.Lock()

    def ring(self) -> None:
        """There is something to see. Many rings before it is looked at cost as much as one."""
        with self._lock:
            if not self._awake and self.wake >= 0:
                self._awake = True
                os.eventfd_write(self.wake, 1)

    def heard(self) -> None:
        """From now on a ring wakes again."""
        with self._lock:
            if self._awake:
                self._awake = False
                os.eventfd_read(self.wake)

    def leave(self) -> None:
        """Give the descriptor back."""
        with self._lock:
            os.close(self.wake)
            self.wake = -1


class Company:
    """Seats, the pen, and whether all write. Locking is the owner's."""

    def __init__(self) -> None:
        self.seats: list[Seat] = []
        self.all_write = False
        self._pen: Seat | None = None

    def join(self, seat: Seat) -> None:
        """Who may write and finds no pen has it."""
        self.seats.append(seat)
        if self._pen is None and not seat.view_only:
            self._pen = seat

    def leave(self, seat: Seat) -> None:
        """A pen goes on to the next who may write."""
        self.seats.remove(seat)
        if self._pen is seat:
            self._hand_on(seat)

    def _hand_on(self, seat: Seat) -> None:
        others = [one for one in self.seats if one is not seat and not one.view_only]
        self._pen = others[0] if others else None

    def ring(self) -> None:
        """There is something to see."""
        for seat in self.seats:
            seat.ring()

    def may_write(self, seat: Seat) -> bool:
        """Whether what somebody types goes to the guest."""
        return not seat.view_only and (self.all_write or self._pen is seat)

    def ask(self, seat: Seat, wish: str) -> bool:
        """Somebody who may write takes the pen or gives it, or has all write or one; whether that was it."""
        if wish == "take":
            self._pen = seat
        elif wish == "give" and self._pen is seat:
            self._hand_on(seat)
        elif wish in ("all", "one"):
            self.all_write = wish == "all"
            self._pen = self._pen or seat
        else:
            return False
        return True

    def facts(self, seat: Seat) -> dict[str, Any]:
        """How things are, for one of them."""
        return {
            "all": self.all_write,
            "pen": self._pen.name if self._pen is not None else "",
            "mine": self._pen is seat,
            "may": not seat.view_only,
            "people": [{"name": one.name, "watches": one.view_only} for one in self.seats],
        }
