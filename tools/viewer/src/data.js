// What the page carries: facts as JSON, and the avatar as a compressed .glb in base64.

export function facts() {
  return JSON.parse(document.getElementById("facts").textContent);
}

/** The .glb file as an ArrayBuffer. */
export async function glb() {
  const text = document.getElementById("avatar").textContent.trim();
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(unpacked).arrayBuffer();
}
