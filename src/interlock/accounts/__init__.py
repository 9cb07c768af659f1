"""Who is signed in, and by what: the API's own records of people. Who there is, the policy says."""

from interlock.accounts.accounts import Accounts
from interlock.accounts.deputies import Deputy
from interlock.accounts.links import Link
from interlock.accounts.sessions import Session
from interlock.accounts.tokens import Token

__all__ = ["Accounts", "Deputy", "Link", "Session", "Token"]
