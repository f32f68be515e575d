"""What a request has to pass before anything is done with it."""

from .keyring import LOCAL, Keyring, is_loopback
from .origins import Origins
from .rates import Rates
from .visit import Visit

__all__ = ["LOCAL", "Keyring", "Origins", "Rates", "Visit", "is_loopback"]
