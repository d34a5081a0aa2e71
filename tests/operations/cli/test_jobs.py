"""The commands about jobs, run as an operator runs them."""

from tests.operations.cli.conftest import Operator


async def test_a_job_that_is_not_dead_is_not_revived(operator: Operator) -> None:
    """Reviving all says how many there were; a job that is not there is one line and exit code 2."""
    assert "0 jobs will run again" in await operator.run("jobs", "retry")
    assert "temula jobs dead" in await operator.run("jobs", "retry", "job_unknown", fails=True)
