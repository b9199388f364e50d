"""Photos as pixels: decoding, colour and sampling."""
