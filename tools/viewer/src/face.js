// The part of the panel for expressions: moods, mouth shapes, and a slider for each key.
import { button, element, slider, spaced } from "./controls.js";

const GROUPS = [
  ["Mouth", /^mouth/], ["Jaw and tongue", /^(jaw|tongue)/], ["Eyes", /^eye/], ["Brows", /^brow/],
  ["Cheeks and nose", /^(cheek|nose)/],
];

/** Fill `place`; `onChange` gets the weights of the keys. Keys of the body's shape, which files may have, are left out. */
export function faceControls(place, allKeys, moods, visemes, onChange) {
  const keys = allKeys.filter((key) => GROUPS.some(([, pattern]) => pattern.test(key)));
  const values = Object.fromEntries(keys.map((key) => [key, 0])), mouth = {};
  const inputs = {};
  const tell = () => {
    const weights = { ...values };
    for (const [viseme, share] of Object.entries(mouth)) {
      for (const [key, weight] of Object.entries(visemes[viseme])) {
        weights[key] = Math.min(1, (weights[key] ?? 0) + weight * share);
      }
    }
    onChange(weights);
  };
  const set = (weights) => {
    for (const key of keys) inputs[key].value = values[key] = weights[key] ?? 0;
    for (const viseme of Object.keys(mouth)) inputs[viseme].value = mouth[viseme] = 0;
    tell();
  };
  const row = place.querySelector("#moods");
  for (const [mood, weights] of Object.entries(moods)) button(row, `mood-${mood}`, spaced(mood), () => set(weights));

  const group = (title) => {
    const body = element("div", { className: "sliders" });
    place.append(element("details", { className: "group" }, element("summary", { textContent: title }), body));
    return body;
  };
  const shapes = group("Mouth shapes of speech");
  for (const viseme of Object.keys(visemes).filter((name) => Object.keys(visemes[name]).length)) {
    const change = (value) => { mouth[viseme] = value; tell(); };
    inputs[viseme] = slider(shapes, `viseme-${viseme}`, viseme.replace("viseme_", ""), change);
  }
  for (const [title, pattern] of GROUPS) {
    const body = group(title);
    for (const key of keys.filter((name) => pattern.test(name))) {
      inputs[key] = slider(body, `key-${key}`, spaced(key), (value) => { values[key] = value; tell(); });
    }
  }
}
