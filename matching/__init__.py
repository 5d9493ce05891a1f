"""Skills: which jobs fit a person, and what of a job's skills a person has."""
