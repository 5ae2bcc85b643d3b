"""The pages of the section Security: users, roles, privileges, and who is let in."""
