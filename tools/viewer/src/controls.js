// Elements of the panel. Choices are radio buttons and switches are check boxes, so that keyboards and screen readers
// know them.

export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** A row of options of which one is chosen; `options` are {id, title}. @returns {(id: string | null) => void} */
export function choice(place, options, chosen, onChange) {
  const name = `choice-${place.id}`;
  const inputs = options.map(({ id, title }) => {
    const input = element("input", { type: "radio", name, value: id, checked: id === chosen, onchange: () => onChange(id) });
    place.append(element("label", { className: "option" }, input, element("span", { textContent: title })));
    return input;
  });
  return (id) => inputs.forEach((input) => (input.checked = input.value === id));
}

/** A switch. @returns {HTMLInputElement} */
export function toggle(place, id, title, on, onChange) {
  const input = element("input", { type: "checkbox", id, checked: on, onchange: () => onChange(input.checked) });
  place.append(element("label", { className: "switch" }, input, element("span", { textContent: title })));
  return input;
}

/** A slider from 0 to 1. @returns {HTMLInputElement} */
export function slider(place, id, title, onInput) {
  const input = element("input", { type: "range", id, min: 0, max: 1, step: 0.01, value: 0 });
  input.addEventListener("input", () => onInput(input.valueAsNumber));
  place.append(element("label", { className: "slider", htmlFor: id }, element("span", { textContent: title }), input));
  return input;
}

export function button(place, id, title, onClick) {
  const node = element("button", { type: "button", id, textContent: title, onclick: onClick });
  place.append(node);
  return node;
}

/** "mouthSmileLeft" as people write it: "Mouth smile left". */
export function spaced(name) {
  const words = name.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`).trim();
  return words[0].toUpperCase() + words.slice(1);
}
