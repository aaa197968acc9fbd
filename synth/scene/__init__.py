"""What all images of a pair share, and how each of them sees it.

capture: how a pair was taken · scene: depth, airlight, wind, light and gain, drawn once a sample, and how an image sees
it · light: exposures and brightness of a whole pair, and what clipping hid · depth, depth_network: distances ·
backdrop: all that a whole pair tells before any crop.
"""
