"""Where the light goes missing: difference images, their place on the sky, and the star behind them.

``examine.examine`` is the door; ``evidence`` holds what it returns and imports nothing heavy.
"""
