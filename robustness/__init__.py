"""How agents stand failing sensors, adversaries and other noise: measured, recorded, compared."""
