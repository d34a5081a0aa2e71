"""Object storage for tests: an S3 of somebody else's making, and a folder whose disk can be made to fail."""

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import boto3
from botocore.exceptions import EndpointConnectionError

from temula.kernel.objects import Objects, StorageFailed
from tests.harness.house import free_port

BUCKET, KEY, SECRET = "archive", "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


class Bucket(NamedTuple):
    """A bucket, by the URL that Temula is given, and by the official client."""

    url: str
    client: "boto3.client"

    def names(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=BUCKET)
        return sorted(one["Key"] for one in found.get("Contents", []))


@contextmanager
def bucket() -> Iterator[Bucket]:
    """Moto's S3, a process of its own."""
    port = free_port()
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield _made(f"http://127.0.0.1:{port}", server)
    finally:
        server.terminate()
        server.wait(10)


def _made(endpoint: str, server: "subprocess.Popen[bytes]") -> Bucket:
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )
    patience = time.monotonic() + 30
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
        except EndpointConnectionError:
            if server.poll() is not None or time.monotonic() > patience:
                raise
            time.sleep(0.1)
        else:
            return Bucket(f"s3://{BUCKET}/kept?region=us-east-1&endpoint={endpoint}", client)


class Failing(Objects):
    """A storage that fails as ordered: at the n-th write (1 is the next), before or after it has been written."""

    def __init__(self, *place: object) -> None:
        super().__init__(*place)  # type: ignore[arg-type]
        self.at = 0
        self.after = False

    async def put(self, name: str, parts: AsyncIterator[bytes]) -> None:
        self._count(after=False)
        await super().put(name, parts)
        self._count(after=True)

    async def put_small(self, name: str, content: bytes) -> None:
        self._count(after=False)
        await super().put_small(name, content)
        self._count(after=True)

    def _count(self, *, after: bool) -> None:
        if after == self.after:
            self.at -= 1
            if self.at == 0:
                raise StorageFailed("The object storage failed, as the test ordered.")
