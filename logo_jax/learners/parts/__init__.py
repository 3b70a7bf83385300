"""What several learners share; learners import it, never each other."""
