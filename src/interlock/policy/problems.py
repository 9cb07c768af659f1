"""What is wrong in a policy file, and where: the same as in any file that a person writes."""

from interlock.definitions.placed import Problem, did_you_mean

__all__ = ["Problem", "did_you_mean"]
