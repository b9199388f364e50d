"""The Mesh Predictor: one pass over the whole photo gives a body-centre heatmap, a camera map and an SMPL map
(ROMP).
"""
