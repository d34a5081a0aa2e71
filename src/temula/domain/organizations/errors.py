"""What can go wrong with organizations.

Conflict  x MemberExists   change the member instead
NotFound  x NoSuchMember   list the members first
"""

from temula.kernel.errors import Conflict, NotFound


class MemberExists(Conflict):
    """Someone with this email address is a member already."""

    code = "member_exists"


class NoSuchMember(NotFound):
    """The organization has no such member or team."""

    code = "member_not_found"
