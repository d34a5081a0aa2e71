"""One module a sender; each gives its adapter as `ADAPTER`."""
