"""Who the tenant is: plan, features, members with roles, teams, and the sandbox twin of a live organization."""
