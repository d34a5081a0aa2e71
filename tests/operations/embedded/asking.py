"""What tests ask of a server, and the program that keeps one until it is killed."""

import asyncpg

from temula.operations.embedded import EmbeddedPostgres

KEEPER = """
    import asyncio, sys
    from pathlib import Path
    from temula.operations import children
    from temula.operations.embedded import EmbeddedPostgres

    async def main():
        server = EmbeddedPostgres(Path(sys.argv[1]))
        await server.start()
        print(server.url(), flush=True)
        await asyncio.Event().wait()

    if "untied" in sys.argv:
        children._PRCTL = None
    asyncio.run(main())
"""


async def ask(server: EmbeddedPostgres | str, *statements: str) -> object:
    """The one value that the last statement gives."""
    connection = await asyncpg.connect(server if isinstance(server, str) else server.url())
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


WRITE = (
    "DROP TABLE IF EXISTS kept",
    "CREATE TABLE kept (what text)",
    "INSERT INTO kept VALUES ('this') RETURNING what",
)
READ = "SELECT what FROM kept"
