"""Where providers call us: verified on the raw bytes, stored once, answered at once, processed by a job."""
