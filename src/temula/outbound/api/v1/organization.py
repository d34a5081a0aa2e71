"""The organization that a token belongs to."""

from litestar import Controller, Response, get
from litestar.di import NamedDependency

from temula.domain.organizations import service
from temula.kernel.database import UnitOfWork
from temula.outbound.callers.acts import Act
from temula.outbound.schemas.organization import OrganizationView, organization_view


class Organization(Controller):
    """Who you are to us."""

    path = "/organization"
    tags = ["Organization"]

    @get(opt={"ability": "organization:read"}, summary="Get the organization")
    async def get_organization(self, act: NamedDependency[Act]) -> Response[OrganizationView]:
        """Name, plan and limits of the token's organization; the first call to make with a new token."""

        async def work(uow: UnitOfWork) -> OrganizationView:
            return organization_view(await service.current(uow), act.caller.token.abilities)

        return await act.read(work)
