"""How good textures are, in the paper's protocol and in one that a white background cannot flatter, beside what costs
nothing.
"""
