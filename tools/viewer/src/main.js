// The page beside an avatar: decodes what it carries, shows it, and connects the panel.
import { Avatar } from "./avatar.js";
import { button, choice, element, slider, toggle } from "./controls.js";
import * as data from "./data.js";
import { faceControls } from "./face.js";
import { Looks } from "./looks.js";
import { Motion } from "./motion.js";
import { Stage } from "./stage.js";

const QUARTER = Math.PI / 2;
const VIEWS = [["front", "Front", 0], ["left", "Left", QUARTER], ["back", "Back", 2 * QUARTER], ["right", "Right", -QUARTER]];

const at = (id) => document.getElementById(id);

function say(text) {
  at("message").textContent = text;
  at("message").hidden = !text;
}

function canDraw() {
  try {
    return Boolean(document.createElement("canvas").getContext("webgl2"));
  } catch {
    return false;
  }
}

function theme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  at("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = chosen() === "dark" ? "light" : "dark";
  });
}

/** What is known about the avatar, also where it cannot be drawn. */
function about(facts) {
  for (const [term, value] of facts.about) {
    at("about-list").append(element("dt", { textContent: term }), element("dd", { textContent: value }));
  }
  for (const note of facts.notes) at("notes").append(element("li", { textContent: note }));
  if (facts.photo) at("photo-picture").src = facts.photo;
  else at("photo").remove();
}

function viewControls(stage, avatar, motion, facts) {
  for (const [id, title, angle] of VIEWS) {
    button(at("views"), `view-${id}`, title, () => {
      motion.settle();
      stage.look(avatar.whole(), angle);
    });
  }
  button(at("views"), "view-face", "Face", () => {
    motion.settle();
    const { focus, angle } = avatar.face();
    stage.look(focus, angle);
  });
  toggle(at("turning"), "turntable", "Turntable", false, (on) => {
    stage.controls.autoRotate = on;
    stage.invalidate();
  });
  if (facts.photo) {
    const beside = (on) => at("stage").classList.toggle("beside", on);
    beside(toggle(at("turning"), "photo-beside", "Photo beside", innerWidth > 900, beside).checked);
  }
  choice(at("light"), [{ id: "studio", title: "Studio" }, { id: "flat", title: "Flat" }], "studio",
    (id) => stage.setLight(id));
}

function surfaceControls(stage, avatar, looks, { maps, light }) {
  const surfaces = [{ id: "photo", title: "Texture" }, ...maps, { id: "clay", title: "Clay" }];
  choice(at("surface"), surfaces, "photo", async (id) => {
    await looks.surface(id, maps);
    const legend = maps.find((map) => map.id === id)?.legend ?? [];
    at("legend").replaceChildren(...legend.map(({ title, colour }) => {
      const patch = element("i");
      patch.style.background = colour;
      return element("li", {}, patch, title);
    }));
    stage.invalidate();
  });
  if (light) {
    const kinds = [{ id: "even", title: "Even light" }, { id: "photographed", title: "As photographed" }];
    choice(at("colours"), kinds, "even", async (id) => {
      await looks.photographed(id === "photographed", light);
      stage.invalidate();
    });
  } else at("colours").remove();
  toggle(at("overlays"), "wireframe", "Wireframe", false, (on) => { looks.wireframe(on); stage.invalidate(); });
  toggle(at("overlays"), "skeleton", "Skeleton", false, (on) => {
    looks.skeleton.mesh.visible = on;
    looks.skeleton.update();
    stage.invalidate();
  });
  for (const mesh of avatar.meshes) {
    const id = `part-${mesh.name.toLowerCase().replace(/\W/g, "-")}`;
    toggle(at("parts"), id, mesh.name.replace(/_/g, " "), true, (on) => { looks.part(mesh, on); stage.invalidate(); });
  }
}

function motionControls(motion, facts) {
  const playback = at("playback");
  const seek = slider(playback, "moment", "Moment", (share) => {
    motion.seek(share);
    if (motion.playing) pause();
  });
  const play = button(playback, "play", "Pause", () => pause());
  const pause = () => {
    motion.playing = !motion.playing;
    play.textContent = motion.playing ? "Pause" : "Play";
  };
  const update = () => (playback.hidden = !(motion.clip || motion.talking));
  const choose = (id) => {
    motion.choose(id);
    if (!motion.playing) pause();
    update();
  };
  choice(at("pose"), [...facts.poses, ...facts.clips], facts.poses[0].id, choose);
  choose(facts.poses[0].id);
  motion.settle();
  return { seek, update };
}

async function start() {
  const facts = data.facts();
  theme();
  about(facts);
  if (!canDraw()) {
    say("This browser cannot draw in 3D: WebGL 2 is missing or switched off. Open this page in a current Firefox, "
      + "Chrome, Edge or Safari, or switch on hardware acceleration in its settings.");
    at("about").open = true;
    document.documentElement.classList.add("without-3d");
    return;
  }
  const stage = new Stage(at("canvas"));
  const avatar = await Avatar.load(await data.glb());
  stage.scene.add(avatar.group);
  const motion = new Motion(avatar, facts);
  const looks = new Looks(avatar, stage.scene);
  viewControls(stage, avatar, motion, facts);
  surfaceControls(stage, avatar, looks, facts);
  const { seek, update } = motionControls(motion, facts);
  stage.look(avatar.whole());
  if (avatar.keys.length) {
    toggle(at("talking"), "talk", "Talk", false, (on) => { motion.talk(on); update(); });
    faceControls(at("face"), avatar.keys, facts.moods, facts.visemes, (weights) => {
      motion.sliders = weights;
      motion.changed = true;
    });
    if (facts.moods.photo) at("mood-photo").click();
  } else at("face").remove();
  stage.onFrame = (seconds) => {
    const moved = motion.advance(seconds);
    if (moved) looks.skeleton.update();
    if (moved && motion.playing && document.activeElement !== seek) seek.value = motion.share;
    return moved;
  };
  say("");
  document.documentElement.classList.add("ready");
}

start().catch((error) => {
  console.error(error);
  say(`The avatar cannot be shown: ${error.message}`);
});
