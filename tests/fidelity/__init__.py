"""`make fidelity`: what is different after each step of the catalogue was applied and rolled back.

Each step alone on a fresh host, on every release; fails under 100 %.
"""
