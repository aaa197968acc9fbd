"""Files to pixels and back, and what needs pixels alone.

pixels: types, sRGB and linear light, luma, shrinking · codecs, png, headers: files · crop: windows · exposure_fusion,
guided_filter: two methods of the field that both the scene and the targets build on · onnx: a user's own network.
"""
