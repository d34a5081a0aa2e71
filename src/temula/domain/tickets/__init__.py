"""What lets an attendee in: a signed code, its generations, and the paper it is printed on."""
