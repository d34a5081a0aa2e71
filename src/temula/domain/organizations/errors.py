"""What can go wrong with organizations.

Conflict  x MemberExists   change the member instead     x TeamExists   use the team that is there
          x LastOwner      make somebody else an owner first
NotFound  x NoSuchMember   list the members first        x NoSuchTeam   list the teams first
"""

from temula.kernel.errors import Conflict, NotFound


class MemberExists(Conflict):
    """Someone with this email address is a member already."""

    code = "member_exists"


class TeamExists(Conflict):
    """The organization has a team of this name."""

    code = "team_exists"


class LastOwner(Conflict):
    """Without its last owner an organization would be nobody's."""

    code = "last_owner"


class NoSuchMember(NotFound):
    """The organization has no such member."""

    code = "member_not_found"


class NoSuchTeam(NotFound):
    """The organization has no such team."""

    code = "team_not_found"
