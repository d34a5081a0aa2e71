-- What the console tells of endpoints that fail is found among the facts that told of it, however many others there are.

CREATE INDEX facts_notices ON facts (organization_id, transaction, position)
    WHERE public AND type IN ('endpoint.disabled', 'endpoint.failing');
