"""What people attend: schedule, venue, visibility, and the ticket types on sale."""
